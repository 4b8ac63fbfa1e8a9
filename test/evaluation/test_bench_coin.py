# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The coin that a gate must beat is as good as a coin can be at the gate's own operations."""

from itertools import combinations

import numpy as np
import pytest

from magma_ros.evaluation.bench.coin import Coin, added, hull, mix
from magma_ros.evaluation.figures.statistics import PairedCounts

COSTS = (0.13, 0.21, 0.38, 0.71, 0.86, 1.0)
EVERY = range(1, 7)


def spent(coin):
    return (1.0 - coin.share) * COSTS[coin.shallow - 1] + coin.share * COSTS[coin.deep - 1]


@pytest.mark.parametrize("mean", [0.13, 0.2, 0.21, 0.285, 0.5, 0.99, 1.0])
def test_a_coin_spends_what_the_gate_spends(mean):
    assert spent(mix(COSTS, EVERY, mean)) == pytest.approx(mean, abs=1e-4)


def test_neighbours_are_the_two_exits_whose_operations_bracket_the_gates():
    assert mix(COSTS, EVERY, 0.295) == Coin(2, 3, 0.5)


@pytest.mark.parametrize(("mean", "depth"), [(0.05, 1), (1.2, 6)])
def test_beyond_the_cheapest_and_the_dearest_exit_there_is_nothing_to_mix(mean, depth):
    assert mix(COSTS, EVERY, mean) == Coin(depth, depth, 0.0)


def test_the_best_pair_leaves_out_an_exit_that_a_mixture_of_others_beats():
    rates = (0.90, 0.905, 0.98, 0.97, 0.985, 0.99)
    assert hull(COSTS, rates) == (1, 3, 6)
    assert mix(COSTS, hull(COSTS, rates), 0.255) == Coin(1, 3, 0.5)


def test_past_the_best_exit_nothing_is_spent_on_doing_worse():
    rates = (0.90, 0.99, 0.98, 0.97, 0.99, 0.98)
    assert hull(COSTS, rates) == (1, 2)
    assert mix(COSTS, hull(COSTS, rates), 0.5) == Coin(2, 2, 0.0)


def test_no_pair_of_exits_promises_more_than_the_hull():
    rng = np.random.default_rng(3)
    for _ in range(50):
        rates = rng.integers(50, 100, 6) / 100.0
        for mean in rng.uniform(COSTS[0], COSTS[-1], 5):
            best = mix(COSTS, hull(COSTS, rates), mean)
            promised = (1.0 - best.share) * rates[best.shallow - 1] + best.share * rates[
                best.deep - 1
            ]
            assert spent(best) <= mean + 1e-4
            for shallow, deep in combinations(EVERY, 2):
                if COSTS[shallow - 1] <= mean <= COSTS[deep - 1]:
                    other = mix(COSTS, (shallow, deep), mean)
                    mixed = (1.0 - other.share) * rates[shallow - 1] + other.share * rates[deep - 1]
                    assert mixed <= promised + 1e-4


def test_a_policy_of_one_exit_leaves_no_choice():
    assert hull((1.0,), (0.5,)) == (1,)
    assert mix((1.0,), (1,), 1.0) == Coin(1, 1, 0.0)


def test_pairs_of_several_suites_add_up():
    assert added([PairedCounts(5, 1, 2, 3), PairedCounts(1, 0, 1, 0)]) == PairedCounts(6, 1, 3, 3)
