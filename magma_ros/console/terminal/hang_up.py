# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Notices that a terminal has gone, also in a process that ignores SIGHUP, as under ``nohup``."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator

from magma_ros.types import MagmaError


def require_terminal() -> int:
    """The descriptor on which this process reads its terminal.

    Raises:
        MagmaError: What is typed and what is shown do not both go through a terminal.
    """
    if (
        sys.__stdin__ is None
        or sys.__stderr__ is None
        or not (sys.__stdin__.isatty() and sys.__stderr__.isatty())
    ):
        raise MagmaError(
            "the console needs a terminal to read keys from and to draw on; start it in one, "
            "through SSH with ssh -t, or use the page in a browser"
        )
    return sys.__stdin__.fileno()


@contextlib.contextmanager
def on_hang_up(terminal: int, act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` once, on a thread of its own, if the terminal hangs up meanwhile.

    Its end of file alone would not tell: Textual waits for keys with ``select``, which then returns
    at once, for ever.

    Args:
        terminal: Descriptor of the terminal, or of anything else that can be read.
        act: What to do then.
    """
    source, sink = os.pipe()
    waiting = select.poll()
    waiting.register(terminal, 0)  # POLLHUP, POLLERR and POLLNVAL are told without being asked for
    waiting.register(source, 0)

    def wait() -> None:
        found = [descriptor for descriptor, _ in waiting.poll()]
        os.close(source)
        if source not in found:  # a terminal that was left first may hang up as it likes
            act()

    threading.Thread(target=wait, name="hang-up", daemon=True).start()
    try:
        yield
    finally:
        os.close(sink)  # ends the thread
