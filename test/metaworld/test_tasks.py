# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of tasks is Meta-World's and the protocol's."""

from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from magma_ros.metaworld.benchmark import suites
from magma_ros.metaworld.tasks import TASKS, tiers


def test_every_task_of_mt50_is_there_with_its_expert():
    names = {f"{name}-v3" for name in TASKS}
    assert names == set(ALL_V3_ENVIRONMENTS) == set(ENV_POLICY_MAP)


def test_the_tiers_are_of_the_sizes_that_the_published_average_is_taken_over():
    assert [len(tasks) for tasks in tiers().values()] == [28, 11, 6, 5]
    assert suites()["metaworld"].trials == 10


def test_every_task_is_told_by_words_of_its_own():
    assert len({task.words.lower() for task in TASKS.values()}) == 50


def test_a_swapped_instruction_is_that_of_another_task():
    for name, task in TASKS.items():
        assert task.other != name
        assert task.swapped_words == TASKS[task.other].words
