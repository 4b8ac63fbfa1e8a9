# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stamp is believed if it can be true, and refused with the difference if it cannot."""

import pytest

from magma_ros.agent.stamps import StampCheck, StampError

NOW = 1_700_000_000.0


@pytest.fixture
def check():
    return StampCheck("camera 'front'", max_age=0.3)


@pytest.mark.parametrize(
    ("stamp", "said"),
    [
        (0.0, "stamped zero"),
        (NOW - 60.0, r"60\.00 s in the past"),
        (12_345.0, r"1699987655 s in the past; its driver does not use the clock of ROS"),
        (NOW + 0.5, r"0\.50 s in the future"),
        (float("nan"), "stamped zero"),
    ],
)
def test_a_stamp_that_cannot_be_true_is_refused_by_how_much(check, stamp, said):
    with pytest.raises(StampError, match=said):
        check.accept(stamp, NOW)
    assert check.accept(NOW, NOW), "one bad stamp spoils nothing"


def test_stamps_must_increase(check):
    assert check.accept(NOW, NOW)
    assert not check.accept(NOW, NOW), "once more is no error, but nothing new"
    with pytest.raises(StampError, match=r"0\.050 s before the one that came earlier"):
        check.accept(NOW - 0.05, NOW)


def test_a_clock_that_jumps_back_starts_anew(check):
    assert check.accept(NOW, NOW)
    assert check.accept(NOW - 100.0, NOW - 100.0)
