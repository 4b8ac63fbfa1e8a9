# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A modelled line to a policy elsewhere: the answers are real, their delays are drawn by seed.

There is no socket: an observation is turned into a question, pictures included, and answered at
once by the policy, and the answer becomes known when it would have come. The line carries TCP, so
what is lost is late:

- each way takes ``delay``, changed by up to ``jitter`` either way, and the question its size
  divided by ``rate`` besides;
- a lost packet costs a round trip, one of the last :data:`TAIL` of a message, after which nothing
  tells the sender of it, :data:`TIMEOUT` more (Linux's least retransmission timeout);
- what meets a cut arrives :data:`TIMEOUT` after its end at the earliest.

The robot's side is :class:`~magma_ros.remote.ledger.Ledger`, as on a robot.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from magma_ros.evaluation.computers.load import HORIZON
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.world import Scene
from magma_ros.gate.far import FarPlan
from magma_ros.remote.forecast import RoundTrips, Told
from magma_ros.remote.ledger import Ledger, LineRules
from magma_ros.remote.messages import decode_picture, encode_picture
from magma_ros.types import Clock, Observation

PACKET = 1448
"""Bytes of a message in one packet (Ethernet, TCP with timestamps)."""

TAIL = 3
"""Last packets of a message whose loss only a timeout tells of: fewer than three duplicate
acknowledgements follow (RFC 5681)."""

TIMEOUT = 0.2
"""Least retransmission timeout of Linux [s]."""

ANSWER = 1000
"""Bytes of an answer: a plan, figures, timings."""

REHEARSED = 20
"""Questions answered before an episode begins, as those of a robot that waits for its leave."""


@dataclass(frozen=True, slots=True)
class LineConditions:
    """How a line is.

    Attributes:
        delay: Time of each way [s].
        jitter: Greatest change of that, either way [s].
        loss: Share of packets lost.
        cut_every: Mean time from one cut to the next [s]; 0 for none.
        cut: Duration of a cut [s].
        rate: Of the robot's uplink [bit/s].
        compute: Time that an answer mostly takes to compute [s].
        quality: JPEG quality of the pictures sent, or 0 to send them as they are.

    Raises:
        EvaluationError: A figure makes no sense.
    """

    delay: float = 0.005
    jitter: float = 0.0
    loss: float = 0.0
    cut_every: float = 0.0
    cut: float = 2.0
    rate: float = 20e6
    compute: float = 0.015
    quality: int = 85

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise EvaluationError(f"{field.name} of a line must be 0 or more, not {value}")
        if not (self.loss < 1.0 and self.rate > 0.0 and self.quality <= 100):
            raise EvaluationError("a line needs a loss below 1, a rate, and a quality up to 100")
        if self.jitter > self.delay:
            raise EvaluationError(
                f"a jitter of {self.jitter:g} s is more than the delay of {self.delay:g} s"
            )


Answer = Callable[[Observation], FarPlan]
"""The policy elsewhere."""


class ModelledLine:
    """A line in simulated time; see :class:`~magma_ros.gate.far.FarLine`.

    Args:
        conditions: How it is.
        answer: The policy elsewhere, which answers at once.
        rules: As for a robot's line.
    """

    def __init__(self, conditions: LineConditions, answer: Answer, rules: LineRules) -> None:
        self._conditions, self._answer, self._rules = conditions, answer, rules
        self._rng = np.random.default_rng(0)
        self._ledger = Ledger(rules)
        self._cuts: list[tuple[float, float]] = []
        self._coming: deque[tuple[float, FarPlan, int, Told]] = deque()
        self._reopens = math.inf
        self._clock: Clock

    def begin(self, scene: Scene, clock: Clock) -> None:
        """Start anew with an episode whose time is that of ``clock``."""
        names = [zlib.crc32(name.encode()) for name in (scene.suite, scene.task, scene.split)]
        self._rng = np.random.default_rng([zlib.crc32(b"line"), *names, scene.seed])
        self._clock, self._ledger = clock, Ledger(self._rules)
        self._cuts, self._reopens = self._draw_cuts(), math.inf
        self._coming.clear()
        self._ledger.opened()
        self._ledger.trips = self._rehearsed()

    @property
    def newest(self) -> FarPlan | None:
        """The newest plan that has come."""
        self._catch_up()
        return self._ledger.newest

    def ask(self, observation: Observation, now: float, deadline: float) -> None:
        """Ask about ``observation`` if that is worth it."""
        self._catch_up()
        if self._ledger.ask(observation, now, deadline) is None:
            return
        seen, size = self._travelled(observation)
        compute = self._draw_compute()
        there = self._arrival(now, size) + compute
        self._coming.append(
            (self._arrival(there, ANSWER), self._answer(seen), size, Told(0.0, compute))
        )

    def hope(self, stamp: float) -> float:
        """Until when an answer about ``stamp`` may be hoped for [s]."""
        self._catch_up()
        return self._ledger.hope(stamp)

    def wait(self, stamp: float, until: float) -> None:
        """Let time pass until that answer has come, or ``until`` [s]."""
        if self._ledger.hope(stamp) == -math.inf:
            return
        arrival = self._coming[0][0] if self._coming else math.inf
        self._clock.sleep_until(min(arrival, until))
        self._catch_up()

    def forget(self) -> None:
        """Drop all answers, and those still to come."""
        self._ledger.forget()

    def _catch_up(self) -> None:
        """Let everything happen that has by now."""
        now, pending = self._clock.now(), self._ledger.pending
        given_up = math.inf if pending is None else pending.asked + self._rules.patience
        if self._coming and self._coming[0][0] <= min(now, given_up):
            arrival, plan, size, told = self._coming.popleft()
            self._ledger.answered(plan, arrival, size, told)
        elif now > given_up:
            self._coming.clear()
            self._ledger.lost("silent", silent=True)
            # Opening a line takes a round trip for TCP, one for the upgrade, and the greeting.
            self._reopens = self._arrival(given_up, 0) + 4.0 * self._conditions.delay
        if now >= self._reopens:
            self._reopens = math.inf
            self._ledger.opened()

    def _travelled(self, observation: Observation) -> tuple[Observation, int]:
        """What arrives of an observation, and its size [bytes]."""
        quality = self._conditions.quality
        if not quality:
            return observation, 500 + sum(image.nbytes for image in observation.images.values())
        sent = {name: encode_picture(image, quality) for name, image in observation.images.items()}
        seen = {name: decode_picture(data) for name, data in sent.items()}
        return replace(observation, images=seen), 500 + sum(map(len, sent.values()))

    def _arrival(self, sent: float, size: int) -> float:
        """When a message of ``size`` bytes arrives [s]."""
        conditions, rng = self._conditions, self._rng
        taken = conditions.delay + rng.uniform(-1.0, 1.0) * conditions.jitter
        taken += 8.0 * size / conditions.rate
        packets = max(1, math.ceil(size / PACKET))
        lost = rng.random(packets) < conditions.loss
        if lost.any():
            taken += 2.0 * conditions.delay + (TIMEOUT if lost[-TAIL:].any() else 0.0)
        for begin, end in self._cuts:
            if sent < end and sent + taken > begin:
                return end + TIMEOUT + taken
        return sent + taken

    def _draw_compute(self) -> float:
        return float(self._conditions.compute * self._rng.lognormal(0.0, 0.1))

    def _draw_cuts(self) -> list[tuple[float, float]]:
        conditions, cuts = self._conditions, []
        now = 0.0
        while conditions.cut_every > 0.0 and now < HORIZON:
            begin = now + self._rng.exponential(conditions.cut_every)
            now = begin + conditions.cut
            cuts.append((begin, now))
        return cuts

    def _rehearsed(self) -> RoundTrips:
        """What has been learned of the line before, while nothing was cut."""
        trips, size = RoundTrips(), 8000
        cuts, self._cuts = self._cuts, []
        for _ in range(REHEARSED):
            compute = self._draw_compute()
            trips.observe(
                self._arrival(self._arrival(0.0, size) + compute, ANSWER), size, Told(0.0, compute)
            )
        self._cuts = cuts
        return trips
