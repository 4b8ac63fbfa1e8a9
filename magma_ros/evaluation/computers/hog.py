# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps every core busy with something else, as real robots' computers are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from magma_ros.types import MagmaError

TOOL = "stress-ng"
"""Program that does it; Debian and Ubuntu have a package of that name."""

START = 1.0
"""Time that it is given to start [s]."""


class HogError(MagmaError):
    """The cores could not be kept busy."""


def find_hog() -> str:
    """Path of the program.

    Raises:
        HogError: It is not installed.
    """
    if (path := shutil.which(TOOL)) is None:
        raise HogError(
            f"{TOOL}, which keeps the cores busy, is not installed; run apt-get install {TOOL}"
        )
    return path


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


@contextmanager
def cpu_hog(longest: float) -> Iterator[None]:
    """Keep all usable cores busy, with one worker each, until the context is left.

    Args:
        longest: Time after which the workers end on their own, should this process be killed [s].

    Raises:
        HogError: The program is not installed, does not start, or ended too early.
    """
    command = [find_hog(), "--cpu", str(usable_cores()), "--timeout", f"{round(longest)}s"]
    hog = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a group of its own, which is ended as a whole
    )
    try:
        with suppress(subprocess.TimeoutExpired):
            hog.wait(START)
        _require_alive(hog)
        yield
        _require_alive(hog)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(hog.pid, signal.SIGKILL)
        hog.wait()


def _require_alive(hog: subprocess.Popen[bytes]) -> None:
    if (status := hog.poll()) is not None:
        raise HogError(
            f"{TOOL} ended too early, with exit status {status}; see what "
            f"{TOOL} --cpu {usable_cores()} says"
        )
