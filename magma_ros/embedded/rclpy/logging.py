# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.logging``: loggers that write to the console and, for nodes, to ``/rosout``."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum
from inspect import currentframe
from types import FrameType
from typing import Any, NamedTuple

from .clock import Clock


class LoggingSeverity(IntEnum):
    """How grave a message is."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


class Record(NamedTuple):
    """One message, as it goes to ``/rosout``; ``stamp`` is system time [ns]."""

    stamp: int
    level: LoggingSeverity
    name: str
    message: str
    file: str
    function: str
    line: int


_COLOURS = {
    LoggingSeverity.DEBUG: "\033[32m",
    LoggingSeverity.WARN: "\033[33m",
    LoggingSeverity.ERROR: "\033[31m",
    LoggingSeverity.FATAL: "\033[31m",
}
_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_sinks: dict[str, Callable[[Record], object]] = {}


class RcutilsLogger:
    """A logger; the part of its name before a dot is the logger it belongs to."""

    def __init__(self, name: str = "") -> None:
        """Make the logger of that name."""
        self.name = name
        self._sites: dict[tuple[str, int], int] = {}

    def get_child(self, name: str) -> RcutilsLogger:
        """A logger that belongs to this one.

        Raises:
            ValueError: The name is empty.
        """
        if not name:
            raise ValueError("a child logger needs a name")
        return get_logger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: LoggingSeverity) -> None:
        """Let messages of this level and above through."""
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        """The level set for this logger, or for the nearest it belongs to."""
        return next(_levels[name] for name in _self_and_ancestors(self.name) if name in _levels)

    def is_enabled_for(self, severity: LoggingSeverity) -> bool:
        """Whether messages of this level are let through."""
        return severity >= self.get_effective_level()

    def debug(self, message: str, **options: Any) -> bool:
        """Log at DEBUG; see ``log``."""
        return self.log(message, LoggingSeverity.DEBUG, **options)

    def info(self, message: str, **options: Any) -> bool:
        """Log at INFO; see ``log``."""
        return self.log(message, LoggingSeverity.INFO, **options)

    def warning(self, message: str, **options: Any) -> bool:
        """Log at WARN; see ``log``."""
        return self.log(message, LoggingSeverity.WARN, **options)

    warn = warning

    def error(self, message: str, **options: Any) -> bool:
        """Log at ERROR; see ``log``."""
        return self.log(message, LoggingSeverity.ERROR, **options)

    def fatal(self, message: str, **options: Any) -> bool:
        """Log at FATAL; see ``log``."""
        return self.log(message, LoggingSeverity.FATAL, **options)

    def log(
        self,
        message: str,
        severity: LoggingSeverity,
        *,
        once: bool = False,
        skip_first: bool = False,
        throttle_duration_sec: float | None = None,
        throttle_time_source_type: Clock | None = None,
    ) -> bool:
        """Log a message, if its level is let through.

        Args:
            message: The text.
            severity: Its level.
            once: Log from this line of code only the first time.
            skip_first: Log from this line of code, but not the first time.
            throttle_duration_sec: Shortest time between messages from this line of code [s].
            throttle_time_source_type: The clock of that time; the system's if not given.

        Returns:
            Whether the message was logged.
        """
        if not self.is_enabled_for(severity):
            return False
        frame = _caller()
        site = (frame.f_code.co_filename, frame.f_lineno)
        if once or skip_first or throttle_duration_sec is not None:
            clock = throttle_time_source_type
            now = clock.now().nanoseconds if clock is not None else time.time_ns()
            last = self._sites.get(site)
            throttle = math.inf if once else (throttle_duration_sec or 0.0) * 1e9
            if last is not None and 0 <= now - last < throttle:
                return False
            self._sites[site] = now
            if skip_first and last is None:
                return False
        record = Record(
            time.time_ns(),
            LoggingSeverity(severity),
            self.name,
            str(message),
            frame.f_code.co_filename,
            frame.f_code.co_name,
            frame.f_lineno,
        )
        _emit(record)
        return True


_loggers: dict[str, RcutilsLogger] = {}


def get_logger(name: str) -> RcutilsLogger:
    """The logger of that name."""
    return _loggers.setdefault(name, RcutilsLogger(name))


def set_logger_level(name: str, level: LoggingSeverity) -> None:
    """Let messages of this level and above through; UNSET returns to the level above."""
    if level == LoggingSeverity.UNSET and name:
        _levels.pop(name, None)
    else:
        _levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """The level set for exactly this logger, or UNSET."""
    return _levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """The level that counts for this logger."""
    return get_logger(name).get_effective_level()


def severity(name: str) -> LoggingSeverity:
    """The level of that name, in capitals or not.

    Raises:
        ValueError: There is no such level.
    """
    try:
        return LoggingSeverity[name.upper()]
    except KeyError:
        known = ", ".join(level.name.lower() for level in LoggingSeverity)
        raise ValueError(f"{name!r} is not a log level; the levels are {known}") from None


def add_sink(logger: str, sink: Callable[[Record], object]) -> None:
    """Send what this logger and its children log to ``sink`` too."""
    _sinks[logger] = sink


def remove_sink(logger: str) -> None:
    """Undo ``add_sink``."""
    _sinks.pop(logger, None)


def _emit(record: Record) -> None:
    seconds, nanoseconds = divmod(record.stamp, 10**9)
    text = f"[{record.level.name}] [{seconds}.{nanoseconds:09d}] [{record.name}]: {record.message}"
    colour = _COLOURS.get(record.level) if _coloured() else None
    # Nobody may be listening any more, or the disk be full: what is logged there never fails.
    with suppress(OSError, ValueError, AttributeError):
        # One write for the line, so that lines of several processes do not mix.
        sys.stderr.write(f"{colour}{text}\033[0m\n" if colour else f"{text}\n")
        sys.stderr.flush()
    for name in _self_and_ancestors(record.name):
        if name in _sinks:
            _sinks[name](record)
            break


def _coloured() -> bool:
    wanted = os.environ.get("RCUTILS_COLORIZED_OUTPUT")
    if wanted in {"0", "1"}:
        return wanted == "1"
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def _self_and_ancestors(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""


def _caller() -> FrameType:
    frame = currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    assert frame is not None
    return frame
