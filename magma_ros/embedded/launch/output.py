# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a launch shows and keeps: every line goes to a log file, chosen ones to the console.

Neither can hold up the launch or end it: lines are written by a thread of their own, a full disk
costs lines and nothing else, and lines that find no room in the queue are counted and left out.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue
from typing import NamedTuple

WAITING_LINES = 10_000
"""Lines that may wait to be written."""

LAST_WORDS = 0.3
"""How long the end of a launch waits for a console or disk that takes no more lines [s]."""


class _Line(NamedTuple):
    text: str
    time: float
    on_screen: bool


def default_log_directory() -> Path:
    """A fresh folder below ``$ROS_LOG_DIR``, ``$ROS_HOME/log`` or ``~/.ros/log``, as in ROS 2."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    root = Path(os.environ.get("ROS_LOG_DIR") or home / "log")
    started = time.strftime("%Y-%m-%d-%H-%M-%S")
    return root / f"{started}-{socket.gethostname()}-{os.getpid()}"


class Log:
    """Writes ``launch.log`` and the console, in the layout of ``ros2 launch``.

    A log file that cannot be made or written is named once; the launch goes on without it.

    Args:
        directory: Folder of ``launch.log``.
    """

    def __init__(self, directory: Path) -> None:
        self._lines: Queue[_Line | None] = Queue(WAITING_LINES)
        self._left_out = 0
        self._console = console()
        self._file: int | None = None
        self._path = directory / "launch.log"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            self.error("launch", self._without_file(error))
        else:
            self.info("launch", f"All log files can be found below {directory}")
        self._writer = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._writer.start()

    def info(self, name: str, text: str) -> None:
        """Report an event of the launch itself."""
        self._put(f"[INFO] [{name}]: {text}", on_screen=True)

    def error(self, name: str, text: str) -> None:
        """Report a failure."""
        self._put(f"[ERROR] [{name}]: {text}", on_screen=True)

    def line(self, name: str, text: str, *, on_screen: bool) -> None:
        """Pass on one line that a process wrote."""
        self._put(f"[{name}] {text}", on_screen=on_screen)

    def close(self) -> None:
        """Write what still waits, if that takes no longer than :data:`LAST_WORDS`."""
        try:
            self._lines.put(None, timeout=LAST_WORDS)
        except Full:
            return  # a console that stands still has its file closed by the end of the process
        self._writer.join(LAST_WORDS)

    def _put(self, text: str, *, on_screen: bool) -> None:
        try:
            self._lines.put_nowait(_Line(text, time.time(), on_screen))
        except Full:
            self._left_out += 1

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            if self._left_out and self._lines.empty():
                left_out, self._left_out = self._left_out, 0
                self.error("launch", f"{left_out} lines were left out: the console is too slow")
        if self._file is not None:
            os.close(self._file)

    def _write(self, line: _Line) -> None:
        if self._file is not None:
            try:
                os.write(self._file, f"{line.time:.6f} {line.text}\n".encode())
            except OSError as error:
                os.close(self._file)
                self._file = None
                self._show(f"[ERROR] [launch]: {self._without_file(error)}")
        if line.on_screen:
            self._show(line.text)

    def _show(self, text: str) -> None:
        if self._console is not None:
            with suppress(OSError):  # a full disk may have room again for the next line
                _write_whole(self._console, f"{text}\n".encode())

    def _without_file(self, error: OSError) -> str:
        return (
            f"{self._path} cannot be written ({error.strerror}); going on without it. "
            "Set ROS_LOG_DIR to a folder that can be written"
        )


def console() -> int | None:
    """Standard output's file descriptor; None for a process that was started without one."""
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
