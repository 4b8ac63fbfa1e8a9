# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a message was received, and its own stamp."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from statistics import median

NANOSECONDS = 1_000_000_000


class LogClock:
    """Gives every message the time at which it was received [ns].

    On real time it counts from the start on a steady clock, so that a wall clock that is set
    meanwhile (NTP) does not stretch the recording. On simulated time it follows ``/clock``, and
    gives no time before the first one.

    Args:
        now: The node's clock [ns]; 0 while simulated time has not begun.
        steady: A clock that is never set [ns].
        simulated: Whether the node's clock follows ``/clock``.
    """

    def __init__(
        self, now: Callable[[], int], steady: Callable[[], int], *, simulated: bool
    ) -> None:
        self._now, self._steady, self._simulated = now, steady, simulated
        self._offset = now() - steady()

    def now(self) -> int | None:
        """The time, or None before the first ``/clock``."""
        if not self._simulated:
            return self._steady() + self._offset
        return self._now() or None


def header_stamp(data: bytes) -> int | None:
    """The stamp of a serialised message that begins with a ``std_msgs/Header`` [ns].

    None if it is not set or impossible. CDR begins with four bytes, the second of which gives the
    byte order (OMG DDSI-RTPS 2.5, section 10.2).
    """
    if len(data) < 12:
        return None
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    if seconds < 0 or nanoseconds >= NANOSECONDS or (seconds == 0 and nanoseconds == 0):
        return None
    return int(seconds) * NANOSECONDS + int(nanoseconds)


class GapCounter:
    """Counts the messages missing from a topic that comes at a steady rate, from their stamps.

    The period is the median of the last regular intervals. A sender that was late and catches up
    misses nothing: as many short intervals as follow a long one are taken off again. DDS says
    nothing of messages that a late reader found replaced by newer ones, so this is an estimate;
    what the sender left out counts too.
    """

    WINDOW = 30
    """Regular intervals remembered, and irregular ones in a row that mean another rate."""

    def __init__(self) -> None:
        self.missing = 0
        self._owed = 0  # messages of the last gap that may still come
        self._irregular = 0
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=self.WINDOW)

    def add(self, stamp: int) -> None:
        """Take the stamp of the next message [ns]."""
        last, self._last = self._last, stamp
        if last is None or stamp <= last:
            return
        interval = stamp - last
        period = median(self._intervals) if len(self._intervals) >= 5 else interval
        if 0.5 * period <= interval <= 1.5 * period:
            self._irregular = 0
            self._intervals.append(interval)
            return
        self._irregular += 1
        if self._irregular > self.WINDOW:
            self._intervals.clear()
        if interval > period:
            self._owed = round(interval / period) - 1
            self.missing += self._owed
        elif self._owed:
            self._owed -= 1
            self.missing -= 1
