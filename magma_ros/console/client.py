# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One browser on the motion link: what waits to be sent to it, and how it behaves."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from magma_ros.console.motion import BrowserClock, MotionStream

QUEUE = 64
"""Frames that may wait for a browser that reads slowly, besides the newest state."""

PINGS = 8
"""Pings whose answers are still waited for; older ones are forgotten."""

Frame = Mapping[str, object]
"""A frame to a browser; JSON, without NaN and infinity."""


class CloseCode(IntEnum):
    """Why a socket is closed (RFC 6455, section 7.4.1)."""

    GOING_AWAY = 1001
    POLICY_VIOLATION = 1008
    TRY_AGAIN_LATER = 1013


class Closing(NamedTuple):
    """That a socket shall be closed, and why."""

    code: CloseCode
    sentence: str


class Allowance:
    """So much at once, and so much a second in the long run (a token bucket).

    Args:
        burst: How much at once.
        rate: How much a second.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._time = burst, -math.inf

    def take(self, now: float) -> bool:
        """Use one, if one is left at ``now`` [s]; whether it was."""
        gained = (now - self._time) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._time = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Outbox:
    """Frames on their way to a browser; what it does not read in time is dropped or ends it.

    Of kinds that are soon out of date only the newest waits; of others :data:`QUEUE`.

    Args:
        on_put: Called after every frame.
    """

    def __init__(self, on_put: Callable[[], None] = lambda: None) -> None:
        self._queue: deque[Frame] = deque()
        self._newest: dict[str, Frame] = {}
        self.on_put = on_put

    def put(self, frame: Frame) -> bool:
        """Add one that must be read; False if too many wait already."""
        if len(self._queue) >= QUEUE:
            return False
        self._queue.append(frame)
        self.on_put()
        return True

    def put_newest(self, frame: Frame) -> None:
        """Add one in place of an older one of its type."""
        self._newest[str(frame["type"])] = frame
        self.on_put()

    def take(self) -> str | None:
        """The next message, or None if nothing waits."""
        if self._queue:
            return json.dumps(self._queue.popleft(), allow_nan=False)
        if self._newest:
            return json.dumps(self._newest.pop(next(iter(self._newest))), allow_nan=False)
        return None


@dataclass(slots=True, eq=False)
class Client:
    """A browser.

    Attributes:
        number: Of the connection; never used twice.
        joined: When it connected [s].
        heard: When it last sent anything [s].
        name: Who sits there, empty before ``hello``.
        outbox: What is to be sent.
        clock: What is known of its clock.
        stream: Its motion frames.
        closing: Set when the connection shall end.
        requests: Requests that wait for the robot's answer.
        pings: When the last pings were sent, by number [s].
        refused: Messages that were refused.
    """

    number: int
    joined: float
    heard: float
    name: str = ""
    outbox: Outbox = field(default_factory=Outbox)
    clock: BrowserClock = field(default_factory=BrowserClock)
    stream: MotionStream = field(init=False)
    closing: Closing | None = None
    requests: int = 0
    refused: int = 0
    pings: dict[int, float] = field(default_factory=dict)
    _pinged: int = 0
    _messages: Allowance = field(default_factory=lambda: Allowance(1000, 100))
    _faults: Allowance = field(default_factory=lambda: Allowance(20, 0.2))
    _sentences: Allowance = field(default_factory=lambda: Allowance(5, 2))

    def __post_init__(self) -> None:
        """Its motion is judged by its clock."""
        self.stream = MotionStream(self.clock)

    def send(self, frame: Frame) -> None:
        """Send a frame; close the connection if the browser has stopped reading."""
        if not self.outbox.put(frame):
            self.close(CloseCode.TRY_AGAIN_LATER, "the browser reads too slowly")

    def send_newest(self, frame: Frame) -> None:
        """Send a frame in place of those of its type that still wait."""
        self.outbox.put_newest(frame)

    def close(self, code: CloseCode, sentence: str) -> None:
        """Wish for the connection's end; the first reason stays."""
        if self.closing is None:
            self.closing = Closing(code, sentence)
            self.outbox.on_put()

    def refuse(self, sentence: str, now: float) -> None:
        """Say why something was not done, unless that has been said very often."""
        self.refused += 1
        if self._sentences.take(now):
            self.send({"type": "refused", "sentence": sentence, "count": self.refused})

    def blame(self, sentence: str, now: float) -> None:
        """Refuse what no browser of ours sends; too much of it ends the connection."""
        self.refuse(sentence, now)
        if not self._faults.take(now):
            self.close(CloseCode.POLICY_VIOLATION, "too many messages were wrong")

    def floods(self, now: float) -> bool:
        """Count a message; whether there are too many."""
        return not self._messages.take(now)

    def ping(self, now: float) -> None:
        """Ask for a sign of life and the time on its clock."""
        self._pinged += 1
        self.pings[self._pinged] = now
        self.pings.pop(self._pinged - PINGS, None)
        self.outbox.put_newest({"type": "ping", "id": self._pinged})
