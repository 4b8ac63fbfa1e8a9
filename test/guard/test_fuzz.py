# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random messages and requests in any order find no way around the guard."""

import pytest

from magma_ros.evaluation.bench.guard_fuzz import fuzz_guard


@pytest.mark.parametrize("seed", range(4))
def test_random_messages_in_any_order_lead_to_nothing_that_must_not_be(seed):
    result = fuzz_guard(15_000, seed)
    assert not result.violations
    assert result.moving > 20, "a fuzz in which nothing moves shows nothing"
    assert {"AUTO", "TELEOP", "HOLD", "STOPPED"} <= set(result.modes)
