# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long exits take: every exit of every bundle, side by side."""

import itertools
import time
from pathlib import Path

import pytest

from magma_ros.evaluation.bench.latency import latency_table, time_exits
from magma_ros.timing import race
from magma_ros.types import MagmaError


def test_every_exit_of_every_bundle_is_timed_beside_the_first_ones_deepest(
    tiny_bundle: Path,
) -> None:
    tiny, nano = str(tiny_bundle), "magma-nano"
    bench = time_exits([tiny, nano], runs=3)
    timed = [(each.bundle, each.depth) for each in bench.exits]
    assert timed == [*((tiny, n) for n in range(1, 4)), *((nano, n) for n in range(1, 7))]
    assert bench.ratio(bench.exits[2]) == 1.0
    for exits in (bench.exits[:3], bench.exits[3:]):
        flops = [each.flops for each in exits]
        assert flops == sorted(flops)
    assert len(latency_table(bench).rows) == len(bench.to_json()["exits"]) == 9


def test_contenders_take_turns_and_the_slow_one_is_told_from_the_quick_one() -> None:
    order = []
    contenders = {
        "slow": lambda: (order.append("slow"), time.sleep(0.01)),
        "quick": lambda: order.append("quick"),
    }
    found = race(contenders, 25)
    assert [name for name, _ in itertools.groupby(order)] == ["slow", "quick"] * 2
    assert found["quick"].high < 0.01 <= found["slow"].low


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"runs": 1}])
def test_a_bench_that_cannot_tell_anything_is_refused(wrong: dict) -> None:
    with pytest.raises(MagmaError, match="at least 2 runs"):
        time_exits(["magma-nano"], **wrong)
