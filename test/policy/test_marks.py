# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which marks an instruction names."""

import pytest

from magma_ros.policy.marks import named_marks


@pytest.mark.parametrize(
    ("instruction", "marks"),
    [
        ("pick the one marked 3", (3,)),
        ("Push Mark 12 to the zone", (12,)),
        ("reach mark number 4.", (4,)),
        ("pick the one marked #7", (7,)),
        ("pick the one marked three", (3,)),
        ("put mark 2 on mark 5, not on mark 2", (2, 5)),
        ("pick the red cube", ()),
        ("pick 3 cubes", ()),
        ("follow the marks 3", ()),
        ("remark 3", ()),
        ("mark 3d", ()),
        ("the unmarked 3", ()),
        ("marked", ()),
        ("", ()),
    ],
)
def test_marks_are_named_by_word_and_number(instruction, marks):
    assert named_marks(instruction) == marks
