# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rate is kept whatever the camera's own rate and jitter, and never exceeded for long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.agent.pace import JITTER, Pace


def taken(stamps, period):
    pace, used = Pace(), []
    for stamp in stamps:
        if pace.admits(stamp, period):
            pace.take(stamp, period)
            used.append(stamp)
    return used


@pytest.mark.parametrize(
    ("camera", "rate", "plans"),
    [(30.0, 10.0, 100), (30.0, 12.0, 120), (30.0, 20.0, 200), (10.0, 10.0, 100), (10.0, 30.0, 100)],
)
def test_the_rate_asked_for_is_the_rate_planned(camera, rate, plans):
    stamps = np.arange(0.0, 10.0, 1.0 / camera)
    assert len(taken(stamps, 1.0 / rate)) == pytest.approx(plans, abs=1)


@given(st.integers(0, 2**32 - 1))
def test_jitter_skips_no_image_of_a_camera_of_the_same_rate(seed):
    jitter = np.random.default_rng(seed).uniform(-0.1, 0.1, 100)
    stamps = 0.1 * (np.arange(100) + jitter)
    assert len(taken(stamps, 0.1)) == 100


@given(st.lists(st.floats(0.001, 0.5), max_size=200), st.floats(0.02, 0.3))
def test_no_window_holds_more_than_the_rate_allows(gaps, period):
    used = taken(np.cumsum(gaps), period)
    for first in range(len(used)):
        for last in range(first + 1, len(used)):
            allowed = (used[last] - used[first]) / period + 1.0 + 2.0 * JITTER
            assert last - first + 1 <= allowed + 1e-6


def test_nothing_from_before_a_restart_is_admitted():
    pace = Pace()
    pace.restart(10.0)
    assert not pace.admits(10.0, 0.1)
    assert pace.admits(10.01, 0.1)
