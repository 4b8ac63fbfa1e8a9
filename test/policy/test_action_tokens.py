# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Actions become the tokens that Magma was trained on, and come back within half a bin."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.action_statistics import (
    OWN,
    StatisticsError,
    find_statistics,
    shipped_statistics,
)
from magma_ros.policy.action_tokens import ActionCodec, ActionTokenError

CODEC = ActionCodec()


def test_tokens_decode_to_the_published_values():
    values = CODEC.decode([127744, 127872, 127999])
    np.testing.assert_allclose(values, [254 / 255, 0.0, -254 / 255], atol=1e-12)
    assert np.round(values, 4).tolist() == [0.9961, 0.0, -0.9961]


def test_the_observed_answer_of_a_real_run_is_an_action():
    ids = [127857, 127873, 127868, 127904, 127861, 127874, 127744]
    assert CODEC.encode(CODEC.decode(ids)).tolist() == [*ids[:-1], 127745]
    assert CODEC.decode(ids)[-1] > 0.99  # the gripper is open


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=7))
def test_values_come_back_within_half_a_bin(values):
    ids = CODEC.encode(values)
    assert all(token in CODEC.ids for token in ids)
    np.testing.assert_allclose(CODEC.decode(ids), values, atol=1 / 255 + 1e-12)


@given(st.integers(127745, 127999))
def test_ids_come_back_exactly(token):
    assert CODEC.encode(CODEC.decode(token)) == token


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1.0, 1.0))
def test_larger_values_never_have_larger_ids(one, other):
    low, high = sorted((one, other))
    assert CODEC.encode(low) >= CODEC.encode(high)


@pytest.mark.parametrize("token", [127743, 128000, 128009, 0, -1])
def test_other_tokens_are_no_actions(token):
    with pytest.raises(ActionTokenError, match=f"the token {token} stands for no action"):
        CODEC.decode([127800, token])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_token(value):
    with pytest.raises(ActionTokenError, match="not finite"):
        CODEC.encode([0.0, value])


def test_the_gripper_passes_through_and_the_arm_is_scaled():
    found = find_statistics("bridge")
    contract = ActionContract(
        chunk_length=1,
        step_period=found.step_period,
        frame="base",
        q01=found.q01,
        q99=found.q99,
        mask=found.mask,
    )
    low, middle, high = contract.unnormalise(np.array([[-1.0] * 7, [0.0] * 7, [1.0] * 7]))
    np.testing.assert_allclose(low, [*found.q01[:6], -1.0])
    np.testing.assert_allclose(high, [*found.q99[:6], 1.0])
    np.testing.assert_allclose(middle[:6], (np.array(found.q01) + np.array(found.q99))[:6] / 2)


def test_bridge_and_google_robot_are_shipped():
    known = shipped_statistics()
    assert known["bridge"] == known["bridge_orig"]
    np.testing.assert_allclose(known["bridge"].q01[:3], [-0.02873, -0.04170, -0.02609], atol=5e-6)
    np.testing.assert_allclose(known["google_robot"].q99[3:6], [0.58927, 0.35273, 0.44797], 1e-4)
    assert known["bridge"].step_period == 0.2


def test_an_unknown_name_is_told_the_known_ones(tmp_path):
    with pytest.raises(StatisticsError) as caught:
        find_statistics("fractal", tmp_path)
    assert "there are no statistics 'fractal'; known are bridge, bridge_orig, google_robot" in str(
        caught.value
    )


def test_a_checkpoints_own_statistics_come_first(tmp_path):
    percentiles = {"q01": [-0.1] * 7, "q99": [0.1] * 7}
    content = {
        "libero_goal_no_noops": {
            "action": percentiles | {"mean": [0.0] * 7},
            "num_trajectories": 5,
        },
        "bridge": percentiles,
    }
    (tmp_path / OWN).write_text(json.dumps(content))
    own = find_statistics("libero_goal_no_noops", tmp_path)
    assert own.mask == (True,) * 6 + (False,)
    assert own.step_period is None
    assert find_statistics("bridge", tmp_path).q01[0] == -0.1
    assert find_statistics("google_robot", tmp_path).q01[0] == pytest.approx(-0.22454, abs=1e-5)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"q01": [0.0] * 6, "q99": [1.0] * 7}, "robot.q01"),
        ({"q01": [0.0] * 7, "q99": [0.0] * 7}, "q01 must lie below q99 for dx"),
        (
            {"q01": [0.0] * 7, "q99": [1.0] * 7, "mask": [True] * 7},
            "mask must be false for the gri",
        ),
        ([], "robot"),
    ],
)
def test_damaged_statistics_are_named(tmp_path, entry, sentence):
    (tmp_path / OWN).write_text(json.dumps({"robot": entry}))
    with pytest.raises(StatisticsError) as caught:
        find_statistics("robot", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / OWN}: ")
    assert sentence in str(caught.value)
