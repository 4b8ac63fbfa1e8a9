# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a stamp can be what it claims: increasing, recent, and not of the future."""

from __future__ import annotations

import math

from magma_ros.types import MagmaError

MAX_LEAD = 0.1
"""How far ahead of this machine's clock a stamp may be [s]: clocks that are aligned by NTP
differ by less, and a simulator's ``/clock`` may come later than what is stamped with it."""

OTHER_CLOCK = 1e6
"""Difference beyond which a stamp must come from a clock with another origin [s]."""


class StampError(MagmaError):
    """A stamp cannot be used; the text names whose, why, and by how much."""


class StampCheck:
    """Judges the stamps of one input, one after the other.

    Attributes:
        newest: The newest stamp accepted [s]; ``-inf`` before the first.
    """

    def __init__(self, what: str, max_age: float, max_lead: float = MAX_LEAD) -> None:
        """Judge the stamps of ``what``.

        Args:
            what: Name of the input, to begin a sentence with.
            max_age: Age beyond which a stamp is refused [s].
            max_lead: How far in the future a stamp may lie [s].
        """
        self.newest = -math.inf
        self._what = what
        self._max_age = max_age
        self._max_lead = max_lead

    def accept(self, stamp: float, now: float) -> bool:
        """Take in ``stamp`` at ``now`` [s]; False if it is the newest one once more.

        Raises:
            StampError: It is zero, too old, in the future, or older than one before.
        """
        if self.newest > now + self._max_lead:  # the clock has jumped back
            self.newest = -math.inf
        if not stamp > 0.0:
            raise StampError(f"{self._what} is stamped zero; its driver must stamp what it sends")
        age = now - stamp
        if abs(age) > OTHER_CLOCK:
            raise StampError(
                f"{self._what} is stamped {abs(age):.0f} s in the {'past' if age > 0 else 'future'}"
                "; its driver does not use the clock of ROS (use_sim_time must be alike, too)"
            )
        if age > self._max_age:
            raise StampError(
                f"{self._what} is stamped {age:.2f} s in the past, but may be {self._max_age:g} s "
                "old; align the clocks or speed up its way here"
            )
        if -age > self._max_lead:
            raise StampError(
                f"{self._what} is stamped {-age:.2f} s in the future; align the clocks"
            )
        if stamp < self.newest:
            raise StampError(
                f"{self._what} is stamped {self.newest - stamp:.3f} s before the one that came "
                "earlier; is there a second publisher?"
            )
        repeated = stamp == self.newest
        self.newest = stamp
        return not repeated
