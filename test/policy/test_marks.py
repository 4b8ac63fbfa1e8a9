# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which marks an instruction names."""

import pytest

from magma_ros.policy.marks import mentions_marks, named_marks


@pytest.mark.parametrize(
    ("instruction", "marks"),
    [
        ("pick the one marked 3", (3,)),
        ("Push Mark 12 to the zone", (12,)),
        ("reach mark number 4.", (4,)),
        ("pick the one marked #7", (7,)),
        ("pick the marked one", ()),
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
def test_a_mark_is_named_by_a_word_and_its_number(instruction, marks):
    assert named_marks(instruction) == marks


@pytest.mark.parametrize(
    ("instruction", "spoken_of"),
    [
        ("pick the marked one", True),
        ("Mark 3", True),
        ("the things with the marks 3 and 4", True),
        ("push the marker", False),
        ("go to the market", False),
        ("", False),
    ],
)
def test_speaking_of_marks_is_told_from_other_words(instruction, spoken_of):
    assert mentions_marks(instruction) == spoken_of
