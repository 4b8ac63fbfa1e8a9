# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of an operator's motion frames count, and until when the arm may move on them.

The rule: the arm may move until :data:`JOG_LIFETIME` after the newest good frame was *uttered*, not
after it arrived. So the browser's time is brought onto the server's by bounds that hold whatever
the network does, and a connection that stalls and then delivers everything moves nothing.
"""

from __future__ import annotations

import math
from collections import deque

from magma_ros.console.frames import JogNow, Motion
from magma_ros.console.robot import JOG_LIFETIME

WINDOW = 10.0
"""How long a measurement of a browser's clock counts [s]: two clocks that drift apart by the
500 ppm to which NTP slews them differ by 5 ms in this time."""

EVENNESS = 0.01
"""How far a browser's clock may contradict earlier measurements [s]; drift and coarse clocks."""


class BrowserClock:
    """What is known of a browser's clock: server time = browser time + offset, offset >= a bound.

    The browser reads its clock *after* the server has sent ``ping``: each answer proves that the
    offset is at least the time of sending less the time read. The greatest such bound of the last
    seconds, which comes from the fastest ping, makes frames look older than they are by its way
    to the browser at most, and never younger.
    """

    def __init__(self) -> None:
        self._bounds: deque[tuple[float, float]] = deque()  # (server time, least offset)
        self.round_trip = math.nan

    def answered(self, sent: float, at: float, now: float) -> None:
        """Take in an answer.

        Args:
            sent: When the ping was sent, server's clock [s].
            at: What the browser's clock read [s].
            now: When the answer came, server's clock [s].
        """
        self.round_trip = now - sent
        self.check(at, now)
        self._bounds.append((now, sent - at))

    def check(self, at: float, now: float) -> bool:
        """Whether a frame uttered at ``at`` [s] can have come at ``now`` [s]; forgets all if not.

        It cannot if the browser's clock has jumped ahead, or has run faster than ours.
        """
        bound = self._bound(now)
        if at + bound <= now + EVENNESS:
            return True
        self._bounds.clear()
        return False

    def uttered(self, at: float, now: float) -> float:
        """The earliest server time at which the browser's clock can have read ``at`` [s].

        ``-inf`` before the first answer.
        """
        return min(at + self._bound(now), now)

    def _bound(self, now: float) -> float:
        while self._bounds and now - self._bounds[0][0] > WINDOW:
            self._bounds.popleft()
        return max((bound for _, bound in self._bounds), default=-math.inf)


class MotionStream:
    """One browser's motion frames: in order, fresh, and of a hold that is still good.

    A hold is one uninterrupted press of keys. It ends with the keys' release, and with everything
    that stops the arm: expiry, loss of the lease, a stop. What has ended does not move the arm
    again: the operator must let go and press anew, as with any hold-to-run device.

    Attributes:
        skipped: Sequence numbers that never came, as a browser leaves out what it cannot send.
    """

    def __init__(self, clock: BrowserClock) -> None:
        self._clock = clock
        self._seq = -1
        self._hold = -1
        self._ended = -1  # the newest that is over
        self._expires = -math.inf
        self.skipped = 0

    @property
    def hold(self) -> int:
        """The newest hold on which the arm moved, -1 for none."""
        return self._hold

    @property
    def expires(self) -> float:
        """When the present hold is over unless another frame comes [s]; ``-inf`` if none is."""
        return self._expires

    def in_order(self, frame: Motion) -> str:
        """Count a frame's sequence number; what is wrong with it in one sentence, or empty."""
        if frame.seq <= self._seq:
            return (
                f"motion frame {frame.seq} is a replay: {self._seq} has been seen; nothing moves "
                "on it"
            )
        self.skipped += frame.seq - self._seq - 1 if self._seq >= 0 else 0
        self._seq = frame.seq
        return ""

    def judge(self, frame: JogNow, now: float) -> str:
        """Take a frame that is in order; why nothing moves on it in one sentence, or empty.

        A hold of which a frame is refused is to be :meth:`forfeit`.

        Args:
            frame: The frame.
            now: The server's time [s].
        """
        self.lapse(now)
        if frame.hold <= self._ended or frame.hold < self._hold:
            return "this hold is over; let go of the keys and press again"
        if not self._clock.check(frame.at, now):
            return "the browser's clock has jumped; let go of the keys and press again"
        uttered = self._clock.uttered(frame.at, now)
        if math.isinf(uttered):
            return "the browser's clock is not known yet; the next frames will do"
        if now - uttered >= JOG_LIFETIME:
            return (
                f"motion frame {frame.seq} is {now - uttered:.2f} s old; {JOG_LIFETIME:g} s are "
                "allowed"
            )
        self._hold = frame.hold
        self._expires = uttered + JOG_LIFETIME
        return ""

    def forfeit(self, hold: int) -> None:
        """End the present hold and one that was refused, lest it move the arm later on."""
        self.end()
        self._ended = max(self._ended, hold)

    def lapse(self, now: float) -> bool:
        """End a hold whose time is over; whether one was ended."""
        if self._expires == -math.inf or now < self._expires:
            return False
        self.end()
        return True

    def end(self) -> None:
        """End the present hold, and with it all earlier ones."""
        self._ended = max(self._ended, self._hold)
        self._expires = -math.inf
