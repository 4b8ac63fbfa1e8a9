# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files that ROS installs into ``share/magma_ros``: launch, config, sim, models.

Three homes are possible: a ROS workspace (the ament index knows), a pip installation (below the
prefix that holds the package), and a source tree (beside the package).
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from magma_ros.types import MagmaError

PACKAGE = "magma_ros"


class ShareError(MagmaError):
    """A shared file or folder could not be found."""


def share_directory() -> Path:
    """The folder that holds ``launch/``, ``config/``, ``sim/`` and ``models/``.

    Raises:
        ShareError: No home of the package holds those folders.
    """
    for home in _homes():
        if (home / "launch").is_dir() and (home / "config").is_dir():
            return home
    raise ShareError(
        "the shared files of magma_ros (launch/, config/, sim/, models/) were not found; "
        "reinstall the package with pip or colcon"
    )


def share_file(*parts: str) -> Path:
    """The path of one shared file, for example ``share_file("config", "guard.yaml")``.

    Raises:
        ShareError: The file is not there.
    """
    path = share_directory().joinpath(*parts)
    if not path.exists():
        folder = path.parent
        there = ", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "none"
        raise ShareError(f"{'/'.join(parts)} is not among the shared files (found: {there})")
    return path


def find_bundle(bundle: str) -> Path:
    """The folder of a policy bundle: ``bundle`` itself if it is one, else the shipped one.

    Raises:
        ShareError: There is neither.
    """
    path = Path(bundle).expanduser()
    shipped = share_directory() / "models"
    if path.is_dir():
        return path
    if (shipped / bundle / "bundle.yaml").is_file():
        return shipped / bundle
    known = sorted(p.parent.name for p in shipped.glob("*/bundle.yaml"))
    raise ShareError(
        f"there is no bundle {bundle!r}; give a folder, or one of: {', '.join(known) or 'none'}"
    )


def _homes() -> list[Path]:
    source = Path(__file__).resolve().parent.parent
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes += [sys.prefix, sysconfig.get_path("data"), str(Path.home() / ".local")]
    installed = [Path(p) / "share" / PACKAGE for p in prefixes if p]
    return [source, *installed] if (source / "package.xml").is_file() else installed
