# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated arm: follows twists of its tool with the gripper pointing down, or its joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from magma_ros.sim.bullet import Bullet
from magma_ros.sim.suite import ArmSpec

Vector = npt.NDArray[np.float64]

IK_ITERATIONS = 20
IK_RESIDUAL = 1e-5
PLACE_ROUNDS = 30
ARM_FORCE = 200.0
LINKAGE_FORCE = 100.0


class Arm:
    """Joints, tool and gripper of the arm in one physics server.

    Attributes:
        spec: What the arm is and may do.
        body: Its number in the physics server.
        joint_names: The arm's joints, then the fingers'.
        fingers: Numbers of the fingers' joints, hence of their links.
    """

    def __init__(self, bullet: Bullet, spec: ArmSpec, urdf: Path) -> None:
        self.spec = spec
        self._bullet = bullet
        self.body: int = bullet.loadURDF(
            str(urdf), useFixedBase=True, flags=bullet.URDF_USE_INERTIA_FROM_FILE
        )
        infos = [bullet.getJointInfo(self.body, i) for i in range(bullet.getNumJoints(self.body))]
        joints = {info[1].decode(): info[0] for info in infos}
        self._links = {info[12].decode(): info[0] for info in infos}
        self.joint_names = (*spec.arm_joints, *spec.finger_joints)
        self._arm = [joints[name] for name in spec.arm_joints]
        self.fingers = tuple(joints[name] for name in spec.finger_joints)
        self._tool = self._links[spec.tool_link]
        self._position = np.zeros(3)
        self._yaw = 0.0
        self._opening = 1.0
        self._set_up_fingers()

    def place(self, position: Vector, yaw: float) -> None:
        """Put the tool at a pose at once, fingers open.

        Args:
            position: Tool centre in the base frame, (3,) [m].
            yaw: Turn of the tool about the vertical [rad].
        """
        for joint, angle in zip(self._arm, self.spec.home, strict=True):
            self._bullet.resetJointState(self.body, joint, angle)
        for _ in range(PLACE_ROUNDS):
            for joint, angle in zip(self._arm, self._inverse(position, yaw), strict=True):
                self._bullet.resetJointState(self.body, joint, angle)
        for finger in self.fingers:
            self._bullet.resetJointState(self.body, finger, self.spec.finger_travel)
        self._position, self._yaw, self._opening = np.array(position), yaw, 1.0

    def follow(self, twist: Vector, opening: float, duration: float) -> None:
        """Move the commanded pose along a twist and set the motors towards it.

        Only the linear part and the yaw rate have an effect. The commanded pose stays in the
        workspace and near the measured one, so pressing against something does not wind it up.

        Args:
            twist: (6,) linear [m/s], angular [rad/s] in the base frame.
            opening: Gripper, 1 = open, 0 = closed.
            duration: Time until the next call [s].
        """
        limits = self.spec.limits
        linear = np.clip(twist[:3], -limits.linear, limits.linear)
        turn = float(np.clip(twist[5], -limits.angular, limits.angular))
        measured = self.tool_position()
        wanted = self._position + linear * duration
        wanted = np.clip(wanted, measured - limits.max_lead, measured + limits.max_lead)
        self._position = np.clip(wanted, limits.workspace.low, limits.workspace.high)
        self._yaw = float(np.clip(self._yaw + turn * duration, -limits.yaw, limits.yaw))
        self._opening = float(np.clip(opening, 0.0, 1.0))
        self._drive(self._inverse(self._position, self._yaw))

    def follow_joints(self, positions: Vector, opening: float) -> None:
        """Set the motors towards positions of the arm's joints.

        Args:
            positions: (N,) in the order of the arm's joints [rad].
            opening: Gripper, 1 = open, 0 = closed.
        """
        self._opening = float(np.clip(opening, 0.0, 1.0))
        self._drive(positions.tolist())
        # Where a twist would go on from.
        self._position, self._yaw = self.tool_position(), self.tool_yaw()

    def tool_position(self) -> Vector:
        """Measured tool centre in the base frame, (3,) [m]."""
        return np.array(self._link_state(self._tool)[4])

    def tool_quaternion(self) -> Vector:
        """Measured orientation of the tool, (4,) x y z w."""
        return np.array(self._link_state(self._tool)[5])

    def tool_yaw(self) -> float:
        """Measured turn of the tool about the vertical [rad]; 0 when its x axis is the base's."""
        x, y, z, w = self.tool_quaternion()
        return float(np.arctan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z)))

    def link_frame(self, name: str) -> tuple[Vector, Vector]:
        """Origin (3,) [m] and rotation matrix (3, 3) of a link in the base frame."""
        state = self._link_state(self._links[name])
        return np.array(state[4]), Rotation.from_quat(state[5]).as_matrix()

    def joint_positions(self) -> Vector:
        """Measured, in the order of ``joint_names`` [rad, m]."""
        return np.array([state[0] for state in self._joint_states()])

    def joint_velocities(self) -> Vector:
        """Measured, in the order of ``joint_names`` [rad/s, m/s]."""
        return np.array([state[1] for state in self._joint_states()])

    def gripper_opening(self) -> float:
        """Measured gap between the pads as a share of the widest, 0..1."""
        states = self._bullet.getJointStates(self.body, self.fingers)
        mean = sum(state[0] for state in states) / len(states)
        return float(np.clip(mean / self.spec.finger_travel, 0.0, 1.0))

    def _joint_states(self) -> list[tuple[float, float]]:
        states = self._bullet.getJointStates(self.body, [*self._arm, *self.fingers])
        return [(state[0], state[1]) for state in states]

    def _link_state(self, link: int) -> tuple[tuple[float, ...], ...]:
        state: tuple[tuple[float, ...], ...] = self._bullet.getLinkState(
            self.body, link, computeForwardKinematics=True
        )
        return state

    def _inverse(self, position: Vector, yaw: float) -> list[float]:
        """Joint angles for a pose, found from the measured ones, hence in the same branch."""
        down = (np.cos(yaw / 2), np.sin(yaw / 2), 0.0, 0.0)  # half a turn about x, then yaw about z
        angles = self._bullet.calculateInverseKinematics(
            self.body,
            self._tool,
            position,
            down,
            maxNumIterations=IK_ITERATIONS,
            residualThreshold=IK_RESIDUAL,
        )
        return list(angles[: len(self._arm)])

    def _drive(self, angles: list[float]) -> None:
        """Set the motors of the arm's joints to ``angles`` [rad], the fingers' to the opening."""
        spec, arms = self.spec, len(self._arm)
        self._bullet.setJointMotorControlArray(
            self.body,
            self._arm,
            self._bullet.POSITION_CONTROL,
            targetPositions=angles,
            forces=[ARM_FORCE] * arms,
            positionGains=[spec.position_gain] * arms,
            velocityGains=[spec.velocity_gain] * arms,
        )
        for finger in self.fingers:
            self._bullet.setJointMotorControl2(
                self.body,
                finger,
                self._bullet.POSITION_CONTROL,
                targetPosition=self._opening * spec.finger_travel,
                force=spec.finger_force,
                maxVelocity=spec.finger_speed,
            )

    def _set_up_fingers(self) -> None:
        """Link the fingers as a rack and pinion would, and give the pads their friction."""
        left, right = self.fingers
        linkage = self._bullet.createConstraint(
            self.body,
            left,
            self.body,
            right,
            jointType=self._bullet.JOINT_GEAR,
            jointAxis=[1, 0, 0],
            parentFramePosition=[0, 0, 0],
            childFramePosition=[0, 0, 0],
        )
        self._bullet.changeConstraint(linkage, gearRatio=-1, erp=0.2, maxForce=LINKAGE_FORCE)
        for finger in self.fingers:
            self._bullet.changeDynamics(
                self.body,
                finger,
                lateralFriction=self.spec.finger_friction,
                spinningFriction=self.spec.spinning_friction,
            )
