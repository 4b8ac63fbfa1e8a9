# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that must be there and in order while the arm moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.guard.config import GuardConfig
from magma_ros.guard.e_stop import EmergencyStop
from magma_ros.guard.joint_track import JointTrack
from magma_ros.guard.mismatch import MotionWatch
from magma_ros.guard.proximity import Arm, ClearanceWatch
from magma_ros.guard.sources import PolicyWatch, Stream, TeleopWatch
from magma_ros.guard.track import Track
from magma_ros.types import Answer, FloatArray, Pose, Source, StopReason

Trouble = tuple[StopReason, str]
"""A reason to hold or to stop, and what exactly is wrong."""


class Watch:
    """Keeps what was received from the driver, the robot, the sensors and the emergency stop.

    Args:
        config: Settings.
        e_stop: Last state of the emergency stop.

    Attributes:
        policy: The policy's twists and health.
        teleop: A person's twists and dead-man.
        clearance: How far obstacles are.
        track: Where the end effector is.
        joints: Where the joints are, of a robot that takes joint targets; else None.
        foreign: Sentences about nodes that publish where only one may, by whose topics they are.
        misreading: Why the robot's controller would misread commands, in one sentence, or empty.
    """

    def __init__(self, config: GuardConfig, e_stop: EmergencyStop) -> None:
        self._config, self._e_stop = config, e_stop
        self.policy = PolicyWatch(config.policy_timeout, config.health_timeout, config.plan_timeout)
        self.teleop = TeleopWatch(config.dead_man, config.teleop_timeout, config.teleop_patience)
        arm = Arm(
            config.limits.linear_speed,
            config.limits.linear_acceleration,
            2.0 * config.period + config.response_time,
        )
        self.clearance = ClearanceWatch(
            config.proximity, config.base_frame, arm, config.future_tolerance
        )
        oldest = max(config.state_timeout, config.proximity.timeout)
        self.track = Track(config.response_time, oldest + config.mismatch.window)
        self.joints = (
            None
            if config.joints is None
            else JointTrack(config.joints, config.response_time, config.state_timeout)
        )
        self.foreign: Mapping[Source, str] = {}
        self.misreading = ""
        self._arm = MotionWatch(config.mismatch, self.track)
        self._pose_stamp = -math.inf  # of the newest pose, on the clock of the messages

    def start(self, now: float) -> None:
        """Begin at ``now`` [s] with nothing received but the emergency stop."""
        self.policy.clear()
        self.teleop.clear()
        self.track.clear()
        self.track.lose(now)
        if self.joints is not None:
            self.joints.clear()
        self.clearance.start(now)
        self._pose_stamp = -math.inf
        self._e_stop.start(now)
        self.on_new_driver()

    def on_new_driver(self) -> None:
        """Compare the arm's motion with what is sent from now on only."""
        self._arm.start()
        if self.joints is not None:
            self.joints.start()

    def stream(self, source: Source) -> Stream:
        """The twists of the policy or of a person."""
        return self.policy.stream if source is Source.POLICY else self.teleop.stream

    def see(self, pose: Pose, now: float, offset: float, *, driven: bool) -> Answer:
        """Take in where the end effector was, unless that cannot be.

        Args:
            pose: Stamped on the clock of the messages.
            now: The time on the guard's clock [s].
            offset: What brings the stamp onto the guard's clock [s].
            driven: Whether somebody drives.
        """
        tolerance = self._config.future_tolerance
        stamp = pose.stamp + offset
        if wrong := _malformed(pose):
            return Answer(accepted=False, sentence=wrong)
        if (ahead := stamp - now) > tolerance:
            wrong = f"the pose is stamped {ahead:.3f} s in the future; synchronise the clocks"
            return Answer(accepted=False, sentence=wrong)
        if self._pose_stamp + offset > now + tolerance:
            self._pose_stamp = -math.inf  # the messages' clock was set back
        if pose.stamp < self._pose_stamp:
            return Answer(accepted=False, sentence="the pose was overtaken by a newer one")
        self._pose_stamp = pose.stamp
        pose = replace(pose, stamp=min(stamp, now))
        self.track.see(pose)
        if driven:
            self._arm.see(pose)
        return Answer(accepted=True, sentence="the pose is taken")

    def see_joints(
        self,
        names: Sequence[str],
        positions: Sequence[float] | FloatArray,
        stamp: float,
        now: float,
        offset: float,
        *,
        driven: bool,
    ) -> Answer:
        """Take in where joints were, and by their kinematics the end effector; see :meth:`see`."""
        joints, config = self.joints, self._config.joints
        if joints is None or config is None:
            return Answer(accepted=True, sentence="noted, but this robot is commanded by twists")
        tolerance = self._config.future_tolerance
        if not (ahead := stamp + offset - now) <= tolerance:
            wrong = f"the joint states are stamped {ahead:.3f} s in the future; "
            return Answer(accepted=False, sentence=f"{wrong}synchronise the clocks")
        if self._pose_stamp + offset > now + tolerance:
            joints.set_back()
            self._pose_stamp = -math.inf
        answer = joints.see(names, positions, stamp + offset, now)
        if not answer.accepted or joints.seen == -math.inf:
            return answer
        self._pose_stamp = max(self._pose_stamp, stamp)
        if driven:
            joints.compare()
        if config.kinematics is not None:
            position, rotation = config.kinematics.pose(joints.positions)
            facing = Rotation.from_matrix(rotation).as_quat()
            self.track.see(Pose(joints.seen, position, facing))
        return answer

    def emergency(self, now: float) -> Trouble | None:
        """Why the arm must be stopped, whoever drives, or None."""
        return self._e_stop.trouble(now, self._config.e_stop_heartbeat)

    def trouble(self, driver: Source, since: float, now: float) -> Trouble | None:
        """Why ``driver``, who drives since ``since`` [s], must not any more, or None."""
        if others := self._others(driver):
            return others
        if driver is Source.POLICY:
            found = self.policy.trouble(now)
        else:
            found = self.teleop.trouble(now, since)
        return found or self._arm_trouble(driver, now)

    def obstacle(self, driver: Source, now: float) -> str:
        """Why ``driver`` cannot begin to drive, in one sentence, or empty."""
        if trouble := self.emergency(now):
            return trouble[0].sentence
        if trouble := self._others(driver):
            return f"{trouble[0].sentence} {trouble[1]}"
        if missing := self._unseen(now):
            return f"The robot reports {missing}; start its driver, then ask again."
        if driver is Source.TELEOP:
            return ""
        if missing := self.clearance.missing(now):
            return f"{StopReason.CLEARANCE_SILENT.sentence} In detail, {missing}."
        return self.policy.obstacle(now)

    def _others(self, driver: Source) -> Trouble | None:
        """What other nodes do with which nobody may drive."""
        for source in (Source.GUARD, driver):
            if who := self.foreign.get(source):
                return StopReason.FOREIGN_SOURCE, who
        return (StopReason.CONTROLLER_SETTINGS, self.misreading) if self.misreading else None

    def _arm_trouble(self, driver: Source, now: float) -> Trouble | None:
        if self._unseen(now):
            seen = self.track.seen if self.joints is None else self.joints.seen
            what = "pose is" if self.joints is None else "joint positions are"
            return StopReason.STATE_SILENT, f"the last {what} {now - seen:.3f} s old"
        if wrong := self._arm.trouble if self.joints is None else self.joints.trouble:
            return StopReason.POSITION_MISMATCH, wrong
        if driver is Source.POLICY and (missing := self.clearance.missing(now)):
            return StopReason.CLEARANCE_SILENT, missing
        return None

    def _unseen(self, now: float) -> str:
        """What the robot does not report of itself, or empty."""
        timeout = self._config.state_timeout
        if self.joints is None:
            return "no fresh pose" if now - self.track.seen > timeout else ""
        silent = self.joints.silent(now, timeout)
        return f"no fresh position of {silent} in joint_states" if silent else ""


def _malformed(pose: Pose) -> str:
    """What is wrong with a pose in itself, in one sentence, or empty."""
    if pose.position.shape != (3,) or not np.isfinite(pose.position).all():
        return f"a position must be three finite numbers, not {pose.position.tolist()}"
    length = math.hypot(*pose.quaternion) if pose.quaternion.shape == (4,) else 0.0
    if not abs(length - 1.0) < 1e-3:
        return f"an orientation must be a unit quaternion, not {pose.quaternion.tolist()}"
    return "" if math.isfinite(pose.stamp) else f"a pose's stamp must be finite, not {pose.stamp}"
