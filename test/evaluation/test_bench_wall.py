# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In real time an action is there at the deadline or it is a miss, and the hog surely ends."""

import json
import math
import os
import shutil
import signal
import threading
import time
from functools import partial
from itertools import cycle, pairwise
from multiprocessing import active_children

import pytest

from magma_ros.evaluation.bench.wall import (
    HOG,
    QUIET,
    ControlLoop,
    Machine,
    Tick,
    WallBench,
    WallBenchError,
    WallSpec,
    contenders,
    run_wall_bench,
)
from magma_ros.evaluation.bench.wall_report import wall_rows, wall_table, write_wall_bench
from magma_ros.evaluation.computers import hog as hog_module
from magma_ros.evaluation.computers.hog import (
    TOOL,
    HogError,
    cpu_hog,
    running_in_group,
    usable_cores,
)
from magma_ros.evaluation.play.actors import ActorProcess, PolicyActor
from magma_ros.gate.gates import FixedDepth
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.simulation import Simulation
from magma_ros.types import MonotonicClock, Reason

SPEC = WallSpec(ticks=6, period=0.1, deadline=0.08, hog=False)

needs_hog = pytest.mark.skipif(shutil.which(TOOL) is None, reason=f"{TOOL} is not installed")


@pytest.fixture(scope="module")
def observation():
    simulation = Simulation("reach", seed=40)
    yield simulation.observation()
    simulation.close()


@pytest.fixture(scope="module")
def policy(tiny_bundle):
    before = set(active_children())
    made = ActorProcess(
        partial(PolicyActor.load, tiny_bundle, FixedDepth(3), None, 1, patient=True)
    )
    (child,) = set(active_children()) - before
    return made, child.pid


@pytest.fixture
def loop(policy, observation):
    def make(clock=None):
        return ControlLoop(policy[0], cycle([observation]), SPEC, clock)

    return make


def missed(tick):
    return tick.waited is None or tick.waited > SPEC.deadline


class Interruption(MonotonicClock):
    """Something else happens, once, when the loop is about to sleep for the nth time."""

    def __init__(self, nth, act):
        self.left, self.act = nth, act

    def sleep_until(self, when):
        self.left -= 1
        if self.left == 0:
            self.act()
        super().sleep_until(when)


def test_every_tick_is_played_on_schedule_and_has_one_answer(loop):
    ticks = loop().run(8)
    gaps = [later.due - earlier.due for earlier, later in pairwise(ticks)]
    assert gaps == pytest.approx([SPEC.period] * 7)
    seen = [tick for tick in ticks if not tick.open]
    assert seen
    for tick in seen:
        assert tick.depth == 3
        assert tick.flops > 0
        assert tick.waited > 0.0


def test_while_the_policy_is_busy_with_an_older_observation_every_tick_is_a_miss(loop, policy):
    _, pid = policy
    wake = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))

    def stop():
        os.kill(pid, signal.SIGSTOP)
        wake.start()

    ticks = loop(Interruption(2, stop)).run(16)
    wake.join()
    assert len(ticks) == 16
    first = next(tick for tick in ticks if tick.waited is not None and tick.waited > 0.5)
    after = [tick for tick in ticks if first.due < tick.due < first.due + 0.7]
    assert len(after) >= 6
    assert all(tick.open and missed(tick) for tick in after)


def test_a_tick_at_which_the_loop_itself_was_late_is_told_and_counts(loop):
    ticks = loop(Interruption(3, partial(time.sleep, 0.45))).run(8)
    assert len(ticks) == 8
    assert sum(tick.loop_late and missed(tick) for tick in ticks) >= 2


@pytest.fixture(scope="module")
def bench(tiny_bundle):
    return run_wall_bench(SPEC, tiny_bundle)


def test_all_contenders_play_all_ticks(bench):
    rows = wall_rows(bench)
    assert [row.contender for row in rows] == [
        "adaptive",
        "as deep as fits",
        "full depth",
        "exit 1",
    ]
    for row in rows:
        assert (row.condition, row.ticks) == (QUIET, SPEC.ticks)
        assert row.ticks - row.answered <= row.misses <= row.ticks
        assert row.missed_by_loop <= row.loop_late


def test_who_knows_no_clock_always_thinks_to_its_exit(bench):
    *_, full, shallow = wall_rows(bench)
    assert full.mean_depth == 3.0
    assert full.flops_fraction == pytest.approx(1.0)
    assert shallow.mean_depth == 1.0
    assert set(full.reasons) == set(shallow.reasons) == {"CONFIDENT"}


def test_the_gate_and_its_clock_alone_mind_deadlines():
    assert [who.patient for who in contenders(3)] == [False, False, True, True]


def test_the_report_holds_the_table_and_its_figures(bench, tmp_path):
    write_wall_bench(bench, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "wall.json").read_text())
    assert content["format"] == "magma-wall-bench/1"
    assert content["machine"]["cores"] == usable_cores()
    assert [row["contender"] for row in content["rows"]] == [r.contender for r in wall_rows(bench)]
    assert wall_table(bench).title in (tmp_path / "out" / "wall.md").read_text()


def test_late_actions_and_none_at_all_are_misses(tiny_bundle):
    ticks = [
        Tick(0.0, 0.03, 2, 50, Reason.OVERRUN),
        Tick(0.1, 0.08, 3, 100, Reason.DEEPEST),
        Tick(0.2, 0.09, 3, 100, Reason.DEEPEST, loop_late=True),
        Tick(0.3, None, 0, 10, Reason.NO_TIME),
        Tick(0.4, loop_late=True),
    ]
    machine = Machine("abacus", 1, 1, 0.0)
    manifest = read_manifest(tiny_bundle)
    (row,) = wall_rows(WallBench(SPEC, manifest, "0" * 64, machine, {HOG: {"someone": ticks}}))
    assert (row.ticks, row.misses, row.answered) == (5, 3, 3)
    assert (row.loop_late, row.missed_by_loop) == (2, 2)
    assert (row.median, row.longest) == (0.08, 0.09)
    assert row.mean_depth == pytest.approx(8 / 3)
    full = sum(stage.flops for stage in manifest.stages)
    assert row.flops_fraction == pytest.approx(260 / (4 * full))
    assert row.reasons == {"OVERRUN": 1, "DEEPEST": 2, "NO_TIME": 1}
    low, high = row.interval
    assert low < 0.6 < high


@needs_hog
def test_beside_the_hog_there_are_five_times_the_ticks():
    assert WallSpec(ticks=10).conditions == {QUIET: 2, HOG: 10}
    assert SPEC.conditions == {QUIET: 6}


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"ticks": 0}, "ticks must be at least 1, not 0"),
        ({"period": 0.0}, "the period must be a positive time, not 0"),
        ({"period": math.nan}, "the period must be a positive time, not nan"),
        ({"period": math.inf}, "the period must be a positive time, not inf"),
        ({"deadline": 0.02}, "shorter than the period of 0.02 s, not 0.02"),
        ({"deadline": -0.01}, "must be positive"),
    ],
)
def test_a_bench_that_makes_no_sense_is_refused(numbers, told):
    with pytest.raises(WallBenchError, match=told):
        WallSpec(**{"hog": False, **numbers})


def test_a_hog_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HogError, match=f"apt-get install {TOOL}"):
        WallSpec()


@needs_hog
def test_the_hog_has_a_worker_for_every_core_from_the_first_moment():
    with cpu_hog(longest=60.0) as hog:
        assert len(running_in_group(hog.pid) - {hog.pid}) == usable_cores()


@needs_hog
def test_nothing_of_the_hog_is_left_when_somebody_interrupts():
    with pytest.raises(KeyboardInterrupt), cpu_hog(longest=60.0) as hog:
        raise KeyboardInterrupt
    assert not running_in_group(hog.pid)


def killed(processes_of):
    with cpu_hog(longest=60.0) as hog:
        doomed = processes_of(hog)
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        while running_in_group(hog.pid) & doomed:
            time.sleep(0.01)


@needs_hog
@pytest.mark.parametrize(
    "processes_of",
    [
        lambda hog: running_in_group(hog.pid),
        lambda hog: {max(running_in_group(hog.pid) - {hog.pid})},
    ],
    ids=["all of it", "one worker"],
)
def test_a_hog_that_ends_too_early_spoils_the_bench(processes_of):
    with pytest.raises(HogError, match="ended too early"):
        killed(processes_of)


@pytest.mark.parametrize(
    ("script", "patience", "told"),
    [
        ("echo no such option >&2; exit 2", 30.0, "exit status is 2.*it said: no such option"),
        ("sleep 60", 0.5, "it still runs.*it said: nothing"),
    ],
)
def test_a_hog_that_does_not_start_is_told_with_what_it_said(
    tmp_path, monkeypatch, script, patience, told
):
    program = tmp_path / TOOL
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(hog_module, "START", patience)
    fault = f"did not start all its workers .*{told}"
    with pytest.raises(HogError, match=fault), cpu_hog(longest=60.0):
        pass
