# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's door: read the arguments, plan, run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from magma_ros.embedded.launch.errors import LaunchError
from magma_ros.embedded.launch.output import Log, default_log_directory
from magma_ros.embedded.launch.plan import Process, declared_arguments, plan
from magma_ros.embedded.launch.substitutions import as_written
from magma_ros.embedded.launch.supervisor import Supervisor


def launch(
    path: Path,
    arguments: Mapping[str, str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    log_directory: Path | None = None,
) -> int:
    """Start what a launch file describes, and return when all of it has ended.

    SIGINT, SIGTERM, SIGHUP and a console that nobody reads any more shut everything down. Must be
    called from the main thread.

    Args:
        path: A ``*.launch.yaml`` file.
        arguments: Values for its arguments by name.
        environment: Environment variables of the processes besides those of this one.
        log_directory: Where ``launch.log`` is written; by default where ``ros2 launch`` does.

    Returns:
        0 if every process ended well, 2 if one could not work with what it was given, 1 if one
        died or had to be forced to end. A process that died but was respawned counts by its last
        exit.

    Raises:
        LaunchError: The file or an argument is wrong; then nothing has been started.
    """
    with TemporaryDirectory(prefix="launch_params_") as scratch:
        variables = {**os.environ, **(environment or {})}
        processes = plan(path, arguments or {}, Path(scratch), variables)
        log = Log(log_directory or default_log_directory())
        try:
            return asyncio.run(_supervise(processes, log))
        finally:
            log.close()


async def _supervise(processes: list[Process], log: Log) -> int:
    return await Supervisor(processes, log).run()


def parse_arguments(words: Iterable[str]) -> dict[str, str]:
    """Read ``name:=value`` words from a command line.

    Raises:
        LaunchError: A word has another form.
    """
    arguments = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not (name and sign):
            raise LaunchError(f"'{word}' is not an argument; write it as name:=value")
        arguments[name] = value
    return arguments


def describe_arguments(path: Path) -> str:
    """A text that lists the arguments of a launch file, as ``ros2 launch --show-args`` does.

    Raises:
        LaunchError: The file cannot be loaded.
    """
    lines = ["Arguments (pass arguments as '<name>:=<value>'):"]
    for arg in declared_arguments(path):
        choices = f" Choose from {', '.join(arg.choices)}." if arg.choice else ""
        lines += ["", f"    '{arg.name}':", f"        {arg.description}{choices}"]
        if arg.default is not None:
            lines.append(f"        (default: '{as_written(arg.default)}')")
    return "\n".join(lines)
