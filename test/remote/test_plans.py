# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answer of a policy elsewhere is a plan of this robot, or it is refused with a reason."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.policy.action_contract import ActionContract
from magma_ros.remote.error import RemoteError
from magma_ros.remote.plans import Expected, plan_from
from magma_ros.types import Observation

ACTION = ActionContract(
    chunk_length=8,
    step_period=0.1,
    q01=(-0.02,) * 6 + (0.0,),
    q99=(0.02,) * 6 + (1.0,),
    mask=(True,) * 6 + (False,),
)
SEEN = Observation(3.0, {}, np.zeros(0), (), "push", anchor=np.ones(1))
EXPECTED = Expected(ACTION, depth=9)


def steps(value=0.01, shape=(8, 7)):
    return np.full(shape, value, np.float32)


def test_a_usable_answer_becomes_a_plan_about_what_was_asked():
    plan = plan_from({"actions": steps(shape=(10, 7))}, SEEN, EXPECTED)
    assert (plan.chunk.stamp, plan.chunk.depth, len(plan.chunk)) == (3.0, 9, 10)
    assert plan.chunk.step_period == 0.1
    assert plan.anchor is SEEN.anchor
    assert math.isinf(plan.confidence.disagreement)


def test_what_the_server_says_of_its_confidence_is_kept():
    told = {"disagreement": 0.1, "entropy": 0.2, "margin": "much"}
    plan = plan_from({"actions": steps(), **told}, SEEN, EXPECTED)
    assert (plan.confidence.disagreement, plan.confidence.entropy) == (0.1, 0.2)
    assert math.isnan(plan.confidence.margin)


def test_the_exit_is_known_where_the_policy_elsewhere_is_the_one_here():
    same = Expected(ACTION, depth=9, same=True)
    assert plan_from({"actions": steps(), "exit": 2}, SEEN, same).exit == 2
    assert plan_from({"actions": steps(), "exit": "deep"}, SEEN, same).exit is None
    assert plan_from({"actions": steps(), "exit": True}, SEEN, same).exit is None
    assert plan_from({"actions": steps()}, SEEN, same).exit is None
    assert plan_from({"actions": steps(), "exit": 2}, SEEN, EXPECTED).exit is None


def test_normalised_actions_are_brought_to_the_units_of_the_action_space():
    expected = Expected(ACTION, depth=9, normalised=True)
    plan = plan_from({"actions": steps(1.0)}, SEEN, expected)
    np.testing.assert_allclose(plan.chunk.actions[0], [0.02] * 6 + [1.0])


def with_nan():
    broken = steps()
    broken[2, 1] = np.nan
    return broken


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "answers without 'actions' (it answers nothing)"),
        ({"action": steps()}, "it answers action"),
        ({"actions": [1, 2]}, "not an array of numbers"),
        ({"actions": np.array(["a"])}, "not an array of numbers"),
        ({"actions": steps(shape=(8, 8))}, "plans 8 x 8, but a plan of this robot is steps x 7"),
        ({"actions": steps(shape=(7,))}, "plans 7, but"),
        ({"actions": steps(shape=(0, 7))}, "plans 0 x 7"),
        ({"actions": steps(shape=(2000, 7))}, "plans 2000 x 7"),
        ({"actions": with_nan()}, "plans nan for dy in step 2"),
        ({"actions": steps(0.9)}, "are they normalised, or in other units?"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(answer, says):
    with pytest.raises(RemoteError) as refused:
        plan_from(answer, SEEN, EXPECTED)
    assert says in str(refused.value)


@given(
    st.dictionaries(
        st.sampled_from(["actions", "entropy", "policy_timing"]),
        st.one_of(
            st.none(),
            st.floats(),
            st.binary(),
            st.text(),
            st.lists(st.integers()),
            st.just(steps(math.inf)),
            st.just(np.zeros((3, 7), bool)),
            st.just(np.zeros((3, 7), "datetime64[s]")),
            st.just(np.zeros((3, 7), complex)),
        ),
    )
)
def test_no_answer_does_more_than_be_refused(answer):
    with pytest.raises(RemoteError):
        plan_from(answer, SEEN, EXPECTED)
