# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Under the modelled clock a decision takes the time of another computer, the same each time."""

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from magma_ros.evaluation.computers.load import HORIZON, LOADS
from magma_ros.evaluation.computers.modelled import (
    QUANTILE,
    Conditions,
    ModelledComputer,
    ModelledThinker,
    SimulatedTime,
)
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.actors import PolicyActor
from magma_ros.evaluation.play.clocks import LEAD, TICK
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.shadow import Replay
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.world import INSTANT, Scene
from magma_ros.gate.gates import AdaptiveGate, FixedDepth
from magma_ros.gate.loop import think
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.simulation import Simulation
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading, Reason, Verdict

PERIOD = 0.2
SCENE = Scene("tabletop", "reach", "seen", 40)


def chunk(depth):
    return ActionChunk(0.0, 0.1, np.zeros((4, 7)), depth, MAGMA)


def inference(manifest):
    """What a policy would give, without running it."""
    outcomes = [
        stage.depth
        and ExitReading(chunk(stage.depth), Confidence(1.0, 1.0, 0.0), stage.depth, 0, 0)
        for stage in manifest.stages
    ]
    return Replay(manifest.stages, outcomes)


@pytest.fixture(scope="module")
def manifest(tiny_bundle):
    return read_manifest(tiny_bundle)


@pytest.fixture
def computer(manifest):
    def make(scene=SCENE, period=PERIOD, **conditions):
        made = ModelledComputer(manifest, Conditions(**conditions))
        made.begin(scene, period)
        return made

    return make


def decide(computer, manifest, deadline=math.inf, depth=3):
    began = computer.clock.now()
    verdict = think(
        computer.host(inference(manifest)),
        FixedDepth(depth),
        computer.latency,
        Budget(began + deadline),
        computer.clock,
    )
    return verdict, computer.clock.now() - began


def test_full_depth_takes_so_many_periods_at_its_99th_percentile(computer, manifest):
    slow = computer(slowness=2.0)
    took = [decide(slow, manifest)[1] for _ in range(2000)]
    assert np.quantile(took, QUANTILE) == pytest.approx(2.0 * PERIOD, rel=0.05)


def test_the_gate_knows_the_computer_before_the_first_decision(computer, manifest):
    slow = computer(slowness=1.3)
    verdict, took = decide(slow, manifest, deadline=0.8 * PERIOD)
    assert verdict.reason is Reason.DEADLINE
    assert 0 < verdict.depth < 3
    assert took < 0.8 * PERIOD


def test_on_a_fast_computer_full_depth_is_in_time(computer, manifest):
    verdict, took = decide(computer(hardware="desktop-gpu"), manifest, deadline=0.8 * PERIOD)
    assert verdict.depth == 3
    assert took == pytest.approx(sum(verdict.stage_times))


def test_the_same_scene_takes_the_same_times_and_another_one_others(computer, manifest):
    def times(scene):
        made = computer(scene, slowness=1.0, load="bursts")
        return [decide(made, manifest)[1] for _ in range(20)]

    assert times(SCENE) == times(SCENE)
    assert times(SCENE) != times(replace(SCENE, seed=41))


def test_costs_of_a_larger_policy_take_its_time(computer, manifest):
    small, large = (
        decide(computer(hardware="orin-agx", costs=costs), manifest) for costs in (None, "magma-8b")
    )
    assert large[1] > 0.5 > small[1]
    assert large[0].flops == pytest.approx(6.1e12, rel=0.02)


@pytest.fixture(scope="module")
def observation():
    simulation = Simulation(SCENE.task, seed=SCENE.seed)
    yield simulation.observation()
    simulation.close()


@dataclass
class Decision:
    """One observation, and what was acted on: when, and whether thinking still went on."""

    asked: float
    acted: list[tuple[float, Verdict, bool]] = field(default_factory=list)


@pytest.fixture
def ponder(tiny_bundle, computer, observation):
    """Lets a demanding gate decide for 40 s under bursts of load, as the command stream asks."""

    def play(*, patient=False):
        there, time = computer(slowness=0.8, load="bursts"), SimulatedTime()
        gate = AdaptiveGate(tolerance=1e-6)
        actor = PolicyActor.load(tiny_bundle, gate, None, 1, patient=patient, computer=there)
        thinker = ModelledThinker(actor, there, time, LEAD)
        thinker.reset()
        decisions, next_look = [], 0.0
        for tick in range(round(40.0 / TICK)):
            time.sleep_until(tick * TICK)
            if (verdict := thinker.take()) is not None:
                decisions[-1].acted.append((time.now(), verdict, thinker.busy))
            if not thinker.busy and time.now() > next_look - INSTANT:
                next_look = time.now() + PERIOD
                thinker.offer(observation, time.now() + 0.8 * PERIOD)
                decisions.append(Decision(time.now()))
        return decisions[:-1]  # the last one may be under way

    return play


def test_an_overrun_is_in_time_with_the_chunk_of_the_exit_before(ponder, tiny_bundle, observation):
    overrun = [
        (at - decision.asked, verdict)
        for decision in ponder()
        for at, verdict, _ in decision.acted
        if verdict.reason is Reason.OVERRUN
    ]
    assert overrun
    for waited, verdict in overrun:
        assert waited == pytest.approx(0.8 * PERIOD)
        assert verdict.slack >= -INSTANT
        assert verdict.depth < 3
        exit_gate = FixedDepth(verdict.depth)
        alone = PolicyActor.load(tiny_bundle, exit_gate, None, 1).act(observation, math.inf)
        np.testing.assert_array_equal(verdict.chunk.actions, alone.chunk.actions)
        assert verdict.flops > alone.flops  # the stage that was not waited for is paid for


def test_who_minds_the_deadline_is_late_only_where_not_even_the_first_exit_was_in_time(ponder):
    for decision in ponder():
        for _, verdict, _ in decision.acted:
            assert verdict.slack >= -INSTANT or verdict.depth <= 1


def test_who_knows_no_clock_has_no_answer_before_the_end_and_is_late(ponder):
    verdicts = [verdict for decision in ponder(patient=True) for _, verdict, _ in decision.acted]
    assert {verdict.reason for verdict in verdicts} == {Reason.DEEPEST}
    assert sum(verdict.slack < 0.0 for verdict in verdicts) > 5


def test_what_comes_after_an_overrun_does_not_replace_what_was_acted_on(ponder):
    decisions = ponder()
    assert {len(decision.acted) for decision in decisions} == {1}
    went_on = {v.reason for decision in decisions for _, v, busy in decision.acted if busy}
    assert went_on == {Reason.OVERRUN}


def test_the_same_seed_gives_the_same_overruns(ponder):
    def reasons():
        return [(at, v.reason, v.slack) for decision in ponder() for at, v, _ in decision.acted]

    assert reasons() == reasons()


@pytest.mark.parametrize("name", LOADS)
def test_a_load_slows_down_and_is_the_same_for_a_seed(name):
    when = np.linspace(0.0, HORIZON, 300)
    draws = [
        [LOADS[name](np.random.default_rng(seed)).at(time) for time in when] for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1]
    assert min(draws[0]) >= 1.0
    assert (max(draws[0]) > 1.4) == (name != "steady")
    assert (draws[0] != draws[2]) == (name != "steady")


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"hardware": "abacus"}, "'abacus'"),
        ({"load": "earthquake"}, "bursts, thermal"),
        ({"costs": "free"}, "'free'.*magma-8b"),
        ({"slowness": 0.0}, "slowness must be a positive factor"),
        ({"slowness": math.nan}, "slowness must be a positive factor"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(conditions, told):
    with pytest.raises(EvaluationError, match=told):
        Conditions(**conditions)


@pytest.fixture(scope="module")
def spec():
    return EvaluationSpec(
        ("tabletop",), ("reach",), episodes=2, seed=40, clock="modelled",
        conditions=Conditions(slowness=1.3, load="bursts"), deadline=0.16,
    )  # fmt: skip


def test_episodes_side_by_side_are_the_same_to_the_last_byte(spec, tiny_bundle):
    together, alone = (evaluate(replace(spec, workers=n), tiny_bundle) for n in (2, 1))
    assert json.dumps(together.to_json()) == json.dumps(alone.to_json())


def test_full_depth_is_late_where_it_thinks_on_and_shallower_where_it_minds(spec, tiny_bundle):
    full = replace(spec.at_depth(3), conditions=Conditions(slowness=1.3), workers=1)
    minding = evaluate(full, tiny_bundle).summary()
    patient = evaluate(replace(full, patient=True), tiny_bundle).summary()
    assert patient.late == patient.decisions > 0
    assert patient.mean_depth == 3.0
    assert minding.late < 0.2 * minding.decisions
    assert minding.mean_depth < 3.0
    assert minding.lag == patient.lag == 0.0
    assert patient.decisions < minding.decisions  # it looks again only once it is done
