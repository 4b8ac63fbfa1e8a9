# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: admission by deadline, depth by what time is left, no robot left out.

One policy answers many robots, one *way* at a time: the stages from one exit to the next, which are
not interrupted. Of each way the typical time and the tail are forecast. So many ways in a row are
taken to last their typical times, and the square root of their number times what one may last
beyond it, as independent delays do. Nothing here reads a clock or waits.

- *Admission*: a request without an answer needs the way to the first exit. It is admitted if all
  who need it can have it in time, the earliest deadline first; that order meets every deadline that
  any order can (Jackson 1955). So no admitted request is late while ways keep to their forecasts.
- *By stage*: those without an answer come first, then those at exit 1, and so on; among equals the
  earliest deadline. Ways to the same exit therefore run one after the other.
- *Depth*: an answer in hand is given at once when the next way would not end before its deadline,
  behind the ways that come before it. Nor is a way started during which so many robots may ask that
  one of them could not be answered in time. So depth falls as load rises, and recovers with it.
- *Fairness*: where not all fit, a request takes the place of a waiting one whose robot had more
  answers in time lately.
- *Late*: who is not admitted is answered by the first exit as soon as no admitted request waits for
  its own, first come, first served, and of one robot only the newest: a late plan is entered at the
  step that is now. So late answers delay no admitted one. Where one is forecast to be of no use
  even so, with the share of the time that admitted requests took lately, the request is refused at
  once: those that wait stay few, and under lasting overload nobody waits in vain.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple, Protocol

from magma_ros.serving.fairness import ACTIVE, Served
from magma_ros.serving.room import Room

HEADROOM = 0.1
"""Share of a forecast that must be left over besides, as in :mod:`magma_ros.gate.loop`."""

PATIENCE = 32
"""How many times its time a request may wait that states none."""

FULL = "the server is busy: {} requests wait already; ask again later"
CROWDED = (
    "the server is busy: no answer fits in the {:.0f} ms that are left; act on what is at hand"
)
DISPLACED = "the server is busy: others had fewer answers; act on what is at hand"
LATE = "the time ran out while the request waited; act on what is at hand"
SUPERSEDED = "a newer request of this robot waits; act on what is at hand"


class Forecast(Protocol):
    """How long the ways take."""

    def tail(self, depth: int) -> float:
        """Time that the way to exit ``depth`` from the one before will hardly exceed [s]."""
        ...

    def typical(self, depth: int) -> float:
        """Time that it mostly takes [s]."""
        ...

    def average(self, depth: int) -> float:
        """Mean time that it took lately [s]."""
        ...

    def admits(self, depth: int, left: float) -> bool:
        """Whether it may be started with ``left`` [s]; now and then although it does not fit."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way.

    Attributes:
        robot: Who asks.
        arrived: When the request was received [s].
        deadline: When its answer must be ready [s].
        deepest: Deepest exit wanted.
        patient: Whether the deadline is a wish: it is put off before the request is refused.
        speculative: Whether it comes after all that are not.
        useful: Until when an answer is of use that could not be ready by the deadline [s].
        exit: Exit of the answer in hand, 0 for none.
        admitted: Whether the first answer is to be ready by the deadline; if not, it is given as
            soon as there is time for it, and is the only one.
    """

    robot: str
    arrived: float
    deadline: float
    deepest: int
    patient: bool = False
    speculative: bool = False
    useful: float = -math.inf
    exit: int = 0
    admitted: bool = True


class Refusal(NamedTuple):
    """A request that will not be answered, and why, in a sentence."""

    job: Job
    sentence: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now.

    Attributes:
        job: Whose next way to run, or None.
        finished: Whose answer in hand to give.
        refused: Who will get none.
    """

    job: Job | None
    finished: list[Job] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class Schedule:
    """The requests at hand and the order of their ways.

    Args:
        forecast: Of the ways' durations.
        most: Requests that may be at hand.
    """

    def __init__(self, forecast: Forecast, *, most: int = 256) -> None:
        self._forecast = forecast
        self._most = most
        self._jobs: list[Job] = []
        self._running: Job | None = None
        self._free = 0.0
        self._asked: dict[str, tuple[float, float]] = {}  # of each robot, when [s] and time left
        self._admitted: deque[float] = deque()  # when [s], lately
        self.served = Served()

    def __len__(self) -> int:
        return len(self._jobs)

    def offer(self, job: Job, now: float) -> list[Refusal]:
        """Take in a request if it can be answered in time, or late while that is of use.

        Returns:
            Who is refused for it: nobody, the request itself, or some that waited.
        """
        self.served.ask(job.robot, now)
        left = job.deadline - now
        if len(self._jobs) >= self._most:
            return [Refusal(job, FULL.format(self._most))]
        victim = None
        if not self._fits(job, now):
            victim = self._displaced_by(job, now)
            if victim is None:
                return self._postpone(job, now, CROWDED.format(1e3 * max(0.0, left)))
        self._jobs.append(job)
        self._admitted.append(now)
        self._forget_admitted(now)
        if not job.speculative:
            self._asked[job.robot] = (now, left)
        return [] if victim is None else self._postpone(victim, now, DISPLACED)

    def turn(self, now: float) -> Turn:
        """Whose next way to run; :meth:`ran` must follow before the next turn."""
        turn = Turn(None, refused=self._too_late(now))
        at, chosen = now, None
        room = cache(partial(self._room, now))  # many a turn needs none
        for job in sorted(self._jobs, key=_order):
            way = self._forecast.tail(job.exit + 1)
            alone = len(self._jobs) == 1
            if job.exit and not self._worth_starting(job, at, way, room, alone=alone):
                turn.finished.append(job)
                continue
            # The way that runs next may take its tail; those after it mostly take less.
            at += way if chosen is None else self._forecast.typical(job.exit + 1)
            chosen = chosen or job
        for job in turn.finished:
            self._finish(job, now)
        self._running = chosen
        if chosen is None:
            return turn
        self._free = now + self._forecast.tail(chosen.exit + 1)
        return Turn(chosen, turn.finished, turn.refused)

    def ran(self, job: Job, now: float, *, enough: bool) -> bool:
        """The way of a job has been run.

        Args:
            job: Whose turn it was.
            now: When it ended [s].
            enough: Whether the gate wants no deeper answer.

        Returns:
            Whether the answer in hand is to be given now.
        """
        self._running, self._free = None, now
        job.exit += 1
        if job not in self._jobs:  # it has left meanwhile
            return False
        if enough or job.exit >= job.deepest:
            self._finish(job, now)
            return True
        return False

    def leave(self, job: Job) -> None:
        """Whoever asked is gone, or the policy failed; a way that runs goes on to its end."""
        if job in self._jobs:
            self._jobs.remove(job)

    def drain(self) -> list[Job]:
        """Everybody at hand, who then is no more."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def wait(self, now: float) -> float:
        """Forecast of how long a request that came now would wait for its first way [s]."""
        ahead = sum(not job.speculative for job in self._waiting())
        left = self._free - now if self._running else 0.0
        return max(0.0, left) + self._first_ways(ahead)

    def _waiting(self, *, admitted: bool = True) -> list[Job]:
        """Those without an answer whose first way has not begun."""
        return [
            job
            for job in self._jobs
            if job.admitted is admitted and not job.exit and job is not self._running
        ]

    def _fits(self, job: Job, now: float) -> bool:
        """Whether all who wait can be answered in time with this one; puts off a patient one."""
        others = self._waiting()
        if not others and self._running is None:
            if self._forecast.admits(1, job.deadline - now):
                return True
            if not job.patient or job.deadline <= now:
                return False
        wish, stretch = job.deadline - job.arrived, 1
        while not self._feasible([*others, job], now, job):
            stretch *= 2
            if not job.patient or stretch > PATIENCE:
                job.deadline = job.arrived + wish
                return False
            job.deadline = job.arrived + stretch * wish
        return True

    def _feasible(self, jobs: Iterable[Job], now: float, newcomer: Job) -> bool:
        """Whether all have their first answer in time; who may not need it is nobody's concern."""
        begin = max(now, self._free if self._running else now)
        for number, job in enumerate(sorted(jobs, key=_order), 1):
            late = begin + self._first_ways(number) > job.deadline
            if late and (job is newcomer or not job.speculative):
                return False
        return True

    def _first_ways(self, count: int) -> float:
        """Time that so many ways to the first exit in a row will hardly exceed [s]."""
        typical = self._forecast.typical(1)
        return count * typical + math.sqrt(count) * max(0.0, self._forecast.tail(1) - typical)

    def _displaced_by(self, job: Job, now: float) -> Job | None:
        """A waiting request in whose place this one can be answered in time."""
        waiting = self._waiting()
        had = self.served.given(job.robot, now)
        less = [
            (not other.speculative, -self.served.given(other.robot, now), number, other)
            for number, other in enumerate(waiting)
            if not job.speculative
            and (other.speculative or self.served.given(other.robot, now) >= had + 1.0)
        ]
        for *_, other in sorted(less):
            if self._feasible([*(j for j in waiting if j is not other), job], now, job):
                return other
        return None

    def _postpone(self, job: Job, now: float, sentence: str) -> list[Refusal]:
        """Answer a request late that cannot be in time, if that will mostly be of use.

        Returns:
            The request with ``sentence`` where it will not, or older ones of its robot.
        """
        if job in self._jobs:
            self._jobs.remove(job)
        late = self._waiting(admitted=False)
        rivals = [other for other in late if other.robot == job.robot]
        if any(other.arrived > job.arrived for other in rivals):
            return [Refusal(job, SUPERSEDED)]
        number = len(self._waiting()) + len(late) - len(rivals) + 1
        if job.patient or job.speculative or self._late_end(number, now) > job.useful:
            return [Refusal(job, sentence)]
        for other in rivals:
            self._jobs.remove(other)
        job.admitted, job.deepest = False, 1
        self._jobs.append(job)
        return [Refusal(other, SUPERSEDED) for other in rivals]

    def _late_end(self, number: int, now: float) -> float:
        """When so many first ways will mostly have run behind those yet to be admitted [s]."""
        self._forget_admitted(now)
        average = self._forecast.average(1)
        spare = 1.0 - len(self._admitted) * average / ACTIVE
        begin = max(now, self._free if self._running else now)
        return begin + number * average / spare if spare > 0.0 else math.inf

    def _forget_admitted(self, now: float) -> None:
        """Forget what was not admitted lately."""
        while self._admitted and now - self._admitted[0] > ACTIVE:
            self._admitted.popleft()

    def _too_late(self, now: float) -> list[Refusal]:
        """Postpone those without an answer that mostly cannot be in time, unless nobody else waits.

        A speculative one, to which nothing was promised, goes once it may be late; so does a late
        one that will mostly be of no use any more.
        """
        waiting, late = self._waiting(), self._waiting(admitted=False)
        typical, tail = self._forecast.typical(1), self._forecast.tail(1)
        average, several = self._forecast.average(1), len(late) + len(waiting) > 1
        useless = [
            job for job in late if job.useful <= now or (several and now + average > job.useful)
        ]
        for job in useless:
            self._jobs.remove(job)
        refused = [Refusal(job, LATE) for job in useless]
        for job in waiting:
            if (
                job.deadline <= now
                or (job.speculative and now + tail > job.deadline)
                or (len(waiting) > 1 and now + typical > job.deadline)
            ):
                refused += self._postpone(job, now, LATE)
        return refused

    def _worth_starting(
        self, job: Job, at: float, way: float, room: Callable[[], Room], *, alone: bool
    ) -> bool:
        """Whether a deeper answer is in time for its robot and leaves room for the others."""
        if alone:
            fits = self._forecast.admits(job.exit + 1, job.deadline - at)
        else:
            fits = at + way * (1.0 + HEADROOM) <= job.deadline
        return fits and way <= room().beside(job.robot)

    def _room(self, now: float) -> Room:
        """What the robots that asked lately leave for longer ways."""
        gone = [robot for robot, (when, _) in self._asked.items() if now - when > ACTIVE]
        for robot in gone:
            del self._asked[robot]
        return Room({robot: left for robot, (_, left) in self._asked.items()}, self._first_ways)

    def _finish(self, job: Job, now: float) -> None:
        self._jobs.remove(job)
        if job.admitted:
            self.served.give(job.robot, now)


def _order(job: Job) -> tuple[bool, int, bool, float]:
    """Late ones after all that are admitted and have no answer, the oldest first."""
    by = job.deadline if job.admitted else job.arrived
    return job.speculative, job.exit, not job.admitted, by
