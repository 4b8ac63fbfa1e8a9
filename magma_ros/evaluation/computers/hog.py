# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps every core busy with something else, as real robots' computers are."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from magma_ros.types import MagmaError

TOOL = "stress-ng"
"""Program that does it; Debian and Ubuntu have a package of that name."""

START = 10.0
"""Longest time until all workers run [s]; reading the program from a cold disk takes seconds."""

END = 5.0
"""Longest time until all workers are gone after they were killed [s]."""

POLL = 0.02
"""Time between two looks at the workers [s]."""

SAID = 2000
"""Bytes of the program's last output that an error quotes."""


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


def running_in_group(group: int) -> set[int]:
    """Processes of a process group that have not ended, zombies left out.

    Args:
        group: Identifier of the group, which is the process that leads it.
    """
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended just now
            # Fields after the name in brackets, see proc(5): state, parent, process group.
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.add(int(status.parent.name))
    return found


@contextmanager
def cpu_hog(longest: float) -> Iterator[subprocess.Popen[bytes]]:
    """Keep all usable cores busy, with one worker each, until the context is left.

    The context begins when every worker runs and is left when none does.

    Args:
        longest: Time after which the workers end on their own, should this process be killed [s].

    Yields:
        The process that leads the workers' process group.

    Raises:
        HogError: The program is not installed, does not start all workers, one ended too early,
            or one cannot be ended.
    """
    command = [find_hog(), "--cpu", str(usable_cores()), "--timeout", f"{round(longest)}s"]
    with tempfile.TemporaryFile() as output:
        hog = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, which is ended as a whole
        )
        try:
            _await(lambda: hog.poll() is not None or _all_work(hog), START)
            _require_all(hog, output, "did not start all its workers")
            yield hog
            _require_all(hog, output, "ended too early")
        finally:
            _end(hog)


def _all_work(hog: subprocess.Popen[bytes]) -> bool:
    return len(running_in_group(hog.pid) - {hog.pid}) >= usable_cores()


def _await(done: Callable[[], bool], longest: float) -> bool:
    """Whether something came true within a time [s]."""
    end = time.monotonic() + longest
    while not (came := done()) and time.monotonic() < end:
        time.sleep(POLL)
    return came


def _require_all(hog: subprocess.Popen[bytes], output: IO[bytes], fault: str) -> None:
    if (status := hog.poll()) is None and _all_work(hog):
        return
    output.seek(max(0, output.seek(0, os.SEEK_END) - SAID))
    said = " ".join(output.read().decode(errors="replace").split()) or "nothing"
    state = "it still runs" if status is None else f"its exit status is {status}"
    raise HogError(f"{TOOL} --cpu {usable_cores()} {fault} ({state}); it said: {said}")


def _end(hog: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(hog.pid, signal.SIGKILL)
    hog.wait()
    # Its orphaned workers die a moment later than the process that led them.
    if not _await(lambda: not running_in_group(hog.pid), END):
        left = ", ".join(map(str, sorted(running_in_group(hog.pid))))
        raise HogError(f"{TOOL} cannot be ended: processes {left} still run; end them by hand")
