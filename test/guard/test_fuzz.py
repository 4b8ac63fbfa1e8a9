# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random messages and requests in any order find no way around the guard."""

import pytest

from magma_ros.evaluation.bench.guard_fuzz import fuzz_guard
from magma_ros.guard import TRANSITIONS, Request
from magma_ros.guard.fences import Approach, Fences
from magma_ros.guard.proximity import ClearanceWatch
from magma_ros.types import Mode


@pytest.mark.parametrize("seed", range(4))
def test_random_messages_in_any_order_lead_to_nothing_that_must_not_be(seed):
    result = fuzz_guard(15_000, seed)
    assert not result.violations
    assert result.moving > 20, "a fuzz in which nothing moves shows nothing"
    assert {"AUTO", "TELEOP", "HOLD", "STOPPED"} <= set(result.modes)


def test_the_fuzz_finds_a_reset_that_starts_motion(monkeypatch):
    monkeypatch.setitem(TRANSITIONS, (Mode.HOLD, Request.RESET), Mode.AUTO)
    assert fuzz_guard(15_000, 0).without_leave > 0


def test_the_fuzz_finds_a_guard_without_walls(monkeypatch):
    monkeypatch.setattr(Fences, "permits", lambda *_: True)
    monkeypatch.setattr(
        Fences, "approach", lambda _self, _estimate, twist: Approach(twist, 1.0, "")
    )
    assert fuzz_guard(30_000, 0).beyond_limits > 0


def test_the_fuzz_finds_what_is_raised(monkeypatch):
    monkeypatch.setattr(ClearanceWatch, "limit", None)
    assert fuzz_guard(15_000, 0).exceptions > 0
