# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An action space says what every column is, or is refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from magma_ros.spaces import (
    MAGMA,
    ActionSpace,
    Dimension,
    SpaceError,
    SpaceKind,
    ee_delta,
    gripper,
)

SIX = tuple(Dimension(f"joint_{n}", "rad", -2.0, 2.0) for n in range(1, 7))


def space(*dimensions, kind=SpaceKind.JOINT_POSITION, **frames):
    return ActionSpace(kind, dimensions, **frames)


def test_magmas_seven_columns_are_one_space_among_others():
    assert len(MAGMA) == 7
    assert MAGMA.moving == (0, 1, 2, 3, 4, 5)
    assert MAGMA.grippers == (6,)
    assert MAGMA.joints == ()
    assert len(ee_delta(("dx", "dy", "dz", "gripper"))) == 4


def test_arms_and_grippers_are_found_wherever_their_columns_stand():
    two = space(SIX[0], gripper("left"), SIX[1], gripper("right", open=-1.0, closed=1.0))
    assert two.joints == ("joint_1", "joint_2")
    assert two.moving == (0, 2)
    openings = two.openings(np.array([[0.5, 1.0, 0.5, 1.0], [0.5, 0.2, 0.5, -3.0]]))
    np.testing.assert_allclose(openings, [[1.0, 0.0], [0.2, 1.0]])
    assert space(*SIX).openings(np.zeros((3, 6))).shape == (3, 0)


def test_joints_are_mapped_by_name_whatever_their_order():
    assert space(*SIX[:3]).require_joints(("joint_3", "joint_1", "extra", "joint_2")) == (1, 3, 0)
    assert MAGMA.require_joints(()) == ()


def test_grippers_are_mapped_by_name_and_an_only_one_whatever_its_name():
    both = space(*SIX[:1], gripper("left"), gripper("right"))
    assert both.require_grippers(("right", "left")) == (1, 0)
    assert space(*SIX[:1], gripper("jaw")).require_grippers(("gripper",)) == (0,)
    assert space(*SIX[:1]).require_grippers(("left", "right")) == ()
    with pytest.raises(SpaceError, match="moves the gripper right, which the robot's file does"):
        both.require_grippers(("left", "gripper"))
    with pytest.raises(SpaceError, match="has the gripper third, which the policy does not move"):
        both.require_grippers(("left", "right", "third"))


def test_a_joint_has_the_unit_of_the_robots():
    turning = dict.fromkeys((dim.name for dim in SIX), "rad")
    space(*SIX).require_units(turning)
    MAGMA.require_units({})
    with pytest.raises(SpaceError, match=r"joint_2 in rad, .* it slides, which is m; correct"):
        space(*SIX).require_units(turning | {"joint_2": "m"})
    with pytest.raises(SpaceError, match="joint_1, of which the robot description does not"):
        space(*SIX).require_units({})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (space, "needs at least one dimension"),
        (lambda: space(SIX[0], SIX[0]), "two dimensions joint_1"),
        (lambda: space(Dimension("a", "rad", 1.0, 1.0)), "limits of a are empty: 1 is not below 1"),
        (lambda: space(Dimension("a", "rad", float("nan"))), "limits of a are empty"),
        (lambda: space(Dimension("", "rad")), "has no name"),
        (lambda: space(Dimension("a", "deg")), "unit of joint a is 'deg'; it must be rad"),
        (lambda: space(gripper()), "moves no arm"),
        (lambda: space(SIX[0], gripper("g", open=0.0)), "g is 0 both open and closed"),
        (lambda: space(SIX[0], gripper("g", open=np.inf)), "must be finite"),
        (lambda: ee_delta(("dx", "shoulder")), "ee_delta has no dimension shoulder"),
        (
            lambda: space(Dimension("dx", "mm"), kind=SpaceKind.EE_DELTA),
            "unit of dx must be m, not 'mm'",
        ),
        (
            lambda: space(*(Dimension(n, "m") for n in "xy"), kind=SpaceKind.EE_POSE),
            "ee_pose lacks z",
        ),
        (
            lambda: space(
                *(Dimension(n, "m") for n in "xyz"), Dimension("qx", "1"), kind=SpaceKind.EE_POSE
            ),
            "ee_pose lacks qw, qy, qz",
        ),
        (
            lambda: space(
                *(Dimension(n, "m") for n in "xyz"),
                *(Dimension(n, "1") for n in ("qx", "qy", "qz", "qw")),
                Dimension("rx", "rad"),
                kind=SpaceKind.EE_POSE,
            ),
            "rotation vector and a quaternion",
        ),
        (lambda: space(*SIX).require_joints(("joint_1",)), "joint_2, which the robot's file"),
        (lambda: ee_delta(frame="fr3_link0").require_frames("base_link", "tool0"), "'fr3_link0'"),
        (lambda: ee_delta(tool_frame="hand").require_frames("base_link", "tool0"), "'hand'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(SpaceError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_frames_of_whichever_robot_fit_every_robot():
    MAGMA.require_frames("base_link", "tool0")
    ee_delta(frame="base_link", tool_frame="tool0").require_frames("base_link", "tool0")
    space(*SIX, frame="nowhere").require_frames("base_link", "tool0")


ROOT = Path(__file__).parents[1] / "magma_ros"

OWN = (
    "spaces.py",  # where they are named
    "tables.py",  # what Magma's tokens and demonstrations of twists come to
    "policy/action_statistics.py",  # Magma's own statistics
    "evaluation/world.py",  # worlds whose arm is moved by displacements, and their experts
    "evaluation/bench/wall.py",
    "nodes/sim_expert.py",
    "episodes/episode.py",  # what a robot that takes twists was sent
    "episodes/read.py",
    "sim/",
    "metaworld/",
    "models/magma/",  # Magma's own network and its tokens
    "models/data/",  # demonstrations of twists
    "models/training/rollout.py",
    "models/export/improvement.py",
    "models/export/marked.py",
)
"""Code of ``ee_delta`` itself: only there may anything be made of Magma's seven columns."""

SEVEN = re.compile(
    r"\bACTION_DIMS\b|spaces import[^\n]*\bGRIPPER\b|\b[A-Z], 7\)|\(7,\)|\[\.\.\., 6\]"
)
QUATERNIONS = ("episodes/tracks.py", "episodes/frames.py")
"""Files in which seven columns are a position and a quaternion."""


def test_nothing_outside_its_own_code_counts_on_magmas_seven_columns():
    found = []
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OWN) and name not in QUATERNIONS:
            found += [f"{name}: {match[0]}" for match in SEVEN.finditer(path.read_text("utf-8"))]
    assert not found
    assert SEVEN.search((ROOT / "sim" / "envs.py").read_text("utf-8"))  # the pattern finds some
