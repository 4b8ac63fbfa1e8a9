# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pip has to compile for the demo on this Python, announced before it begins.

Needs nothing but Python and runs before anything is installed, as ``python -m magma_ros.wheels``.
Its exit status is 1 where the demo cannot be installed at all.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
"""Oldest Python that magma_ros runs on."""

NEWEST_WITH_DDS = (3, 13)
"""Newest Python that cyclonedds has a wheel for; its source needs Cyclone DDS's own library."""

NEWEST_WITH_PYBULLET = (3, 11)
"""Newest Python that PyBullet has a wheel for; its source compiles."""

INSTEAD = "make demo PYTHON=python3.11"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What installing the demo will come to.

    Attributes:
        possible: Whether it can succeed.
        sentence: What to expect or what to do; empty if it takes a minute as usual.
    """

    possible: bool
    sentence: str = ""


def forecast(version: tuple[int, int], *, compiler: bool, headers: bool) -> Forecast:
    """What installing the embedded ROS 2 and the simulator takes.

    Args:
        version: Major and minor version of the Python that will run the demo.
        compiler: Whether there is a C++ compiler.
        headers: Whether Python's headers are there.
    """
    this = "Python {}.{}".format(*version)
    if version < OLDEST:
        return Forecast(possible=False, sentence=f"magma_ros needs Python 3.11, and this is {this}")
    if version > NEWEST_WITH_DDS:
        return Forecast(
            possible=False,
            sentence=f"cyclonedds has no wheel for {this}; use Python 3.11 to 3.13: {INSTEAD}",
        )
    if version <= NEWEST_WITH_PYBULLET:
        return Forecast(possible=True)
    start = f"PyBullet has no wheel for {this} and must be compiled"
    missing = [
        package for package, there in (("g++", compiler), ("python3-dev", headers)) if not there
    ]
    if missing:
        return Forecast(
            possible=False,
            sentence=f"{start}, which needs {' and '.join(missing)}: install that, or {INSTEAD}",
        )
    return Forecast(
        possible=True,
        sentence=f"{start}: 15 to 20 minutes on two cores, without a word; to avoid it: {INSTEAD}",
    )


def here() -> Forecast:
    """The forecast for this Python on this machine; nothing to say once PyBullet is installed."""
    if find_spec("pybullet") is not None:
        return Forecast(possible=True)
    return forecast(
        sys.version_info[:2],
        compiler=shutil.which("c++") is not None,
        headers=Path(sysconfig.get_path("include"), "Python.h").is_file(),
    )


def main() -> int:
    """Print the forecast, if there is anything to say."""
    coming = here()
    if coming.sentence:
        print(coming.sentence, file=sys.stderr, flush=True)
    return 0 if coming.possible else 1


if __name__ == "__main__":
    raise SystemExit(main())
