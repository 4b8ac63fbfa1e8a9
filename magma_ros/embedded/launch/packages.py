# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds what a launch file names: the share folder of a package and its executables."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from magma_ros.embedded.launch.errors import LaunchError


def share_directory(package: str) -> Path:
    """The folder that ROS calls ``share/<package>``: a source tree, or below a prefix.

    Args:
        package: Name of a ROS package, as in ``$(find-pkg-share package)``.

    Raises:
        LaunchError: No such folder holds a ``package.xml``.
    """
    homes = [Path(prefix) / "share" / package for prefix in _prefixes()]
    spec = _spec(package)
    if spec is not None and spec.origin is not None:
        homes.insert(0, Path(spec.origin).resolve().parent.parent)
    for home in homes:
        if (home / "package.xml").is_file():
            return home
    raise LaunchError(f"package '{package}' was not found; install it or source its workspace")


def executable(package: str, name: str) -> str:
    """The entry point of an executable, written ``module:function``.

    An installed package declares its executables as console scripts. In a source tree that is
    not installed, the executable ``name`` is ``main`` of the module ``<package>.nodes.<name>``.

    Raises:
        LaunchError: The package has no such executable.
    """
    scripts = _console_scripts(package)
    if name in scripts:
        return scripts[name]
    module = f"{package}.nodes.{name}"
    if _spec(package) is not None and _spec(module) is not None:
        return f"{module}:main"
    known = f"; it has {', '.join(sorted(scripts))}" if scripts else ""
    raise LaunchError(f"executable '{name}' of package '{package}' was not found{known}")


def _console_scripts(package: str) -> dict[str, str]:
    try:
        found = metadata.distribution(package).entry_points
    except metadata.PackageNotFoundError:
        return {}
    return {entry.name: entry.value for entry in found.select(group="console_scripts")}


def _prefixes() -> list[str]:
    ament = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    pip = [sys.prefix, sysconfig.get_path("data"), str(Path.home() / ".local")]
    return [prefix for prefix in [*ament, *pip] if prefix]


def _spec(module: str) -> ModuleSpec | None:
    try:
        return find_spec(module)
    except ModuleNotFoundError:
        return None
