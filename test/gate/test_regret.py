# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate by regret acts where acting early loses less success than its operations are worth."""

from dataclasses import replace

import numpy as np
import pytest

from magma_ros.gate.confidence import FEATURES, Yardstick
from magma_ros.gate.gates import GateError, make_gate
from magma_ros.gate.regret import ExitRegret, RegretGate, RegretModel
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading

YARDSTICK = Yardstick((1.0,) * 7, steps=2)


def weighing(**weights):
    return tuple(weights.get(name, 0.0) for name in FEATURES)


def gate_of(*exits, price=0.1):
    return RegretGate(RegretModel(YARDSTICK, exits), price)


def reading(depth, *, entropy=0.0, value=0.1, stamp=0.0):
    chunk = ActionChunk(stamp, 0.1, np.full((4, 7), value), depth, MAGMA)
    return ExitReading(chunk, Confidence(1.0, entropy, 0.0), depth, 0, 0)


def test_it_acts_where_the_loss_is_worth_the_saving():
    gate = gate_of(ExitRegret(0.0, weighing(entropy=1.0), saving=0.5))
    calm = Budget(deadline=0.0)
    assert gate.confident(reading(1, entropy=0.05), calm)
    assert not gate.confident(reading(1, entropy=0.051), calm)


def test_risk_lowers_the_loss_that_it_accepts():
    gate = gate_of(ExitRegret(0.0, weighing(entropy=1.0), saving=0.5))
    assert gate.confident(reading(1, entropy=0.012), Budget(0.0, risk=1.0))
    assert not gate.confident(reading(1, entropy=0.013), Budget(0.0, risk=1.0))


def test_the_deepest_exit_leaves_nothing_to_judge():
    gate = gate_of(ExitRegret(-1.0, weighing(), saving=0.5))
    assert not gate.confident(reading(2), Budget(0.0))


def test_an_exit_is_judged_beside_the_one_before_and_the_plan_followed():
    by_deviation = ExitRegret(0.0, weighing(deviation=1.0), saving=0.5)
    gate = gate_of(ExitRegret(1.0, weighing(), 0.6), by_deviation)
    assert not gate.confident(reading(1, value=0.1), Budget(0.0))
    assert gate.confident(reading(2, value=0.1), Budget(0.0))  # log10 of no deviation is -4
    gate = gate_of(ExitRegret(0.0, weighing(overlap=1.0), saving=0.5))
    assert gate.confident(reading(1, stamp=0.1), Budget(0.0))
    gate.acted(reading(1).chunk)
    assert not gate.confident(reading(1, stamp=0.1), Budget(0.0))
    gate.reset()
    assert gate.confident(reading(1, stamp=0.1), Budget(0.0))


def test_an_instruction_that_asks_for_depth_lowers_the_loss_that_it_accepts():
    exits = (ExitRegret(0.0, weighing(entropy=1.0), saving=0.5, loss=0.02),)
    gate = RegretGate(RegretModel(YARDSTICK, exits, {"lock": 2.0, "reach": -5.0}), price=0.1)

    def acts(entropy, instruction):
        told = replace(reading(1, entropy=entropy), instruction=instruction)
        return gate.confident(told, Budget(0.0))

    assert acts(0.05, "open it")
    assert not acts(0.051, "open it")
    assert acts(0.01, "Lock it")
    assert not acts(0.011, "Lock it")
    assert acts(0.07, "reach it")
    assert not acts(0.071, "reach it")


def test_without_models_it_says_how_to_get_them():
    with pytest.raises(GateError, match="run magma calibrate, then magma calibrate --budget"):
        make_gate("regret")


def test_a_price_beyond_success_itself_is_refused():
    with pytest.raises(GateError, match="price"):
        gate_of(ExitRegret(0.0, weighing(), 0.5), price=1.5)
