# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each rule judges what it says it judges, and risk makes it stricter."""

import math

import numpy as np
import pytest

from magma_ros.gate.gates import (
    GATES,
    AdaptiveGate,
    EntropyGate,
    FixedDepth,
    GateError,
    make_gate,
)
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading


def reading(*, disagreement=1.0, entropy=1.0, depth=2):
    chunk = ActionChunk(0.0, 0.1, np.zeros((4, 7)), depth)
    return ExitReading(chunk, Confidence(disagreement, entropy, 0.0), depth, 0, 0)


def budget(risk=0.0):
    return Budget(deadline=0.0, risk=risk)


def test_the_adaptive_gate_wants_two_exits_to_agree():
    gate = AdaptiveGate(tolerance=0.05)
    assert gate.confident(reading(disagreement=0.05, entropy=0.9), budget())
    assert not gate.confident(reading(disagreement=0.051, entropy=0.0), budget())


def test_the_first_exit_never_agrees_with_anything():
    assert not AdaptiveGate(tolerance=1.0).confident(reading(disagreement=math.inf), budget())


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


def test_gates_are_made_by_name():
    assert make_gate("adaptive", tolerance=0.1) == AdaptiveGate(tolerance=0.1)
    assert make_gate("fixed", depth=3) == FixedDepth(depth=3)
    assert make_gate("entropy") == EntropyGate()
    assert {name: gate.name for name, gate in GATES.items()} == {name: name for name in GATES}


@pytest.mark.parametrize(
    ("name", "options", "phrase"),
    [
        ("oracle", {}, "choose one of adaptive, entropy, fixed"),
        ("fixed", {}, "takes depth, but was given nothing"),
        ("adaptive", {"depth": 2}, "takes tolerance, but was given depth"),
        ("adaptive", {"tolerance": 0.0}, "tolerance of a gate must lie above 0"),
        ("adaptive", {"tolerance": math.nan}, "tolerance of a gate"),
        ("entropy", {"threshold": 1.5}, "threshold of a gate"),
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
