# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Guard and eyes with the settings of a known robot, and an arm that does what the guard sends."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.evaluation.play.guarded import Sight
from magma_ros.files import yaml_mapping
from magma_ros.guard import (
    CommandInterface,
    GuardConfig,
    JointConfig,
    JointLimits,
    Limits,
    Workspace,
)
from magma_ros.guard.kinematics import UrdfKinematics
from magma_ros.guard.track import matrix
from magma_ros.perception.clearance import ClearanceConfig
from magma_ros.share import share_file
from magma_ros.types import FloatArray, MagmaError, Pose


def robot_config(
    robot: str = "sim", *, endless: Collection[str] = (), **changes: Any
) -> GuardConfig:
    """The guard's settings for a robot of ``config/robots``, with its other defaults.

    Args:
        robot: Name of the robot's file, without its ending.
        endless: Names of joints that turn without end here, whatever its description says.
        **changes: Settings to have otherwise.

    Raises:
        MagmaError: There is no such robot, or its file does not hold what a guard needs.
    """
    path, given = _robot_file(robot)
    try:
        config = GuardConfig(
            base_frame=given["base_frame"],
            limits=Limits(**given["limits"]),
            workspace=Workspace(**given["workspace"]),
            joints=_joints(given, endless),
        )
    except (KeyError, TypeError) as error:
        raise MagmaError(f"{path} does not hold a robot's frame, limits and workspace") from error
    return replace(config, **changes)


def _joints(given: Mapping[str, Any], endless: Collection[str]) -> JointConfig | None:
    """How a robot is commanded joint by joint, or None if it takes twists.

    Raises:
        KeyError: Its file does not describe it.
        GuardConfigError: What it holds makes no sense.
    """
    interface = CommandInterface(given.get("command_interface", CommandInterface.TWIST.value))
    if interface is CommandInterface.TWIST:
        return None
    body, bounds = given["body"], dict(given["joints"])
    names = bounds.pop("names")
    urdf = share_file(body["urdf"]).read_text(encoding="utf-8")
    for name in endless:
        urdf = urdf.replace(f'name="{name}" type="revolute"', f'name="{name}" type="continuous"')
    base = body.get("base_link") or given["base_frame"]
    tool = body.get("tool_link") or given["ee_frame"]
    kinematics = UrdfKinematics(urdf, names, base, tool)
    return JointConfig(JointLimits.tightened(names, kinematics, **bounds), kinematics, interface)


def robot_sight(robot: str = "sim", **changes: Any) -> Sight:
    """How a robot of ``config/robots`` sees obstacles.

    Args:
        robot: Name of the robot's file, without its ending.
        **changes: Settings to have otherwise.

    Raises:
        MagmaError: There is no such robot, or its file does not describe its body.
    """
    path, given = _robot_file(robot)
    try:
        body = given["body"]
        sight = Sight(
            guarded=tuple(body["guarded_links"]),
            clearance=ClearanceConfig(
                padding=body["padding"],
                held_radius=body["held_radius"],
                worktop=given["worktop"]["height"],
            ),
        )
    except (KeyError, TypeError) as error:
        raise MagmaError(f"{path} does not hold a robot's body and worktop") from error
    return replace(sight, **changes)


def _robot_file(robot: str) -> tuple[Path, dict[str, Any]]:
    """Path and parameters of a robot.

    Raises:
        MagmaError: There is no such robot, or its file holds no parameters.
    """
    path = share_file("config", "robots", f"{robot}.yaml")
    try:
        parameters: dict[str, Any] = yaml_mapping(path)["/**"]["ros__parameters"]
    except (KeyError, TypeError) as error:
        raise MagmaError(f"{path} does not hold a robot's parameters") from error
    return path, parameters


class IdealArm:
    """Follows twists exactly, with a delay, and reports its pose with another.

    Args:
        position: (3,) where it begins [m].
        response: Time from a twist to its effect [s].
        quaternion: (4,) x y z w with which it begins.
        hold: Time for which it carries out a twist when no other comes [s].
    """

    def __init__(
        self,
        position: FloatArray,
        response: float = 0.0,
        quaternion: FloatArray | None = None,
        hold: float = math.inf,
    ) -> None:
        self.position: FloatArray = np.array(position, dtype=np.float64)
        self.quaternion: FloatArray = np.array(
            [0.0, 0.0, 0.0, 1.0] if quaternion is None else quaternion
        )
        self._response, self._hold = response, hold
        self._since = -math.inf  # since when its twist is in force [s]
        self._now: float | None = None
        self._twist: FloatArray = np.zeros(6)  # in force
        self._coming: deque[tuple[float, FloatArray]] = deque()

    @property
    def rotation(self) -> FloatArray:
        """(3, 3) from the end effector's frame to the base frame."""
        return matrix(self.quaternion)

    def send(self, now: float, twist: FloatArray) -> None:
        """Command it at ``now`` [s] to move with ``twist`` (6,) from then on."""
        self._coming.append((now + self._response, np.array(twist)))

    def move(self, now: float) -> None:
        """Let time pass up to ``now`` [s]."""
        if self._now is None:
            self._now = now
        while self._coming and self._coming[0][0] <= now:
            when, twist = self._coming.popleft()
            self._go(when)
            self._twist, self._since = twist, when
        self._go(now)

    def pose(self) -> Pose:
        """Where it is now."""
        assert self._now is not None
        return Pose(self._now, self.position.copy(), self.quaternion.copy())

    def _go(self, now: float) -> None:
        assert self._now is not None
        elapsed = max(min(now, self._since + self._hold) - self._now, 0.0)
        self._now = max(now, self._now)
        self.position = self.position + elapsed * self._twist[:3]
        if elapsed > 0.0 and self._twist[3:].any():
            self.quaternion = _turned(self.quaternion, elapsed * self._twist[3:])


def _turned(quaternion: FloatArray, vector: FloatArray) -> FloatArray:
    """``quaternion`` (4,) turned further by a rotation vector (3,) [rad] of the base frame."""
    half = 0.5 * float(np.linalg.norm(vector))
    if half < 1e-12:
        return quaternion
    axis = vector / (2.0 * half)
    x1, y1, z1 = np.sin(half) * axis
    w1 = np.cos(half)
    x2, y2, z2, w2 = quaternion
    turned: FloatArray = np.array(
        [
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        ]
    )
    turned /= np.linalg.norm(turned)
    return turned
