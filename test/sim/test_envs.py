# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The environments keep Gymnasium's contract."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from magma_ros.sim.envs import TaskEnv, environment_id
from magma_ros.sim.expert import Expert
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.suite import load_suite, suite_names

ALL = tuple((suite, task) for suite in suite_names() for task in load_suite(suite).tasks)


@pytest.fixture
def env():
    made = TaskEnv("pick")
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(("suite", "task"), ALL)
def test_every_environment_passes_gymnasiums_own_check(suite, task):
    env = gymnasium.make(environment_id(suite, task), render_mode="rgb_array")
    check_env(env.unwrapped)


def test_the_split_is_chosen_when_an_environment_is_made():
    env = gymnasium.make("magma_ros.sim.envs:magma/tabletop-reach-v0", split="shift")
    seen = TaskEnv("reach")
    shifted, _ = env.reset(seed=3)
    assert not np.array_equal(shifted["front"], seen.reset(seed=3)[0]["front"])
    env.close()
    seen.close()


def test_the_expert_earns_one_reward_at_the_end(env):
    env.reset(seed=0)
    rewards, terminated, truncated, info = [], False, False, {}
    while not (terminated or truncated):
        action = Expert().act(env.simulation).astype(np.float32)
        _, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
    assert terminated
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
    assert info == {"success": True, "failure": None}


def test_an_episode_is_cut_off_at_the_step_limit_and_says_why(env):
    env.reset(seed=0)
    still = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
    limit = load_suite("tabletop").task("pick").step_limit
    outcomes = [env.step(still) for _ in range(limit)]
    assert [truncated for *_, truncated, _ in outcomes] == [False] * (limit - 1) + [True]
    assert outcomes[-1][-1] == {"success": False, "failure": "never_approached"}


def test_actions_are_clipped_to_the_action_space(env):
    wild, limit = TaskEnv("pick"), env
    for each, action in (
        (wild, [9, -9, 9, 0, 0, 9, 5]),
        (limit, [0.03, -0.03, 0.03, 0, 0, 0.3, 1]),
    ):
        each.reset(seed=1)
        for _ in range(3):
            last, *_ = each.step(np.array(action, np.float32))
        each.last = last["proprioception"]
    np.testing.assert_array_equal(wild.last, limit.last)
    wild.close()


def test_a_step_before_the_first_reset_is_refused(env):
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())


def test_an_unknown_task_is_refused_before_anything_is_built():
    with pytest.raises(SimulationError, match="no task 'fly'"):
        TaskEnv("fly")
