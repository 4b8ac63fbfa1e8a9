# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signals that end a node's process: SIGINT, SIGTERM or SIGHUP, at any moment, also twice."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from rclpy.task import Future

from magma_ros.embedded import early


class Ending:
    """Turns the signals that end a process into one future, so that the safe command is still sent.

    A handler that raised could break the very shutdown it asks for, and rclpy's own invalidates
    the context before anything can be published. So the handler here only notes the signal. A
    thread, which Python wakes by ``signal.set_wakeup_fd`` whatever the main thread waits for,
    completes the future on which the executor spins.

    Attributes:
        asked: Whether a signal has come.
    """

    def __init__(self) -> None:
        """Take over the signals; a SIGHUP that the process was started to survive stays ignored."""
        self.asked = False
        self._interruptible = False
        for number in early.ENDING_SIGNALS:
            if not early.is_hangup_ignored(number):
                signal.signal(number, self._on_signal)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal break off what is done here with a KeyboardInterrupt, at most once."""
        self._interruptible = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._interruptible = False

    @contextlib.contextmanager
    def completes(self, future: Future) -> Iterator[None]:
        """Complete ``future`` as soon as a signal comes; at once if one has come before."""
        source, sink = os.pipe()
        os.set_blocking(sink, False)
        signal.set_wakeup_fd(sink, warn_on_full_buffer=False)
        watch = threading.Thread(target=_complete, args=(source, future), name="ending")
        watch.daemon = True
        watch.start()
        try:
            if self.asked:
                _set(future)
            yield
        finally:
            signal.set_wakeup_fd(-1)
            os.close(sink)  # ends the thread, which closes the other end

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt


def _complete(source: int, future: Future) -> None:
    while os.read(source, 64):
        _set(future)
    os.close(source)


def _set(future: Future) -> None:
    if not future.done():
        future.set_result(None)
