# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One operator at a time may move the robot; others watch and may ask for the lease."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

PATIENCE = 10.0
"""Time after which a holder who does not answer loses the lease to who asks for it [s]."""

Who = TypeVar("Who")


class Lease(Generic[Who]):
    """Who may move the robot, and who would like to.

    Times are passed in, on any one clock [s].

    Attributes:
        holder: Who holds the lease, or None.
        asking: Who has asked the holder for it, or None.
    """

    def __init__(self) -> None:
        self.holder: Who | None = None
        self.asking: Who | None = None
        self._deadline = math.inf

    def ask(self, who: Who, now: float) -> bool:
        """Give somebody the lease if it is free, else ask the holder; whether they have it now.

        While one waits, others are not noted.
        """
        self.lapse(now)
        if self.holder is None:
            self._give(who)
        elif self.holder is not who and self.asking is None:
            self.asking, self._deadline = who, now + PATIENCE
        return self.holder is who

    def left(self, now: float) -> float:
        """Time until the holder loses the lease to who asks [s], ``inf`` if nobody does."""
        return max(0.0, self._deadline - now)

    def grant(self, who: Who) -> bool:
        """Pass the lease on to who asks, if ``who`` holds it and somebody does."""
        if self.holder is not who or self.asking is None:
            return False
        self._give(self.asking)
        return True

    def keep(self, who: Who) -> bool:
        """Decline who asks, if ``who`` holds the lease and somebody does."""
        if self.holder is not who or self.asking is None:
            return False
        self._forget_asking()
        return True

    def drop(self, who: Who) -> None:
        """Give up what is held and what is asked for; who asked a holder gets the lease."""
        if self.asking is who:
            self._forget_asking()
        if self.holder is who:
            self._give(self.asking)

    def lapse(self, now: float) -> None:
        """Pass the lease on if the holder has not answered in time."""
        if now >= self._deadline:
            self._give(self.asking)

    def _give(self, who: Who | None) -> None:
        self.holder = who
        self._forget_asking()

    def _forget_asking(self) -> None:
        self.asking, self._deadline = None, math.inf
