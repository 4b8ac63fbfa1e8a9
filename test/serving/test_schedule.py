# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is answered when: nobody late, nobody left out, deeper where there is time."""

import heapq
import math
import random
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.serving.fairness import Served, jain
from magma_ros.serving.room import Room
from magma_ros.serving.schedule import HEADROOM, Job, Schedule

EXITS = 4


class Model:
    """Ways of fixed tails; what they really take is drawn below these."""

    def __init__(self, tails, chance=None, usual=1.0):
        self.tails, self.chance, self.usual = tails, chance, usual

    def tail(self, depth):
        return self.tails[depth - 1]

    def typical(self, depth):
        return self.usual * self.tails[depth - 1]

    average = typical

    def admits(self, depth, left):
        return self.tail(depth) * (1.0 + HEADROOM) <= left

    def lasts(self, depth):
        share = self.chance.uniform(0.3, 1.0) if self.chance else 1.0
        return share * self.tails[depth - 1]


class Run:
    """Plays requests against a schedule on a clock of its own."""

    def __init__(self, model, requests, enough=lambda job: False):
        self.model, self.enough = model, enough
        self.schedule = Schedule(model)
        self.now = 0.0
        self.answered, self.refused, self.refusals, self.turns = [], [], [], []
        arrivals = [(job.arrived, number, job) for number, job in enumerate(requests)]
        heapq.heapify(arrivals)
        self.arrivals = arrivals
        while arrivals or len(self.schedule):
            self._step()

    def _step(self):
        if not len(self.schedule):
            self.now = max(self.now, self.arrivals[0][0])
        self._take(self.now)
        if not len(self.schedule):
            return
        turn = self.schedule.turn(self.now)
        self.turns.append((turn.job, [j for j in self.schedule._waiting() if not j.speculative]))
        self._refuse(turn.refused, self.now)
        self.answered += [(job, self.now) for job in turn.finished]
        if turn.job is None:
            return
        end = self.now + self.model.lasts(turn.job.exit + 1)
        self._take(end)
        self.now = end
        if self.schedule.ran(turn.job, end, enough=self.enough(turn.job)):
            self.answered.append((turn.job, end))

    def _take(self, until):
        while self.arrivals and self.arrivals[0][0] <= until:
            when, _, job = heapq.heappop(self.arrivals)
            self._refuse(self.schedule.offer(job, when), when)

    def _refuse(self, refused, when):
        self.refusals += [(job, when) for job, _ in refused]
        self.refused += [job for job, _ in refused]


def request(robot, arrived, left, useful=-1.0, **more):
    deepest = more.pop("deepest", EXITS)
    return Job(robot, arrived, arrived + left, deepest, useful=arrived + useful, **more)


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.floats(0.0, 0.5),
        st.floats(-0.01, 0.2),
        st.integers(1, EXITS),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)
TAILS = st.lists(st.floats(0.001, 0.05), min_size=EXITS, max_size=EXITS)


@examples(150)
@given(REQUESTS, TAILS, st.integers(0, 999))
def test_no_admitted_request_is_answered_after_its_deadline(found, tails, seed):
    jobs = [
        request(f"r{r}", at, left, deepest=d, speculative=s, useful=0.3 * (d % 3))
        for r, at, left, d, s in found
    ]
    run = Run(Model(tails, random.Random(seed)), jobs)
    for job, when in run.answered:
        assert when <= job.deadline + 1e-9 or not job.admitted
        assert 1 <= job.exit <= job.deepest


@examples(150)
@given(REQUESTS, TAILS, st.integers(0, 999), st.floats(0.0, 2.0))
def test_who_cannot_be_in_time_gets_the_first_exit_while_that_is_of_use(found, tails, seed, useful):
    jobs = [request(f"r{r}", at, left, useful) for r, at, left, _, _ in found]
    run = Run(Model(tails, random.Random(seed)), jobs)
    for job, when in run.answered:
        if not job.admitted:
            assert job.exit == 1
            assert when <= job.useful + tails[0] + 1e-9


@examples(150)
@given(REQUESTS, TAILS, st.integers(0, 999))
def test_no_late_answer_is_begun_while_an_admitted_request_waits_for_its_first(found, tails, seed):
    jobs = [request(f"r{r}", at, left, 1.0) for r, at, left, _, _ in found]
    run = Run(Model(tails, random.Random(seed)), jobs)
    for job, waiting in run.turns:
        if job is not None and not job.admitted:
            assert not [other for other in waiting if other is not job]


@examples(100)
@given(REQUESTS, TAILS, st.integers(0, 999))
def test_every_request_is_answered_or_refused_and_never_both(found, tails, seed):
    jobs = [request(f"r{r}", at, left, 0.1 * d, patient=s) for r, at, left, d, s in found]
    run = Run(Model(tails, random.Random(seed)), jobs)
    met = Counter([job for job, _ in run.answered] + run.refused)
    assert met == Counter(jobs)


@examples(100)
@given(REQUESTS, TAILS)
def test_a_speculative_request_never_costs_another_its_answer(found, tails):
    """With ways that take their tails, the others' first answers come as if it was not there."""
    jobs = [request(f"r{r}", at, left, deepest=1) for r, at, left, _, s in found if not s]
    guesses = [
        request("guess", at, left, deepest=1, speculative=True) for _, at, left, _, s in found if s
    ]
    both = Run(Model(tails), [*jobs, *guesses])
    for job, when in both.answered:
        if not job.speculative:
            assert when <= job.deadline + 1e-9


def ticks(robots, seconds, seed=1, rate=10.0, left=0.08):
    chance = random.Random(seed)
    phases = [chance.random() / rate for _ in range(robots)]
    return [
        request(f"r{robot}", phases[robot] + tick / rate, left)
        for robot in range(robots)
        for tick in range(int(seconds * rate))
    ]


NANO = [0.0025, 0.001, 0.001, 0.002]


def test_depth_falls_as_load_rises_and_recovers():
    spike = [job for job in ticks(64, 5.0, seed=2) if 2.0 <= job.arrived < 4.0]
    calm = [job for job in ticks(8, 9.0) if not 2.0 <= job.arrived < 4.0]
    run = Run(Model(NANO, random.Random(0), usual=0.7), [*calm, *spike])

    def depth(begin, end):
        exits = [job.exit for job, _ in run.answered if begin <= job.arrived < end]
        return sum(exits) / len(exits)

    assert depth(0.5, 2.0) > 3.9
    assert depth(2.5, 4.0) < 2.0
    assert depth(5.1, 9.0) > 3.9
    assert not [job for job in run.refused if job.arrived < 2.0 or job.arrived > 4.2]
    assert all(when <= job.deadline for job, when in run.answered)


@pytest.mark.parametrize("robots", [16, 64, 120])
def test_nobody_starves_whatever_the_load(robots):
    run = Run(Model(NANO), ticks(robots, 6.0))
    shares = Counter(job.robot for job, _ in run.answered)
    assert len(shares) == robots
    assert jain(shares.values()) >= 0.95
    assert min(shares.values()) >= 0.5 * max(shares.values())


def test_a_greedy_robot_does_not_take_the_others_place():
    greedy = [request("greedy", 0.002 * k, 0.08) for k in range(2000)]
    run = Run(Model(NANO), [*ticks(20, 4.0), *greedy])
    answered = Counter(job.robot for job, _ in run.answered)
    others = [answered[f"r{robot}"] for robot in range(20)]
    assert min(others) >= 0.9 * 40


def test_a_patient_request_waits_longer_rather_than_be_refused():
    jobs = [request(f"r{k}", 0.0, 0.01, patient=True) for k in range(20)]
    run = Run(Model(NANO), jobs)
    assert not run.refused
    assert len(run.answered) == 20


def test_everybody_in_a_burst_is_answered_though_not_all_in_time():
    run = Run(Model(NANO), [request(f"r{k}", 0.0, 0.0501, useful=1.0) for k in range(60)])
    assert not run.refused
    timely = [job for job, when in run.answered if when <= job.deadline]
    late = [job for job, when in run.answered if when > job.deadline]
    assert (len(timely), len(late)) == (20, 40)
    assert all(job.admitted for job in timely)
    assert {job.exit for job in late if not job.admitted} == {1}


def test_a_request_whose_time_is_up_already_is_answered_at_once_by_the_first_exit():
    run = Run(Model(NANO), [request("a", 0.0, -0.01, useful=0.3)])
    assert [(job.exit, when, job.admitted) for job, when in run.answered] == [(1, 0.0025, False)]


def test_of_one_robot_the_newest_late_request_is_answered():
    busy = request("busy", 0.0, 0.5)
    old, new = (request("a", at, 0.0, useful=0.5) for at in (0.001, 0.002))
    run = Run(Model([0.05] * EXITS), [busy, old, new])
    assert run.refused == [old]
    assert new in [job for job, _ in run.answered]


@pytest.mark.parametrize("useful", [0.15, 0.3, 1.0])
def test_late_answers_never_pile_up_beyond_what_is_of_use(useful):
    """Of 4 times as many robots as can be answered, as many are as if none was answered late."""
    jobs = ticks(160, 4.0)
    for job in jobs:
        job.useful = job.arrived + useful
    run = Run(Model(NANO), jobs)
    strict = Run(Model(NANO), ticks(160, 4.0))
    timely = Counter(job.robot for job, when in run.answered if when <= job.deadline)
    assert timely.total() >= 0.98 * len(strict.answered)
    assert jain([timely[f"r{robot}"] for robot in range(160)]) >= 0.95
    assert all(when <= job.useful + NANO[0] for job, when in run.answered)
    assert len(run.refused) >= 0.5 * len(jobs)
    waits = [when - job.arrived for job, when in run.refusals if job.arrived > 1.0]
    assert np.quantile(waits, 0.95) <= 0.1, "under lasting overload nobody waits in vain"


def test_a_schedule_that_never_refuses_remembers_no_more_than_the_last_moments():
    run = Run(Model(NANO), ticks(4, 40.0))
    assert not run.refused
    remembered = [
        value for value in vars(run.schedule).values() if isinstance(value, (list, dict, deque))
    ]
    assert len(remembered) >= 3
    assert max(len(value) for value in remembered) <= 4 * 12


def test_who_is_alone_is_answered_as_deep_as_time_allows():
    run = Run(Model(NANO), [request("a", 0.0, 0.5), request("a", 1.0, 0.004)])
    assert [job.exit for job, _ in run.answered] == [4, 2]


def test_an_answer_that_is_enough_is_given_at_once():
    run = Run(Model(NANO), [request("a", 0.0, 0.5)], enough=lambda job: job.exit == 1)
    assert [(job.exit, when) for job, when in run.answered] == [(2, pytest.approx(0.0035))]


def test_requests_for_the_same_exit_run_one_after_the_other():
    schedule = Schedule(Model(NANO))
    for robot in "abc":
        schedule.offer(request(robot, 0.0, 0.5), 0.0)
    order, now = [], 0.0
    while len(schedule):
        turn = schedule.turn(now)
        order.append(turn.job.exit)
        now += NANO[turn.job.exit]
        schedule.ran(turn.job, now, enough=False)
    assert order == sorted(order)
    assert len(order) == 3 * EXITS


def test_no_long_way_begins_while_others_may_ask():
    schedule = Schedule(Model([0.01, 0.2]))
    schedule.offer(request("hasty", 0.0, 0.05, deepest=1), 0.0)
    schedule.ran(schedule.turn(0.0).job, 0.01, enough=False)
    schedule.offer(request("calm", 0.1, 1.0, deepest=2), 0.1)
    schedule.ran(schedule.turn(0.1).job, 0.11, enough=False)
    turn = schedule.turn(0.11)
    assert turn.job is None
    assert [job.robot for job in turn.finished] == ["calm"]


def test_one_robot_in_a_hurry_costs_the_others_no_depth():
    schedule = Schedule(Model([0.01, 0.01]))
    for number, left in enumerate([0.02, 0.5, 0.5, 0.5, 0.5]):
        hurried = request(f"r{number}", float(number), left, deepest=1)
        schedule.offer(hurried, float(number) / 10)
        schedule.ran(schedule.turn(number / 10).job, number / 10 + 0.01, enough=False)
    deep = request("deep", 0.5, 0.5, deepest=2)
    schedule.offer(deep, 0.5)
    schedule.ran(schedule.turn(0.5).job, 0.51, enough=False)
    assert schedule.turn(0.51).job is deep


@examples(100)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-0.01, 0.2)),
    st.sampled_from("abcdefgh"),
    st.floats(0.001, 0.05),
)
def test_room_is_what_the_earliest_deadline_first_leaves_of_all_others(lefts, robot, way):
    others = sorted(left for other, left in lefts.items() if other != robot)
    slack = [left - way * number for number, left in enumerate(others, 1)]
    room = Room(lefts, lambda count: way * count)
    assert room.beside(robot) == pytest.approx(min(slack, default=math.inf))


def test_a_way_whose_robot_has_left_still_takes_its_time():
    schedule = Schedule(Model([0.05, 0.05]))
    gone = request("gone", 0.0, 0.5, deepest=2)
    schedule.offer(gone, 0.0)
    assert schedule.turn(0.0).job is gone
    schedule.leave(gone)
    assert schedule.offer(request("late", 0.01, 0.06, deepest=2), 0.01)
    assert not schedule.offer(request("calm", 0.01, 0.2, deepest=2), 0.01)
    assert not schedule.ran(gone, 0.05, enough=False)


def test_jain_is_one_when_all_have_the_same_and_one_of_n_when_one_has_all():
    assert jain([3, 3, 3]) == pytest.approx(1.0)
    assert jain([5, 0, 0, 0]) == pytest.approx(0.25)
    assert jain([]) == jain([0, 0]) == 1.0


def test_robots_that_are_long_gone_are_forgotten():
    served = Served()
    for robot in range(1000):
        served.ask(f"r{robot}", 0.1 * robot)
    assert 9 <= served.active(99.9) <= 11
    assert len(served._last) < 300
