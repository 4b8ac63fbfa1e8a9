# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The first and the last moment of a process.

Being told to end before the work has begun is no fault; and when all is closed, the process ends.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end: Ctrl-C, a supervisor, the terminal that closes."""


def end_quietly() -> None:
    """Let a signal end the process at once, without a traceback.

    For the time of the imports, when there is nothing to leave in a safe state yet. A SIGHUP that
    is ignored, as under ``nohup``, stays ignored.
    """
    for number in ENDING_SIGNALS:
        if not is_hangup_ignored(number):
            signal.signal(number, _leave)


def be_as_started() -> None:
    """Give the signals back the meaning that they have in a fresh Python process."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is _leave:
            interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupt else signal.SIG_DFL)


def is_hangup_ignored(number: int) -> bool:
    """Whether this is a SIGHUP and the process was started to survive it."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def leave(status: int) -> NoReturn:
    """End the process, with what it has printed but without Python's own tidying up.

    That takes several times as long as all that a node does at its end, because of the libraries it
    has loaded, and waits for threads that may never end.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(
            AttributeError, OSError, ValueError
        ):  # none, nobody reads it, or it is closed
            stream.flush()
    os._exit(status)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    os._exit(128 + number)
