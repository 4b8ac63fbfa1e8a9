# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each rule judges what it says it judges, and risk makes it stricter."""

import math
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.evaluation.play.shadow import read_all
from magma_ros.gate.confidence import AgreementModel, ExitModel, Yardstick
from magma_ros.gate.gates import (
    GATES,
    AdaptiveGate,
    ConsistencyGate,
    EntropyGate,
    FixedDepth,
    GateError,
    OracleGate,
    make_gate,
)
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading, Reason

YARDSTICK = Yardstick((1.0,) * 7, steps=2)


def by_feature(bias, **weights):
    """A model of two exits below the deepest that both weigh the same features."""
    order = ("disagreement", "deviation", "entropy", "margin", "change", "overlap")
    exit_model = ExitModel(bias, tuple(weights.get(name, 0.0) for name in order))
    return AgreementModel(YARDSTICK, (exit_model, exit_model))


def reading(*, disagreement=1.0, entropy=1.0, depth=2, stamp=0.0, value=0.1):
    chunk = ActionChunk(stamp, 0.1, np.full((4, 7), value), depth, MAGMA)
    return ExitReading(chunk, Confidence(disagreement, entropy, 0.0), depth, 0, 0)


def budget(risk=0.0):
    return Budget(deadline=0.0, risk=risk)


def test_without_a_model_the_adaptive_gate_wants_two_exits_to_agree():
    gate = AdaptiveGate(tolerance=0.05)
    assert gate.confident(reading(disagreement=0.05, entropy=0.9), budget())
    assert not gate.confident(reading(disagreement=0.051, entropy=0.0), budget())


def test_without_a_model_the_first_exit_never_agrees_with_anything():
    assert not AdaptiveGate(tolerance=1.0).confident(reading(disagreement=math.inf), budget())


def test_with_a_model_the_adaptive_gate_wants_probable_agreement():
    gate = AdaptiveGate(threshold=0.8, model=by_feature(2.0, entropy=-2.0))
    assert gate.confident(reading(entropy=0.3, depth=1, disagreement=math.inf), budget())
    assert gate.probability == pytest.approx(1.0 / (1.0 + math.exp(-1.4)))
    assert not gate.confident(reading(entropy=0.4), budget())


def test_risk_raises_the_probability_demanded():
    gate = AdaptiveGate(threshold=0.8, model=by_feature(math.log(9.0)))  # P = 0.9
    assert gate.confident(reading(), budget(risk=0.0))
    assert gate.confident(reading(), budget(risk=0.6))  # 0.89 demanded
    assert not gate.confident(reading(), budget(risk=1.0))  # 0.95 demanded


def test_with_a_model_the_deepest_exit_is_no_matter_of_confidence():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(9.0))
    assert not gate.confident(reading(depth=3), budget())
    assert gate.probability == 1.0


def test_more_doubt_is_left_where_going_on_costs_more():
    model = by_feature(math.log(9.0))  # P = 0.9
    cheap, dear = (replace(model.exits[0], price=price) for price in (0.5, 2.0))
    gate = AdaptiveGate(threshold=0.85, model=replace(model, exits=(cheap, dear)))
    assert not gate.confident(reading(depth=1), budget())  # 0.925 demanded
    assert gate.confident(reading(depth=2), budget())  # 0.7 demanded
    assert gate.confident(reading(depth=2), budget(risk=0.8))  # 0.88 demanded
    assert not gate.confident(reading(depth=2), budget(risk=1.0))  # 0.925 demanded


def test_an_exit_that_probably_deviates_is_not_taken_however_much_going_on_costs():
    model = by_feature(-0.01)
    dear = replace(model.exits[0], price=100.0)
    gate = AdaptiveGate(threshold=0.9, model=replace(model, exits=(dear, dear)))
    assert not gate.confident(reading(), budget())


@pytest.mark.parametrize(("value", "sure"), [(0.0, False), (0.029, False), (0.031, True)])
def test_with_a_model_the_adaptive_gate_thinks_on_while_the_arm_would_rest(value, sure):
    gate = AdaptiveGate(threshold=0.5, model=by_feature(9.0))
    assert gate.confident(reading(value=value), budget()) == sure
    assert gate.confident(reading(value=-value), budget()) == sure


def test_an_arm_rests_whatever_its_gripper_does_and_whatever_comes_after_the_steps_that_count():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(9.0))
    still = reading(value=0.0)
    still.chunk.actions[:, -1] = 1.0
    still.chunk.actions[YARDSTICK.steps :] = 1.0
    assert not gate.confident(still, budget())


def test_rest_is_accepted_once_after_a_rest_of_the_deepest_exit_was_acted_on():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(9.0))

    def judge(depth, stamp):
        seen = reading(value=0.0, depth=depth, stamp=stamp)
        return gate.confident(seen, budget()), seen.chunk

    assert not any(judge(depth, 0.0)[0] for depth in (1, 2))
    gate.acted(judge(3, 0.0)[1])
    sure, chunk = judge(1, 0.1)
    assert sure
    gate.acted(chunk)
    assert not judge(1, 0.2)[0]


def test_rest_is_not_accepted_after_the_deepest_exit_wanted_to_move():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(9.0))
    gate.confident(reading(value=0.0, depth=1), budget())
    gate.acted(reading(value=0.1, depth=3).chunk)
    assert not gate.confident(reading(value=0.0, depth=1, stamp=0.1), budget())


def test_the_adaptive_gate_compares_with_the_previous_exit_of_the_same_observation():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(-1.0, deviation=-1.0))
    assert not gate.confident(reading(depth=1, value=0.5), budget())
    assert not gate.confident(reading(depth=2, value=0.7), budget())
    assert gate.confident(reading(depth=2, value=0.701), budget())


def test_the_adaptive_gate_compares_with_what_was_acted_on_before():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(-1.0, change=-1.0))
    for depth, value in ((1, 0.2), (2, 0.5)):
        assert not gate.confident(reading(depth=depth, value=value), budget())
    gate.acted(reading(depth=2, value=0.5).chunk)
    assert gate.confident(reading(depth=1, stamp=0.1, value=0.501), budget())
    gate.acted(reading(depth=1, stamp=0.1, value=0.501).chunk)
    assert not gate.confident(reading(depth=1, stamp=0.2, value=0.8), budget())
    assert gate.confident(reading(depth=2, stamp=0.2, value=0.5011), budget())


def test_an_exit_that_was_read_but_not_acted_on_is_not_remembered():
    """A stage outlasts the deadline: the answer in hand is acted on, the last reading dropped."""
    gate = AdaptiveGate(threshold=0.5, model=by_feature(-1.0, change=-1.0))
    in_hand = reading(depth=1, value=0.2)
    gate.confident(in_hand, budget())
    gate.confident(reading(depth=2, value=0.5), budget())
    gate.acted(in_hand.chunk)
    assert not gate.confident(reading(depth=1, stamp=0.1, value=0.501), budget())
    assert gate.confident(reading(depth=1, stamp=0.1, value=0.201), budget())


def test_where_nothing_is_followed_nothing_was_acted_on():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(-1.0, overlap=2.0))
    gate.confident(reading(depth=1), budget())
    gate.acted(reading(depth=1).chunk)
    gate.acted(None)
    assert not gate.confident(reading(depth=1, stamp=0.1), budget())


def test_after_a_reset_nothing_was_acted_on_before():
    gate = AdaptiveGate(threshold=0.5, model=by_feature(-1.0, overlap=2.0))
    gate.confident(reading(depth=1), budget())
    gate.acted(reading(depth=1).chunk)
    assert gate.confident(reading(depth=1, stamp=0.1), budget())
    gate.reset()
    assert gate.probability is None
    assert not gate.confident(reading(depth=1, stamp=0.2), budget())


def test_the_entropy_gate_wants_sharp_distributions():
    gate = EntropyGate(threshold=0.3)
    assert gate.confident(reading(entropy=0.3), budget())
    assert not gate.confident(reading(entropy=0.31, disagreement=0.0), budget())


@pytest.mark.parametrize("gate", [AdaptiveGate(0.4), EntropyGate(0.4)])
def test_full_risk_leaves_a_quarter_of_the_tolerance(gate):
    assert gate.confident(reading(disagreement=0.09, entropy=0.09), budget(risk=1.0))
    assert not gate.confident(reading(disagreement=0.11, entropy=0.11), budget(risk=1.0))
    assert gate.confident(reading(disagreement=0.24, entropy=0.24), budget(risk=0.5))
    assert not gate.confident(reading(disagreement=0.26, entropy=0.26), budget(risk=0.5))


def test_a_fixed_gate_looks_at_nothing_but_depth():
    gate = FixedDepth(depth=2)
    assert not gate.confident(reading(depth=1, disagreement=0.0, entropy=0.0), budget())
    assert gate.confident(reading(depth=2), budget(risk=1.0))
    assert gate.confident(reading(depth=3), budget())


def test_the_consistency_gate_has_a_threshold_for_each_exit():
    gate = ConsistencyGate(thresholds=(0.0, 0.1, 0.3))
    assert not gate.confident(reading(depth=1, disagreement=math.inf), budget())
    assert gate.confident(reading(depth=2, disagreement=0.1), budget(risk=1.0))
    assert not gate.confident(reading(depth=2, disagreement=0.2), budget())
    assert gate.confident(reading(depth=3, disagreement=0.2), budget())
    assert not gate.confident(reading(depth=4, disagreement=0.0), budget())


@pytest.mark.parametrize(("epsilon", "depth"), [(0.4, 3), (0.6, 3), (1.0, 2)])
def test_the_oracle_takes_the_first_exit_within_epsilon_of_the_deepest(
    scripted, clock, epsilon, depth
):
    """The scripted chunks are filled with the number of their exit."""
    gate = OracleGate(epsilon=epsilon, model=by_feature(0.0))
    replay = read_all(scripted())
    gate.foresee(replay.readings)
    verdict = think(replay, gate, LatencyModel(), Budget(math.inf), clock)
    assert (verdict.reason, verdict.depth) == (Reason.CONFIDENT, depth)


def test_the_oracle_does_not_guess():
    gate = OracleGate(epsilon=0.1, model=by_feature(0.0))
    with pytest.raises(GateError, match="must be shown every exit"):
        gate.confident(reading(), budget())
    gate.foresee([reading(stamp=0.0)])
    with pytest.raises(GateError, match="must be shown every exit"):
        gate.confident(reading(stamp=0.1), budget())


def test_gates_are_made_by_name():
    assert make_gate("adaptive", tolerance=0.1) == AdaptiveGate(tolerance=0.1)
    assert make_gate("fixed", depth=3) == FixedDepth(depth=3)
    assert make_gate("entropy") == EntropyGate()
    assert make_gate("consistency", thresholds=(0.0, 0.1)) == ConsistencyGate((0.0, 0.1))
    assert {name: gate.name for name, gate in GATES.items()} == {name: name for name in GATES}


@pytest.mark.parametrize(
    ("name", "options", "phrase"),
    [
        ("psychic", {}, "choose one of adaptive, coin, consistency, drawn, entropy, fixed, oracle"),
        ("fixed", {}, "takes depth, but was given nothing"),
        ("oracle", {}, "takes epsilon, model, but was given nothing"),
        ("adaptive", {"depth": 2}, "takes tolerance, threshold, model, but was given depth"),
        ("adaptive", {"tolerance": 0.0}, "tolerance of a gate must lie above 0"),
        ("adaptive", {"tolerance": math.nan}, "tolerance of a gate"),
        ("adaptive", {"threshold": -0.5}, "threshold of a gate"),
        ("entropy", {"threshold": 1.5}, "threshold of a gate"),
        ("consistency", {"thresholds": (0.0, -0.1)}, "must be 0 or more, not 0, -0.1"),
        ("consistency", {"thresholds": (math.nan,)}, "must be 0 or more, not nan"),
        ("oracle", {"epsilon": 0.0, "model": by_feature(0.0)}, "epsilon of a gate"),
        ("fixed", {"depth": 0}, "must be 1 or more"),
    ],
)
def test_a_gate_that_cannot_work_is_refused_in_one_sentence(name, options, phrase):
    with pytest.raises(GateError, match=phrase):
        make_gate(name, **options)


@pytest.mark.parametrize("gate", [AdaptiveGate(), EntropyGate(), FixedDepth(1)])
def test_a_reset_changes_no_memoryless_judgement(gate):
    before = gate.confident(reading(), budget())
    gate.reset()
    assert gate.confident(reading(), budget()) == before


def test_judging_an_exit_costs_microseconds(benchmark):
    """Features, model and memory, for the second exit of an observation."""
    gate = AdaptiveGate(threshold=0.99, model=by_feature(0.0, change=-1.0, deviation=-1.0))
    first, second = reading(depth=1, stamp=0.1, value=0.1), reading(depth=2, stamp=0.1, value=0.2)
    gate.acted(reading(depth=1).chunk)

    def judge():
        gate.confident(first, budget())
        return gate.confident(second, budget())

    assert not benchmark(judge)
