# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.signals``: Ctrl-C and SIGTERM end the context, whatever the process waits for.

Python runs signal handlers in the main thread between two instructions. That thread mostly
sits in Cyclone DDS's wait, so a helper thread, which Python wakes by ``signal.set_wakeup_fd``,
makes the wait return.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from enum import IntEnum
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import Context


class SignalHandlerOptions(IntEnum):
    """Which signals end the context."""

    NO = 0
    SIGINT = 1
    SIGTERM = 2
    ALL = 3


_OPTIONS = {
    signal.SIGINT: SignalHandlerOptions.SIGINT,
    signal.SIGTERM: SignalHandlerOptions.SIGTERM,
}
_contexts: dict[Context, SignalHandlerOptions] = {}
_previous: dict[int, Any] = {}
_pipe: list[int] = []


def install_signal_handlers(context: Context, options: SignalHandlerOptions) -> None:
    """Let signals shut the context down; outside the main thread nothing is installed.

    Whatever the options, a handler that the process has itself runs at once, also while an
    executor of the context waits.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _contexts[context] = options
    for number, option in _OPTIONS.items():
        if options & option and number not in _previous:
            _previous[number] = signal.signal(number, _shut_down)
    if not _pipe:
        _pipe.extend(os.pipe())
        os.set_blocking(_pipe[1], False)
        signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
        threading.Thread(target=_wake_contexts, name="signals", daemon=True).start()


def uninstall_signal_handlers(context: Context) -> None:
    """Undo the installation; the process's own handlers return with the last context."""
    _contexts.pop(context, None)
    if _contexts or threading.current_thread() is not threading.main_thread():
        return
    for number, handler in _previous.items():
        signal.signal(number, handler)
    _previous.clear()
    if _pipe:
        signal.set_wakeup_fd(-1)
        os.close(_pipe[1])  # ends the helper thread, which closes the other end
        _pipe.clear()


def _shut_down(number: int, frame: FrameType | None) -> None:
    for context, options in list(_contexts.items()):
        if options & _OPTIONS[signal.Signals(number)]:
            context.try_shutdown()
    previous: Callable[[int, FrameType | None], object] | int | None = _previous.get(number)
    if callable(previous):
        previous(number, frame)


def _wake_contexts() -> None:
    source = _pipe[0]
    while os.read(source, 64):
        for context in list(_contexts):
            context.wake()
    os.close(source)
