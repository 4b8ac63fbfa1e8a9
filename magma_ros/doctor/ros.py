# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Examines what ROS 2 is told by the environment: middleware, domain, reach, and where logs go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from magma_ros.doctor.finding import Finding

CYCLONE = "rmw_cyclonedds_cpp"

LAST_DOMAIN = 232
"""Greatest domain whose ports exist; above 101 they may collide with those of other programs."""

RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")


def examine(environment: Mapping[str, str]) -> list[Finding]:
    """What the variables of ``environment`` mean for these nodes."""
    return [
        _middleware(environment),
        _domain(environment),
        _range(environment),
        _logs(environment),
        _cameras(),
    ]


def _middleware(environment: Mapping[str, str]) -> Finding:
    """Fast DDS and Cyclone DDS exchange topics, but not the calls of services."""
    chosen = environment.get("RMW_IMPLEMENTATION", "")
    if "ROS_DISTRO" not in environment:
        detail = (
            f"embedded Cyclone DDS: whoever calls its services needs RMW_IMPLEMENTATION={CYCLONE}"
        )
        return Finding("middleware", ok=True, detail=detail, optional=True)
    if chosen == CYCLONE:
        return Finding("middleware", ok=True, detail=chosen, optional=True)
    distribution = environment["ROS_DISTRO"]
    return Finding(
        "middleware",
        ok=False,
        detail=f"{chosen or 'the default'}: clients on Fast DDS get no answer from services of "
        "nodes on Cyclone DDS, embedded ones among them",
        fix=f"export RMW_IMPLEMENTATION={CYCLONE} (ros-{distribution}-rmw-cyclonedds-cpp)",
        optional=True,
    )


def _domain(environment: Mapping[str, str]) -> Finding:
    text = environment.get("ROS_DOMAIN_ID", "") or "0"
    ok = text.isdecimal() and int(text) <= LAST_DOMAIN
    fix = "" if ok else f"export ROS_DOMAIN_ID=N, with N from 0 to {LAST_DOMAIN}"
    return Finding("domain", ok, f"ROS_DOMAIN_ID is {text}", fix)


def _range(environment: Mapping[str, str]) -> Finding:
    chosen = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    default = "LOCALHOST" if "ROS_DISTRO" not in environment else "SUBNET"
    reach = chosen or f"{default}, by default"
    if "CYCLONEDDS_URI" in environment:
        reach += "; CYCLONEDDS_URI has the last word"
    ok = not chosen or chosen in RANGES
    fix = "" if ok else f"ROS_AUTOMATIC_DISCOVERY_RANGE must be one of: {', '.join(RANGES)}"
    return Finding("discovery", ok, f"nodes are looked for within {reach}", fix, optional=True)


def _logs(environment: Mapping[str, str]) -> Finding:
    home = environment.get("ROS_HOME") or Path("~/.ros").expanduser()
    folder = Path(environment.get("ROS_LOG_DIR") or Path(home) / "log")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    ok = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    fix = "" if ok else "export ROS_LOG_DIR=FOLDER, one that can be written"
    return Finding("logs", ok, f"{folder}{'' if ok else ' cannot be written'}", fix)


def _cameras() -> Finding:
    detail = (
        "recommended: transport compressed, 640 x 480 or smaller, queue depth 1; "
        "large raw images make plans late"
    )
    return Finding("cameras", ok=True, detail=detail, optional=True)
