# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Access to Meta-World and MuJoCo, which are imported when the first world is reset.

MuJoCo draws without a screen by EGL or by OSMesa; Debian's Mesa brings both, as programs for the
processor where there is no graphics card. ``MUJOCO_GL`` says which, or the first one that is there
is taken.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from functools import cache
from typing import Any

from magma_ros.types import MagmaError

LIBRARIES = {
    "egl": ("libEGL.so.1", "libegl1 libegl-mesa0 libgl1-mesa-dri"),
    "osmesa": ("libOSMesa.so.8", "libosmesa6"),
}
"""What MuJoCo draws with, by its name in ``MUJOCO_GL``: the library, and Debian's packages."""


class MetaWorldError(MagmaError):
    """Meta-World, or what it draws with, is missing; or a task or split that does not exist."""


@cache
def load(module: str) -> Any:
    """A module of Meta-World or MuJoCo.

    Args:
        module: Its name.

    Raises:
        MetaWorldError: It, or every library to draw with, is missing.
    """
    # MuJoCo looks at the variable when it is imported, and Meta-World imports MuJoCo.
    os.environ.setdefault("MUJOCO_GL", drawing_library())
    # Episodes run side by side, each in a process of its own: one thread each for Mesa as well.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MetaWorldError(
            f"Meta-World is not installed ({error}); run pip install '.[metaworld]'"
        ) from error


def drawing_library() -> str:
    """What MuJoCo is to draw with, as a name of :data:`LIBRARIES`.

    Raises:
        MetaWorldError: ``MUJOCO_GL`` names something else, or the library is missing.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower()
    if asked and asked not in LIBRARIES:
        raise MetaWorldError(
            f"MUJOCO_GL={asked} cannot draw without a screen; set it to {' or '.join(LIBRARIES)}"
        )
    for name in (asked,) if asked else LIBRARIES:
        try:
            ctypes.CDLL(LIBRARIES[name][0])
        except OSError:
            continue
        return name
    raise drawing_error("its library is missing")


def drawing_error(reason: object) -> MetaWorldError:
    """The error of an image that cannot be drawn, with the command that helps."""
    packages = LIBRARIES.get(os.environ.get("MUJOCO_GL", "").lower(), LIBRARIES["egl"])[1]
    return MetaWorldError(
        f"MuJoCo cannot draw without a screen ({reason}); run sudo apt install {packages}"
    )
