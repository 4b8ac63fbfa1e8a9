# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stays wrong is told soon, then seldom; what passes is not."""

from magma_ros.agent.watch import REMIND_AFTER, Watch

SILENT = {"front": "camera 'front' has been silent"}


def test_a_problem_is_told_on_the_second_look_and_then_seldom():
    watch = Watch()
    assert not watch.update(SILENT, 0.0)
    assert watch.update(SILENT, 0.25) == [*SILENT.items()]
    assert watch.lasting == SILENT
    looks = [0.25 * n for n in range(2, 200)]
    told = [now for now in looks if watch.update(SILENT, now)]
    assert len(told) == int((looks[-1] - 0.25) / REMIND_AFTER)


def test_a_problem_that_passes_is_not_told():
    watch = Watch()
    for now in range(20):
        assert not watch.update(SILENT if now % 2 else {}, float(now))


def test_a_problem_that_comes_back_is_told_again():
    watch = Watch()
    told = [bool(watch.update(SILENT if found else {}, 0.0)) for found in (1, 1, 0, 1, 1)]
    assert told == [False, True, False, False, True]


def test_a_clock_that_stands_still_is_noticed_and_one_that_moves_is_not():
    watch = Watch()
    assert not any(watch.standstill(0.1 * now, now) for now in range(10))
    assert not watch.standstill(0.9, 9.5)
    assert watch.standstill(0.9, 11.0)
    assert not watch.standstill(1.0, 11.5)
