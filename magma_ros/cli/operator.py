# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma console``: the operator's console, alone, against a robot that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from magma_ros.doctor import require
from magma_ros.share import share_file
from magma_ros.types import MagmaError


def console(
    *,
    host: str | None = None,
    port: int | None = None,
    token: str | None = None,
    domain: int | None = None,
    namespace: str = "",
    robot: str = "",
    config: Path | None = None,
    remap: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    patience: float = 10.0,
    terminal: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Watch a running robot, take it over and hand it back, in a browser or in a terminal.

    Args:
        host: Address that the page is served on, 127.0.0.1 by default; all but loopback addresses
            need a token.
        port: Port of the page, 8080 by default.
        token: What a person must enter: 16 characters or more, or auto for one that is made up.
        domain: DDS domain of the robot; ROS_DOMAIN_ID by default.
        namespace: Namespace of the robot.
        robot: A file of config/robots without its ending, or any file of that kind, instead of what
            the running guard says of the robot.
        config: Further parameters; config/console.yaml by default.
        remap: Where topics have other names, as FROM:=TO.
        patience: Longest wait for the robot's guard [s].
        terminal: In this terminal instead of a browser, as over SSH.
    """
    from magma_ros import embedded

    require("embedded", "console")
    embedded.install()
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = str(_checked(domain))
    names = [word for rule in remap for word in ("-r", rule)]
    if namespace:
        names += ["-r", f"__ns:=/{namespace.strip('/')}"]
    tuning = config or share_file("config", "console.yaml")
    words = ["--ros-args", "--params-file", str(_file(tuning))]
    if robot:
        words += ["--params-file", str(_robot_file(robot))]
    else:
        words += _told(names, patience)
    # A name of its own, so that whoever reads who drives knows which console is meant.
    words += [*names, "-r", f"__node:=console_{os.getpid()}"]
    if terminal:
        from magma_ros.nodes import terminal_console

        return terminal_console.main(words)
    from magma_ros.nodes import console_node

    served = {"host": host, "port": port, "token": token}
    words += _parameters({name: value for name, value in served.items() if value is not None})
    return console_node.main(words)


def _told(names: list[str], patience: float) -> list[str]:
    """What a running robot says of itself, as words of a command line."""
    from magma_ros.nodes.robot_facts import robot_facts

    return _parameters(robot_facts(names, patience))


def _parameters(values: Mapping[str, object]) -> list[str]:
    return [
        word for name, value in values.items() for word in ("-p", f"{name}:={json.dumps(value)}")
    ]


def _checked(domain: int) -> int:
    from magma_ros.embedded.domains import MAX_DOMAIN_ID

    if not 0 <= domain <= MAX_DOMAIN_ID:
        raise MagmaError(f"a DDS domain lies between 0 and {MAX_DOMAIN_ID}, not at {domain}")
    return domain


def _robot_file(robot: str) -> Path:
    given = Path(robot)
    return given if given.is_file() else share_file("config", "robots", f"{robot}.yaml")


def _file(path: Path) -> Path:
    if not path.is_file():
        raise MagmaError(f"there is no file {path}")
    return path
