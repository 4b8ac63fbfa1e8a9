# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a launch shows and keeps: every line goes to a log file, chosen ones to the console."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TextIO


def default_log_directory() -> Path:
    """A fresh folder below ``$ROS_LOG_DIR``, ``$ROS_HOME/log`` or ``~/.ros/log``, as in ROS 2."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    root = Path(os.environ.get("ROS_LOG_DIR") or home / "log")
    started = time.strftime("%Y-%m-%d-%H-%M-%S")
    return root / f"{started}-{socket.gethostname()}-{os.getpid()}"


class Log:
    """Writes ``launch.log`` and the console, in the layout of ``ros2 launch``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = (directory / "launch.log").open("w", encoding="utf-8", buffering=1)
        self.info("launch", f"All log files can be found below {directory}")

    def info(self, name: str, text: str) -> None:
        """Report an event of the launch itself."""
        self._event("INFO", name, text)

    def error(self, name: str, text: str) -> None:
        """Report a failure."""
        self._event("ERROR", name, text)

    def line(self, name: str, text: str, *, on_screen: bool) -> None:
        """Pass on one line that a process wrote."""
        self._keep(f"[{name}] {text}")
        if on_screen:
            _show(f"[{name}] {text}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _event(self, level: str, name: str, text: str) -> None:
        self._keep(f"[{level}] [{name}]: {text}")
        _show(f"[{level}] [{name}]: {text}")

    def _keep(self, text: str) -> None:
        self._file.write(f"{time.time():.6f} {text}\n")


def _show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
