# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the arm will be on the straight way through a task, and how near that comes to a box."""

from __future__ import annotations

from itertools import pairwise
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from magma_ros.sim.arm import Arm
from magma_ros.sim.bullet import Bullet
from magma_ros.sim.layout import Layout
from magma_ros.sim.suite import Suite, load_arm
from magma_ros.sim.tasks import Place, Task

Vector = npt.NDArray[np.float64]

HOVER = 0.10
"""Height of the tool when it travels over objects [m], about that of the scripted expert."""
LIFT = 0.15
"""Height of the tool with a lifted object [m]."""
STEP = 0.025
"""Longest step between two poses that are looked at [m]."""
FAR = 0.30
"""Distance beyond which none is measured [m]."""


class ToolPose(NamedTuple):
    """A pose of the tool: position (3,) [m] and turn about the vertical [rad]."""

    position: Vector
    yaw: float


def straight_way(suite: Suite, task: Task, layout: Layout) -> list[ToolPose]:
    """Poses of the tool from the start over the target, down, up, and to the tray if need be."""
    place = layout.objects[layout.targets[0]]
    x, y, yaw = place.pose
    grasp_yaw = suite.shapes[place.shape].grasp_yaw(float(yaw))
    height = suite.scene.object_height / 2
    corners = [
        ToolPose(np.array(layout.tool_position), layout.tool_yaw),
        ToolPose(np.array([x, y, HOVER]), grasp_yaw),
        ToolPose(np.array([x, y, height]), grasp_yaw),
        ToolPose(np.array([x, y, LIFT if not isinstance(task, Place) else HOVER]), grasp_yaw),
    ]
    if isinstance(task, Place):
        over = np.array([*layout.tray, HOVER])
        corners += [ToolPose(over, grasp_yaw), ToolPose(over - [0, 0, HOVER / 2], grasp_yaw)]
    way = [corners[0]]
    for one, other in pairwise(corners):
        length = float(np.linalg.norm(other.position - one.position))
        for share in np.linspace(0.0, 1.0, max(2, int(np.ceil(length / STEP)) + 1))[1:]:
            position = one.position + share * (other.position - one.position)
            way.append(ToolPose(position, one.yaw + float(share) * (other.yaw - one.yaw)))
    return way


class Rehearsal:
    """The arm alone in a physics server of its own; a context manager that releases it.

    Args:
        suite: Names the robot.
    """

    def __init__(self, suite: Suite) -> None:
        self._bullet = Bullet()
        self._arm = Arm(self._bullet, *load_arm(suite.robot))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bullet.close()

    def box(self, size: Vector) -> int:
        """Add a box of a size (3,) [m] to measure from; its number."""
        half = [float(side) / 2 for side in size]
        shape = self._bullet.createCollisionShape(self._bullet.GEOM_BOX, halfExtents=half)
        return int(self._bullet.createMultiBody(0.0, shape, -1, [0.0, 0.0, -10.0]))

    def remove(self, boxes: list[int]) -> None:
        """Take boxes away again."""
        for box in boxes:
            self._bullet.removeBody(box)

    def gaps(self, way: list[ToolPose], boxes: list[int], centres: Vector) -> Vector:
        """Distances of the arm in every pose from every box, (poses, boxes) [m], at most FAR.

        Args:
            way: The poses.
            boxes: Numbers of the boxes.
            centres: Where each box stands, (boxes, 3) [m].
        """
        for box, centre in zip(boxes, centres, strict=True):
            self._bullet.resetBasePositionAndOrientation(box, centre, [0.0, 0.0, 0.0, 1.0])
        found = np.full((len(way), len(boxes)), FAR)
        for row, pose in enumerate(way):
            self._arm.place(pose.position, pose.yaw)
            for column, box in enumerate(boxes):
                near = self._bullet.getClosestPoints(self._arm.body, box, FAR)
                found[row, column] = min((point[8] for point in near), default=FAR)
        return found
