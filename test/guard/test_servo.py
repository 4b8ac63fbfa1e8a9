# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Servo that would misread twists is not driven."""

import pytest

from magma_ros.guard.servo import ServoSettings, misreading

PERIOD, HOLD = 0.02, 0.1


def test_speed_units_with_servos_own_timeout_are_right():
    assert misreading(ServoSettings("speed_units", 0.1), PERIOD, HOLD) == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ServoSettings("unitless", 0.1), "command_in_type is unitless): set it to speed_units"),
        (ServoSettings(None, 0.1), "does not say how it reads twists"),
        (ServoSettings("speed_units", 0.0), "carried out for ever"),
        (ServoSettings("speed_units", -1.0), "carried out for ever"),
        (ServoSettings("speed_units", 0.03), "shorter than two commands"),
        (ServoSettings("speed_units", 0.5), "longer than the guard's command_hold of 0.1 s"),
    ],
)
def test_each_way_of_misreading_is_one_sentence_with_its_remedy(settings, words):
    sentence = misreading(settings, PERIOD, HOLD)
    assert words in sentence
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
