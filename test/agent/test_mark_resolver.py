# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An instruction is answered once, with the mark that bore the number when it was given."""

import numpy as np
import pytest

from magma_ros.agent.mark_resolver import MarkResolver
from magma_ros.perception.marks import Mark

MARKS = [Mark(number, (10.0 * number, 20.0), np.zeros((3, 2))) for number in (1, 2, 4)]


@pytest.fixture
def resolver():
    made = MarkResolver()
    assert made.find(MARKS, 10.0, driving=False) is None
    return made


@pytest.mark.parametrize("driving", [True, False])
def test_the_named_mark_is_found_once_for_each_instruction(resolver, driving):
    for now in (11.0, 12.0):
        resolver.tell("pick the one marked 2", now)
        assert resolver.find(MARKS, now, driving=driving) == (2, MARKS[1])
        assert resolver.find(MARKS, now + 0.1, driving=driving) is None


def test_a_mark_is_waited_for_a_moment_and_then_is_not_there(resolver):
    resolver.tell("pick the one marked 3", 11.0)
    assert resolver.find(MARKS, 11.5, driving=False) is None
    assert resolver.find(MARKS, 12.1, driving=False) == (3, None)
    assert resolver.find(MARKS, 12.2, driving=False) is None
    resolver.tell("pick the one marked 3", 13.0)
    late = [*MARKS, Mark(3, (5.0, 5.0), np.zeros((3, 2)))]
    assert resolver.find(late, 13.5, driving=False) == (3, late[-1])


@pytest.mark.parametrize("instruction", ["pick the red cube", "put mark 1 on mark 2", ""])
def test_nothing_is_answered_where_not_one_mark_is_named(resolver, instruction):
    resolver.tell("pick the one marked 3", 11.0)
    resolver.tell(instruction, 11.1)
    assert resolver.find(MARKS, 20.0, driving=False) is None


def test_an_instruction_older_than_the_marks_is_never_looked_up_while_the_policy_drives():
    for driving, found in ((False, MARKS[1]), (True, None)):
        resolver = MarkResolver()
        resolver.tell("pick the one marked 2", 5.0)
        assert resolver.find(MARKS, 60.0, driving=driving) == (2, found)
