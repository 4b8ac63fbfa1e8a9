# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked of a policy elsewhere, what has come back, and whether to ask again.

One question is on its way at a time: servers of openpi's protocol answer in order, so a second one
would only wait behind the first, and grow old there. This is the line's state alone; whoever keeps
it moves the bytes and brings the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from magma_ros.gate.far import FarPlan
from magma_ros.remote.forecast import Grant, RoundTrips, Told
from magma_ros.types import Observation

LEAST_CHANCE = 0.1
"""Share of the latest answers that must have come within the time left for one to be waited for."""

TRIAL = 10
"""Observations in a row about which it was not worth asking, after which one is asked about all the
same: a line that is never used is never found to have become faster."""


class LineState(Enum):
    """How the line is; the value is the sentence shown to people."""

    CONNECTING = "The line to the policy elsewhere is being opened."
    OPEN = "The policy elsewhere answers."
    BUSY = "The policy elsewhere has no time for this robot."
    SILENT = "The policy elsewhere has not answered the last question."
    CUT = "The line to the policy elsewhere is cut."
    REFUSED = "What the policy elsewhere says cannot be used."

    @property
    def sentence(self) -> str:
        """The state as a sentence."""
        return self.value


@dataclass(frozen=True, slots=True)
class LineRules:
    """When a question is worth asking.

    Attributes:
        longest_age: How old a plan may be that is still of use for a later observation [s].
        patience: Silence after which a question counts as lost [s].
    """

    longest_age: float = 0.3
    patience: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An observation that was asked about.

    Attributes:
        observation: The same.
        asked: When [s], monotonic.
        deadline: Until when its answer is in time [s], likewise.
        grant: What time the server has for it.
        number: Counts questions.
    """

    observation: Observation
    asked: float
    deadline: float
    grant: Grant
    number: int


@dataclass(slots=True)
class LineCounts:
    """How often what has happened on a line.

    Attributes:
        asked: Questions sent.
        answered: Answers that could be used.
        refused: Answers that could not.
        busy: Questions that the policy elsewhere had no time for.
        lost: Questions that were not answered.
        cuts: Times that an open line was cut.
    """

    asked: int = 0
    answered: int = 0
    refused: int = 0
    busy: int = 0
    lost: int = 0
    cuts: int = 0


@dataclass(slots=True)
class Ledger:
    """The state of one line.

    Args:
        rules: When a question is worth asking.

    Attributes:
        state: How the line is.
        connected: Whether questions can be sent.
        detail: More of that in one sentence, or empty.
        trips: The latest round trips.
        counts: How often what has happened.
        newest: The newest plan, or None.
        pending: The question on its way, or None.
    """

    rules: LineRules = field(default_factory=LineRules)
    state: LineState = LineState.CONNECTING
    connected: bool = False
    detail: str = ""
    trips: RoundTrips = field(default_factory=RoundTrips)
    counts: LineCounts = field(default_factory=LineCounts)
    newest: FarPlan | None = None
    pending: Question | None = None
    _number: int = 0
    _since: int = 0  # the first question whose answer is still wanted
    _passed_over: int = 0

    @property
    def sentence(self) -> str:
        """The state, and what is known of it."""
        if not self.detail:
            return self.state.sentence
        return f"{self.state.sentence.removesuffix('.')}: {self.detail}."

    def ask(self, observation: Observation, now: float, deadline: float) -> Question | None:
        """Note a question about ``observation``, to be sent; None if it is not worth it.

        It is if the answer is forecast to come before the deadline, or will mostly come soon enough
        to be of use for a later observation.
        """
        if self.pending is not None or not self.connected:
            return None
        if not self._worth(deadline - now):
            self._passed_over += 1
            return None
        self._passed_over = 0
        self._number += 1
        self.counts.asked += 1
        grant = self.trips.grant(deadline - now, self.rules.longest_age)
        self.pending = Question(observation, now, deadline, grant, self._number)
        return self.pending

    def hope(self, stamp: float) -> float:
        """Until when the answer about ``stamp`` may be hoped for; see :class:`FarLine`."""
        asked = self.pending
        if asked is None or asked.observation.stamp != stamp or asked.number < self._since:
            return -math.inf
        if self.trips.chance(asked.deadline - asked.asked) < LEAST_CHANCE:
            return -math.inf
        return asked.asked + self.trips.tail()

    def opened(self) -> None:
        """The line is open; one that was silent or unusable stays that until it has answered."""
        self.connected = True
        if self.state not in (LineState.SILENT, LineState.REFUSED):
            self.state, self.detail = LineState.OPEN, ""

    def answered(self, plan: FarPlan, now: float, size: int, told: Told | None = None) -> None:
        """The question on its way was answered at ``now`` [s]; ``size`` is its own [bytes]."""
        asked, self.pending = self.pending, None
        if asked is None:
            return
        self.trips.observe(now - asked.asked, size, told)
        self.counts.answered += 1
        self.state, self.detail = LineState.OPEN, ""
        if asked.number >= self._since:
            self.newest = plan

    def refused(self, why: str, now: float, size: int) -> None:
        """The question, or the line's opening, was answered with what cannot be used."""
        asked, self.pending = self.pending, None
        if asked is not None:
            self.trips.observe(now - asked.asked, size)
            self.counts.refused += 1
        self.state, self.detail = LineState.REFUSED, why

    def declined(self, why: str) -> None:
        """There is no time for the question; how long a plan would take is not learnt from that."""
        self.pending = None
        self.counts.busy += 1
        self.state, self.detail = LineState.BUSY, why

    def unsent(self, why: str) -> None:
        """The question cannot be sent."""
        self.pending = None
        self.state, self.detail = LineState.REFUSED, why

    def silent(self, now: float) -> bool:
        """Whether the question on its way counts as lost at ``now`` [s]."""
        return self.pending is not None and now - self.pending.asked > self.rules.patience

    def lost(self, why: str, *, silent: bool = False) -> None:
        """The line was cut, and with it the question on its way; or it could not be opened."""
        self.counts.lost += self.pending is not None
        self.counts.cuts += self.connected
        self.connected, self.pending = False, None
        if self.state is not LineState.REFUSED:
            self.state, self.detail = LineState.SILENT if silent else LineState.CUT, why

    def forget(self) -> None:
        """Drop all answers, and those to questions asked so far."""
        self.newest = None
        self._since = self._number + 1

    def _worth(self, left: float) -> bool:
        if self._in_time(left) or self._passed_over >= TRIAL:
            return True
        return self.trips.typical() <= self.rules.longest_age

    def _in_time(self, left: float) -> bool:
        """Whether an answer is forecast to come within ``left`` [s], as far as is known."""
        return not self.trips or self.trips.tail() <= left
