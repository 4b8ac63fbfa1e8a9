# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots behind a bad line have no fewer plans in time from the gate's server than from plain ones.

Time, line, and how long ways take are drawn by seed; robots, forecasts and schedule are real.
"""

import heapq
import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest

from magma_ros.evaluation.bench.serve_robots import LONGEST_AGE, Plan
from magma_ros.evaluation.computers.line_proxy import Flow
from magma_ros.evaluation.computers.lines import LineSpec
from magma_ros.gate.latency import LatencyModel
from magma_ros.remote.forecast import RoundTrips, Told
from magma_ros.serving.forecasts import Way, WayForecast
from magma_ros.serving.schedule import Job, Schedule

WAYS = (0.0022, 0.0006, 0.0006, 0.0006, 0.0006, 0.0008)
"""Times that magma-nano's ways mostly take [s]."""

LINE = LineSpec(delay=0.04, jitter=0.02, loss=0.01, cut=2.0)
PERIOD = DEADLINE = 0.1
SIZE = 40_000


@dataclass
class Outcome:
    """Of the observations that were to be shown, the plans in time; and the exits of all plans."""

    timely: int = 0
    due: int = 0
    depths: list = field(default_factory=list)

    @property
    def missed(self):
        return 1.0 - self.timely / self.due


class World:
    """Everything that happens, in the order of time."""

    def __init__(self):
        self.now, self._events, self._numbers = 0.0, [], itertools.count()

    def at(self, when, act, *values):
        heapq.heappush(self._events, (when, next(self._numbers), act, values))

    def run(self):
        while self._events:
            self.now, _, act, values = heapq.heappop(self._events)
            act(*values)


class Plain:
    """First come, first served, always the same exit; reading and sending are part of it."""

    def __init__(self, world, rng, depth):
        self._world, self._rng, self._depth, self._free = world, rng, depth, 0.0

    def ask(self, robot, grant, done):
        del robot, grant
        takes = sum(WAYS[: self._depth]) * self._rng.lognormal(0.0, 0.2)
        self._free = max(self._world.now, self._free) + takes
        self._world.at(self._free, done, self._depth, Told(compute=takes))


class Gate:
    """The schedule of ``magma serve``, around a policy that is never confident."""

    def __init__(self, world, rng):
        self._world, self._rng = world, rng
        self._forecast = WayForecast([Way(str(n), 1, 1) for n in WAYS], LatencyModel())
        for _ in range(10):
            for depth in range(1, 7):
                self._forecast.observe(depth, self._lasts(depth), 1)
        self._schedule, self._asked, self._busy = Schedule(self._forecast), {}, False

    def _lasts(self, depth):
        return WAYS[depth - 1] * self._rng.lognormal(0.0, 0.2)

    def ask(self, robot, grant, done):
        now = self._world.now
        job = Job(robot, now, now + grant.time_left, 6, useful=now + grant.useful)
        self._asked[job] = (now, done, [0.0])
        self._refuse(self._schedule.offer(job, now))
        if not self._busy:
            self._work()

    def _work(self):
        turn = self._schedule.turn(self._world.now)
        self._refuse(turn.refused)
        for job in turn.finished:
            self._answer(job)
        self._busy = turn.job is not None
        if turn.job is not None:
            takes = self._lasts(turn.job.exit + 1)
            self._asked[turn.job][2][0] += takes
            self._world.at(self._world.now + takes, self._ran, turn.job, takes)

    def _ran(self, job, takes):
        self._forecast.observe(job.exit + 1, takes, 1)
        if self._schedule.ran(job, self._world.now, enough=False):
            self._answer(job)
        self._work()

    def _refuse(self, refused):
        for job, _ in refused:
            self._answer(job)

    def _answer(self, job):
        arrived, done, (compute,) = self._asked.pop(job)
        queue = self._world.now - arrived - compute
        done(job.exit, Told(queue, compute, shallowest=self._forecast.tail(1)))


class Robot:
    """Shows what is due if its last question has been answered, as the bench's do."""

    def __init__(self, world, number, plan, ask, rng, cuts):
        self._world, self._ask, self._name = world, ask, str(number)
        self._due = list(plan.due(number))
        self._there, self._back = (Flow(LINE, np.random.default_rng(rng)) for _ in range(2))
        self._cuts, self._trips, self.outcome = cuts, RoundTrips(), Outcome(due=len(self._due))
        world.at(self._due[0], self._show)

    def _show(self):
        while self._due and self._due[0] + DEADLINE < self._world.now:
            self._due.pop(0)
        if not self._due:
            return
        if self._due[0] > self._world.now:
            self._world.at(self._due[0], self._show)
            return
        due, shown = self._due.pop(0), self._world.now
        grant = self._trips.grant(due + DEADLINE - shown, LONGEST_AGE)

        def done(depth, told):
            self._world.at(self._passes(self._back, 3000), self._take, due, shown, depth, told)

        self._world.at(self._passes(self._there, SIZE), self._ask, self._name, grant, done)

    def _passes(self, flow, size):
        arrival = flow.arrival(size, self._world.now)
        for cut in self._cuts:
            if arrival > cut and self._world.now < cut + LINE.cut:
                arrival = max(arrival, Flow.resumption(cut, cut + LINE.cut))
        return arrival

    def _take(self, due, shown, depth, told):
        if depth:
            self.outcome.timely += self._world.now - due <= DEADLINE
            self.outcome.depths.append(depth)
        self._trips.observe(self._world.now - shown, SIZE, told)
        self._show()


def played(make, seed, robots=16, seconds=20.0):
    """What becomes of all robots' observations with a server."""
    spans = ((0.0, seconds),) * robots
    plan = Plan(port=1, recording="none", spans=spans, period=PERIOD, deadline=DEADLINE, seed=seed)
    world, rng = World(), np.random.default_rng(seed)
    server = make(world, rng)
    cuts = LINE.cuts(seconds)
    everybody = [Robot(world, n, plan, server.ask, (seed, n), cuts) for n in range(robots)]
    world.run()
    outcomes = [robot.outcome for robot in everybody]
    return Outcome(
        sum(one.timely for one in outcomes),
        sum(one.due for one in outcomes),
        [depth for one in outcomes for depth in one.depths],
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_over_a_bad_line_the_gates_server_misses_no_more_than_plain_ones(seed):
    gate = played(Gate, seed)
    deep = played(lambda world, rng: Plain(world, rng, 6), seed)
    shallow = played(lambda world, rng: Plain(world, rng, 3), seed)
    assert gate.missed <= min(deep.missed, shallow.missed)
    assert np.mean(gate.depths) > 1.1
    assert len(gate.depths) >= len(shallow.depths)
