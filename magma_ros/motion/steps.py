# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of an action chunk, whatever its action space, as what one kind of command takes.

An arm that is led by twists takes displacements, one that is led by its joints takes where they are
to be. Grippers take openings. A target is to be reached at the end of its step.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.spaces import DELTA_UNITS, QUATERNION, ROTATION_VECTOR, SpaceKind
from magma_ros.types import ActionChunk, FloatArray, MagmaError, Pose

TWIST = tuple(DELTA_UNITS)
"""What a twist leads: three translations, and three components of a rotation vector."""


class ChunkError(MagmaError):
    """An action chunk that cannot be played."""


def displacements(chunk: ActionChunk, pose: Pose | None = None) -> FloatArray:
    """How far the end effector moves in each step.

    Args:
        chunk: One of an end effector.
        pose: Where the end effector was at the chunk's observation, from where poses lead on; of
            no use for displacements.

    Returns:
        (K, 6) translations [m] and rotation vectors [rad] in the base frame.

    Raises:
        ChunkError: The chunk is malformed or leads joints, or a pose is needed and not known.
    """
    actions, space = _checked(chunk), chunk.space
    moved = np.zeros((len(actions), len(TWIST)))
    if space.kind is SpaceKind.EE_DELTA:
        for column in space.moving:
            moved[:, TWIST.index(space.names[column])] = actions[:, column]
        return moved
    if space.kind is not SpaceKind.EE_POSE:
        raise ChunkError(f"a chunk of {space.kind.value} leads joints, not an end effector")
    if pose is None:
        raise ChunkError(
            "where the end effector was at the observation is not known, so no way leads from "
            "there to the poses planned; is its pose published?"
        )
    columns = {name: actions[:, space.names.index(name)] for name in space.names}
    places = np.stack([columns[axis] for axis in "xyz"], axis=1)
    moved[:, :3] = np.diff(places, axis=0, prepend=pose.position[None])
    if (turns := _orientations(columns)) is not None:
        before = Rotation.concatenate([Rotation.from_quat(pose.quaternion), turns[:-1]])
        moved[:, 3:] = (turns * before.inv()).as_rotvec()
    return moved


def joint_targets(chunk: ActionChunk, positions: FloatArray) -> FloatArray:
    """Where each joint is to be at the end of each step.

    Args:
        chunk: One of joints.
        positions: (N,) where they were at the chunk's observation, in the order of the space's
            joints [rad or m].

    Returns:
        (K, N) positions [rad or m].

    Raises:
        ChunkError: The chunk is malformed or leads an end effector.
    """
    actions, space = _checked(chunk), chunk.space
    if not space.kind.of_joints:
        raise ChunkError(f"a chunk of {space.kind.value} leads an end effector, not joints")
    columns = actions[:, list(space.moving)]
    if space.kind is SpaceKind.JOINT_DELTA:
        return np.asarray(positions + np.cumsum(columns, axis=0))
    return columns


def openings(chunk: ActionChunk) -> FloatArray:
    """How far each gripper is to be open at the end of each step, (K, G), 1 = open."""
    return chunk.space.openings(np.asarray(chunk.actions, float))


def _checked(chunk: ActionChunk) -> FloatArray:
    if not (math.isfinite(chunk.step_period) and chunk.step_period > 0.0):
        raise ChunkError(f"a chunk's step period must be a positive time, not {chunk.step_period}")
    if not math.isfinite(chunk.stamp):
        raise ChunkError(f"a chunk's stamp must be a finite time, not {chunk.stamp}")
    actions, names = np.asarray(chunk.actions, dtype=np.float64), chunk.space.names
    if actions.ndim != 2 or actions.shape[0] < 1 or actions.shape[1] != len(names):
        raise ChunkError(
            f"a chunk must hold at least one action of {len(names)} numbers "
            f"({', '.join(names)}), but its shape is {actions.shape}"
        )
    if not np.isfinite(actions).all():
        step, column = np.argwhere(~np.isfinite(actions))[0]
        raise ChunkError(
            f"a chunk must be finite, but {names[column]} of step {step} is {actions[step, column]}"
        )
    return actions


def _orientations(columns: dict[str, FloatArray]) -> Rotation | None:
    """Those of the poses, or None if they are positions alone."""
    if ROTATION_VECTOR[0] in columns:
        return Rotation.from_rotvec(np.stack([columns[n] for n in ROTATION_VECTOR], axis=1))
    if QUATERNION[0] not in columns:
        return None
    quaternions = np.stack([columns[name] for name in QUATERNION], axis=1)
    if not np.linalg.norm(quaternions, axis=1).all():
        raise ChunkError("a chunk's quaternion is zero, which is no orientation")
    return Rotation.from_quat(quaternions)
