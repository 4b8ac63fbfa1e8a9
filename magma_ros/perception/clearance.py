# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the robot's moving body is from what stands around it, in every direction.

Depth becomes points in the base frame; what belongs to the robot, what lies on the worktop and
what hangs together with nothing is taken out; points that the arm now covers are remembered. This
measures; what follows from it is the guard's and the gate's to decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from magma_ros.perception.body import Body
from magma_ros.perception.depth import (
    Intrinsics,
    in_metres,
    in_sight,
    points_of,
    without_speckles,
)
from magma_ros.perception.error import MeasurementError, PerceptionError, require_positive
from magma_ros.perception.memory import PointMemory, thinned
from magma_ros.perception.shapes import PlacedShapes
from magma_ros.types import FloatArray

Gone = Callable[[FloatArray], npt.NDArray[np.bool_]]
"""Tells which of some points (N, 3) in the base frame need not be remembered any more."""

MOST_SECTORS = 64
"""Most vectors of a reading."""

_BEFORE = 0.02
"""How far before a remembered point something must be to hide it [m]."""

_TOGETHER = 0.01
"""How far apart points of one thing may lie, two voxels [m]."""

_AT_REST = 1e-3
"""Speed below which a commanded motion has no direction [m/s]."""


@dataclass(frozen=True, slots=True)
class ClearanceConfig:
    """Settings of a :class:`ClearanceEstimator`.

    Attributes:
        near: Least depth that is used [m].
        far: Greatest depth that is used [m].
        reach: Distance from the body up to which obstacles are told of [m].
        worktop: Height in the base frame below which everything is work, not obstacle [m].
        padding: How far round its description the body is taken to be its own [m]: errors of
            calibration, joint states and depth together. Nothing nearer than this is seen.
        held_radius: Radius about the tool of what the closed gripper holds [m]. With the padding
            it must reach the farthest corner of all that is ever held: what sticks out is an
            obstacle, and one that the arm cannot leave.
        voxel: Size of the cubes of which each keeps one point [m].
        speckle: Least number of connected pixels that count.
        jump: Greatest step between neighbouring pixels that are connected [m].
        valid_share: Least share of an image's pixels that must be measured.
        memory: How long a point that is out of sight is remembered [s].
        sectors: Number of directions of which each has its own vector, at most 64.
        cone: Half the angle about the commanded motion in which an obstacle is in its way [rad].

    Raises:
        PerceptionError: A setting makes no sense.
    """

    near: float = 0.05
    far: float = 2.5
    reach: float = 0.5
    worktop: float = 0.06
    padding: float = 0.02
    held_radius: float = 0.06
    voxel: float = 0.005
    speckle: int = 12
    jump: float = 0.03
    valid_share: float = 0.1
    memory: float = 3.0
    sectors: int = 48
    cone: float = math.radians(60.0)

    def __post_init__(self) -> None:
        require_positive(
            self, "near", "far", "reach", "padding", "held_radius", "voxel", "jump", "memory"
        )
        require_positive(self, "cone")
        if not self.near < self.far:
            raise PerceptionError(
                f"the perception's near ({self.near} m) must be below its far ({self.far} m)"
            )
        if not math.isfinite(self.worktop):
            raise PerceptionError(f"the perception's worktop must be finite, not {self.worktop}")
        if not 1 <= self.sectors <= MOST_SECTORS:
            raise PerceptionError(
                f"the perception's sectors must be 1 to {MOST_SECTORS}, not {self.sectors}"
            )
        if not 0.0 < self.valid_share <= 1.0:
            raise PerceptionError(
                f"the perception's valid_share must be a share of 1, not {self.valid_share}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ClearanceReading:
    """What stands round the robot at one moment, in the base frame.

    Attributes:
        stamp: When it was seen [s].
        distance: From the guarded body to the nearest obstacle [m]; inf if none is within reach.
        along: Likewise, of obstacles in the way of the commanded motion; at rest of all.
        vectors: (K, 3) shortest vectors from the guarded body to obstacles [m], the nearest of
            each sector, nearest first.
        origins: (K, 3) where on the body they begin [m].
        levers: (K, 3) from the tool to where they begin [m]; zero on links that do not turn with
            the tool, of whose own motion a command to the tool tells little.
        points: (N, 3) of what is not robot and not work [m].
        body: The robot's solids, with what it holds.
        valid: Share of the image that was measured, 0..1.
        protrudes: Whether an obstacle hangs together with what the gripper holds: that is larger
            than ``held_radius``, or touches something.
    """

    stamp: float
    distance: float
    along: float
    vectors: FloatArray
    origins: FloatArray
    levers: FloatArray
    points: FloatArray
    body: PlacedShapes
    valid: float
    protrudes: bool


@dataclass(frozen=True, slots=True, eq=False)
class RobotState:
    """What the robot was doing when the picture was taken.

    Attributes:
        joints: Joint positions by name [rad or m].
        holding: Whether the gripper is closed on something.
        velocity: (3,) that is commanded of the tool in the base frame [m/s].
    """

    joints: Mapping[str, float]
    holding: bool = False
    velocity: FloatArray = field(default_factory=lambda: np.zeros(3))


class ClearanceEstimator:
    """Makes readings of depth, one picture after the other.

    Args:
        config: Settings.
        body: The robot.
    """

    def __init__(self, config: ClearanceConfig, body: Body) -> None:
        self.config, self.body = config, body
        self._memory = PointMemory(config.voxel, config.memory)
        self._directions = sector_directions(config.sectors)

    def clear(self) -> None:
        """Forget what was seen."""
        self._memory.clear()

    def update(
        self,
        depth: npt.NDArray[np.generic],
        intrinsics: Intrinsics,
        camera_pose: FloatArray,
        state: RobotState,
        stamp: float,
    ) -> ClearanceReading:
        """The reading of one depth image; images of several cameras may take turns.

        Args:
            depth: (H, W) float32 [m] or uint16 [mm], rectified.
            intrinsics: The camera's calibration.
            camera_pose: (4, 4) from the camera's optical frame to the base frame.
            state: The robot at that time.
            stamp: When the image was taken [s].

        Raises:
            MeasurementError: The image does not fit the calibration, or hardly any of it was
                measured.
            BodyError: A joint's position is missing.
        """
        config = self.config
        if depth.shape != (intrinsics.height, intrinsics.width):
            raise MeasurementError(
                f"the depth image is {depth.shape[::-1]} pixels, but its calibration is of "
                f"{intrinsics.width} x {intrinsics.height}"
            )
        metres = in_metres(depth)
        valid = float(np.isfinite(metres).mean())
        if valid < config.valid_share:
            raise MeasurementError(
                f"only {valid:.1%} of the depth image is measured; is the camera covered, too "
                "near, or dark?"
            )
        clean = without_speckles(metres, config.speckle, config.jump)
        seen = _moved(points_of(clean, intrinsics, config.near, config.far), camera_pose)
        to_camera = np.linalg.inv(camera_pose)

        def gone(points: FloatArray) -> npt.NDArray[np.bool_]:
            return in_sight(_moved(points, to_camera), metres, intrinsics, _BEFORE)

        return self._reading(seen, gone, state, stamp, valid)

    def update_cloud(
        self, points: FloatArray, camera_pose: FloatArray, state: RobotState, stamp: float
    ) -> ClearanceReading:
        """The reading of one cloud, of which nothing is remembered: what is past is not known.

        Args:
            points: (N, 3) in the sensor's frame [m]; what is not finite was not measured.
            camera_pose: (4, 4) from the sensor's frame to the base frame.
            state: The robot at that time.
            stamp: When the cloud was taken [s].

        Raises:
            MeasurementError: Hardly any of it was measured.
            BodyError: A joint's position is missing.
        """
        finite = np.isfinite(points).all(axis=1)
        valid = float(finite.mean()) if len(points) else 0.0
        if valid < self.config.valid_share:
            raise MeasurementError(f"only {valid:.1%} of the cloud of {len(points)} is measured")
        ranges = np.linalg.norm(points[finite], axis=1)
        kept = (ranges >= self.config.near) & (ranges <= self.config.far)
        seen = _moved(points[finite][kept], camera_pose)
        return self._reading(seen, lambda old: np.ones(len(old), bool), state, stamp, valid)

    def _reading(
        self,
        seen: FloatArray,
        gone: Gone,
        state: RobotState,
        stamp: float,
        valid: float,
    ) -> ClearanceReading:
        config = self.config
        poses = self.body.poses(state.joints)
        held = config.held_radius if state.holding else 0.0
        solids = self.body.solids(poses, held)
        guarded = self.body.solids(poses, held, guarded=True)
        near = thinned(self._within(seen, guarded), config.voxel)
        in_hand = self.body.held(poses, held)
        gripped = near[in_hand.holds(near, config.padding)]
        near = near[~solids.holds(near, config.padding)]
        points = self._memory.update(
            near, stamp, lambda old: gone(old) | in_hand.holds(old, config.padding)
        )
        points = points[~solids.holds(points, config.padding)]
        found = guarded.vectors(points, config.reach)
        nearest = nearest_by_sector(found.vectors, found.lengths, self._directions)
        origins = points[nearest] - found.vectors[nearest]
        turning = self.body.turning(holding=state.holding)[found.solids[nearest]]
        ahead = _ahead(found.vectors, found.lengths, state.velocity, config.cone)
        return ClearanceReading(
            stamp=stamp,
            distance=float(found.lengths.min(initial=math.inf)),
            along=float(found.lengths[ahead].min(initial=math.inf)),
            vectors=found.vectors[nearest],
            origins=origins,
            levers=np.where(turning[:, None], origins - poses[self.body.tool][:3, 3], 0.0),
            points=points,
            body=solids,
            valid=valid,
            protrudes=_touching(near, gripped),
        )

    def _within(self, points: FloatArray, guarded: PlacedShapes) -> FloatArray:
        """Those of ``points`` above the worktop that are perhaps within reach of the body."""
        config = self.config
        reaches = np.array([shape.reach for shape in guarded.shapes])[:, None]
        centres = np.array([pose[:3, 3] for pose in guarded.poses])
        low = (centres - reaches).min(axis=0) - config.reach
        high = (centres + reaches).max(axis=0) + config.reach
        low[2] = max(low[2], config.worktop)
        inside: npt.NDArray[np.bool_] = ((points >= low) & (points <= high)).all(axis=1)
        return points[inside]


def sector_directions(count: int) -> FloatArray:
    """Unit vectors (``count``, 3) spread evenly over the sphere (a Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    z = 1.0 - 2.0 * index / count
    turn = math.pi * (1.0 + math.sqrt(5.0)) * index
    across = np.sqrt(1.0 - z**2)
    directions: FloatArray = np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
    return directions


def nearest_by_sector(
    vectors: FloatArray, lengths: FloatArray, directions: FloatArray
) -> npt.NDArray[np.intp]:
    """Indices of the shortest of ``vectors`` (N, 3) in the sector of each direction, in order.

    Args:
        vectors: To obstacles [m].
        lengths: Their lengths (N,) [m]; those of infinite length do not count.
        directions: Unit vectors (K, 3); a vector belongs to the one that it is nearest to.
    """
    order = np.argsort(lengths)
    order = order[: int(np.isfinite(lengths).sum())]
    sectors = np.argmax(vectors[order] @ directions.T, axis=1)
    _, first = np.unique(sectors, return_index=True)
    return order[np.sort(first)]


def _touching(points: FloatArray, others: FloatArray) -> bool:
    """Whether any of ``points`` (N, 3) hangs together with any of ``others`` (M, 3)."""
    if not len(points) or not len(others):
        return False
    gaps = cKDTree(others).query(points, distance_upper_bound=_TOGETHER)[0]
    return bool(np.any(np.isfinite(gaps)))


def _ahead(
    vectors: FloatArray, lengths: FloatArray, velocity: FloatArray, cone: float
) -> npt.NDArray[np.bool_]:
    """Which of ``vectors`` (N, 3) lie within ``cone`` [rad] of a ``velocity`` (3,) [m/s]."""
    speed = float(np.linalg.norm(velocity))
    if speed < _AT_REST:
        return np.isfinite(lengths)
    with np.errstate(invalid="ignore"):
        ahead: npt.NDArray[np.bool_] = (
            vectors @ (velocity / speed) >= math.cos(min(cone, math.pi)) * lengths
        )
    return ahead & np.isfinite(lengths)


def _moved(points: FloatArray, pose: FloatArray) -> FloatArray:
    """``points`` (N, 3) through a transform (4, 4), in their own precision."""
    placed = pose.astype(points.dtype)
    moved: FloatArray = points @ placed[:3, :3].T + placed[:3, 3]
    return moved
