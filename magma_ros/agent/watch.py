# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports problems that last: once when they appear, and again at intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

REMIND_AFTER = 10.0
"""Time after which a problem that is still there is reported again [s]."""

STANDSTILL = 1.0
"""Time in which a clock must have advanced [s]."""


class Watch:
    """Keeps account of what is wrong, look by look.

    A problem counts once two looks in a row have found it: a single late message is none.

    Attributes:
        lasting: What is wrong, by name, with a sentence each.
    """

    def __init__(self) -> None:
        self.lasting: dict[str, str] = {}
        self._before: set[str] = set()
        self._told: dict[str, float] = {}
        self._moment, self._moved = -math.inf, math.inf

    def update(self, problems: Mapping[str, str], now: float) -> list[tuple[str, str]]:
        """Update with the problems found at ``now`` [s]; returns those to report now."""
        self.lasting = {name: why for name, why in problems.items() if name in self._before}
        self._before = set(problems)
        self._told = {name: when for name, when in self._told.items() if name in problems}
        due = [
            (name, why)
            for name, why in self.lasting.items()
            if now - self._told.get(name, -math.inf) >= REMIND_AFTER
        ]
        self._told |= dict.fromkeys(dict(due), now)
        return due

    def standstill(self, moment: float, now: float) -> bool:
        """Whether a clock that shows ``moment`` [s] has not advanced for a while at ``now`` [s]."""
        if moment != self._moment:
            self._moment, self._moved = moment, now
        return now - self._moved > STANDSTILL
