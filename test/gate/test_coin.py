# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A coin looks at nothing, spends what it was told to, and repeats."""

import numpy as np
import pytest

from magma_ros.gate.gates import CoinGate, DrawnGate, GateError, make_gate
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading

SURE, UNSURE = Confidence(0.0, 0.0, 1.0), Confidence(2.0, 1.0, 0.0)


def reading(number, depth=1, confidence=UNSURE):
    """The reading of an exit on the observation ``number``."""
    actions = np.full((4, 7), 0.01 * (number % 10) + 0.001 * depth)
    return ExitReading(
        ActionChunk(0.2 * number, 0.1, actions, depth, MAGMA), confidence, depth, 0, 0
    )


def depth_taken(gate, number, *, confidence=UNSURE, risk=0.0):
    """The exit that the gate stops at on one observation of a policy with six."""
    budget = Budget(deadline=0.0, risk=risk)
    return next(
        depth for depth in range(1, 7) if gate.confident(reading(number, depth, confidence), budget)
    )


def depths_taken(gate, **circumstances):
    return [depth_taken(gate, number, **circumstances) for number in range(2000)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_coin_takes_its_deeper_exit_as_often_as_it_was_told_to(share):
    depths = depths_taken(CoinGate((2, 5), share))
    assert set(depths) <= {2, 5}
    assert depths.count(5) / 2000 == pytest.approx(share, abs=0.03)


def test_a_coin_looks_neither_at_what_was_read_nor_at_the_budget():
    gate = CoinGate((1, 4), 0.5)
    assert depths_taken(gate) == depths_taken(gate, confidence=SURE, risk=1.0)


def test_a_coin_repeats_whatever_was_played_before():
    used, fresh = CoinGate((1, 4), 0.5), CoinGate((1, 4), 0.5)
    depth_taken(used, 77)
    used.reset()
    assert depths_taken(used) == depths_taken(fresh)


def test_draws_of_coins_with_other_seeds_have_nothing_in_common():
    one, other = (np.array(depths_taken(CoinGate((1, 2), 0.5, seed))) for seed in (0, 1))
    assert np.mean(one == other) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"depths": (0, 2), "share": 0.5}, "must be 1 or more"),
        ({"depths": (3, 2), "share": 0.5}, "the shallower first, not 3 and 2"),
        ({"depths": (1, 2), "share": 1.2}, "between 0 and 1, not 1.2"),
        ({"depths": (1, 2), "share": float("nan")}, "between 0 and 1"),
        ({"depths": (1, 2)}, "takes depths, share, seed"),
    ],
)
def test_a_coin_that_cannot_be_tossed_is_refused(options, told):
    with pytest.raises(GateError, match=told):
        make_gate("coin", **options)


def test_exits_are_drawn_as_often_as_their_shares_say():
    depths = np.array(depths_taken(DrawnGate((0.5, 0.0, 0.3, 0.2))))
    found = [(depths == depth).mean() for depth in (1, 2, 3, 4)]
    assert found == pytest.approx([0.5, 0.0, 0.3, 0.2], abs=0.06)
    assert depths_taken(DrawnGate((0.0, 1.0))) == [2] * len(depths)


@pytest.mark.parametrize("shares", [(), (0.5,), (1.5, -0.5)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(GateError):
        DrawnGate(shares)
