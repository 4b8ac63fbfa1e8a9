# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that describe a robot: one set for every node that plans or checks its motion.

They have no defaults, because a bound that fits one robot is dangerous for another: they come
from the robot's file (``config/robots/``), or the node does not configure.
"""

from __future__ import annotations

import math

from magma_ros.guard import CommandInterface
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, MORE_GRIPPERS
from magma_ros.nodes.settings import Setting, Settings

BASE_FRAME = Setting("base_frame", str, "Frame of twists and poses, fixed to the robot's base.")

EE_FRAME = Setting("ee_frame", "tool0", "Frame of the end effector.")

POSE_SETTINGS = (
    Setting(
        "pose_source",
        "topic",
        "Where the end effector's pose comes from: the topic ee_pose, or TF (base_frame to "
        "ee_frame).",
        choices=("topic", "tf"),
    ),
    EE_FRAME,
)
"""Where a robot's pose is found; parameters of a node with a ``PoseInput``."""

LINEAR_SPEED = Setting("limits.linear_speed", float, "Greatest speed [m/s].", 0.001, 5.0)

LIMIT_SETTINGS: tuple[Setting, ...] = (
    LINEAR_SPEED,
    Setting("limits.angular_speed", float, "Greatest angular speed [rad/s].", 0.001, 20.0),
    Setting("limits.linear_acceleration", float, "Greatest, of an axis [m/s^2].", 0.01, 50.0),
    Setting("limits.angular_acceleration", float, "Greatest, of an axis [rad/s^2].", 0.01, 500.0),
    Setting("limits.linear_jerk", float, "Greatest, of an axis [m/s^3].", 0.1, 1e4),
    Setting("limits.angular_jerk", float, "Greatest, of an axis [rad/s^3].", 0.1, 1e5),
    Setting("limits.linear_braking", float, "Deceleration of a halt [m/s^2].", 0.01, 50.0),
    Setting("limits.angular_braking", float, "Deceleration of a halt [rad/s^2].", 0.01, 500.0),
    Setting("limits.gripper_speed", float, "Of the gripper [openings/s].", 0.01, 100.0),
)
"""Bounds on the commanded motion, for the command stream and the guard alike."""

COMMAND_INTERFACE = Setting(
    "command_interface",
    CommandInterface.TWIST.value,
    "What the robot's controller takes: twist (MoveIt Servo), joint_trajectory (a "
    "joint_trajectory_controller), forward_position or forward_velocity (a forward command "
    "controller).",
    choices=tuple(choice.value for choice in CommandInterface),
)

JOINT_NAMES = Setting(
    "joints.names",
    [""],
    "Joints that the robot's controller takes targets of, in the order of its own parameter "
    "joints; empty for a robot led by twists.",
)

WITHOUT_DESCRIPTION = Setting(
    "joints.without_description",
    False,
    "Drive a robot without a URDF: workspace, tilt and the tool's speed are then not kept, "
    "obstacles slow every motion alike, and nobody can teleoperate.",
)

WORKSPACE_SETTINGS: tuple[Setting, ...] = (
    Setting("workspace.lower", list[float], "Least x, y, z of the end effector [m]."),
    Setting("workspace.upper", list[float], "Greatest x, y, z of the end effector [m]."),
)

BODY_SETTINGS: tuple[Setting, ...] = (
    Setting("point.offset", [], "x, y, z of a second guarded point in ee_frame [m], [] for none."),
    Setting("point.lower", [], "Its least x, y, z in base_frame [m], [] for the workspace's."),
    Setting("point.upper", [], "Its greatest x, y, z in base_frame [m], [] for the workspace's."),
    Setting("tilt.angle", math.pi, "Greatest lean of the tool [rad], pi for any.", 0.01, math.pi),
    Setting("tilt.axis", [0.0, 0.0, 1.0], "The tool's axis in ee_frame (x, y, z)."),
    Setting("tilt.approach", [0.0, 0.0, -1.0], "Where that axis points without lean (x, y, z)."),
)
"""Further bounds on where a robot may be; these have defaults, because not every robot has them."""

URDF = Setting(
    "body.urdf",
    "",
    "Robot description: a file, absolute or below share/magma_ros; empty for the topic "
    "robot_description.",
)

DESCRIPTION_SETTINGS: tuple[Setting, ...] = (
    URDF,
    Setting("body.base_link", "", "Its link at base_frame; empty if both have one name."),
    Setting("body.tool_link", "", "Its link between the fingers; empty for ee_frame."),
)
"""Where a robot's description is found, and its links."""

SHAPE_SETTINGS: tuple[Setting, ...] = (
    *DESCRIPTION_SETTINGS,
    Setting(
        "body.guarded_links",
        [""],
        "Links that are kept from obstacles; empty for all that move.",
    ),
    Setting(
        "body.padding",
        0.02,
        "How far round its description the body is taken to be its own: errors of calibration, "
        "joint states and depth together. Nothing nearer is seen [m].",
        0.001,
        0.2,
    ),
    Setting(
        "body.held_radius",
        0.06,
        "Radius about tool_link of what the gripper holds [m]; with body.padding it must reach the "
        "farthest corner of all that is held, as what sticks out is an obstacle.",
        0.001,
        0.5,
    ),
    Setting(
        "body.held_opening",
        [0.03, 0.9],
        "Least and greatest opening of a gripper that holds something (1 = open).",
    ),
    Setting(
        "worktop.height",
        0.06,
        "Height in base_frame below which everything is work, not obstacle [m].",
        -10.0,
        10.0,
    ),
)
"""The robot's own body and its worktop, for whoever looks for obstacles."""

SERVO_CHECK = Setting(
    "servo_check", False, "Drive only a MoveIt Servo that reads twists as m/s and rad/s."
)

JOINT_SETTINGS: tuple[Setting, ...] = (
    COMMAND_INTERFACE,
    JOINT_NAMES,
    Setting("joints.lower", [], "Least position of each [rad or m], [] for the description's."),
    Setting("joints.upper", [], "Greatest position of each [rad or m], [] for the description's."),
    Setting("joints.velocity", [], "Greatest speed of each [rad/s or m/s], [] likewise."),
    Setting("joints.acceleration", [], "Greatest acceleration of each [rad/s^2 or m/s^2]."),
    Setting("joints.jerk", [], "Greatest jerk of each [rad/s^3 or m/s^3]."),
    Setting(
        "joints.tolerance",
        0.2,
        "How far a joint may be from where it was sent until HOLD [rad or m].",
        0.001,
        10.0,
    ),
    WITHOUT_DESCRIPTION,
    Setting(
        "joints.controller_check",
        True,
        "Drive only a controller whose own parameter joints is joints.names.",
    ),
)
"""How a robot is commanded joint by joint."""

ROBOT_SETTINGS: tuple[Setting, ...] = (
    BASE_FRAME,
    SERVO_CHECK,
    *JOINT_SETTINGS,
    *POSE_SETTINGS,
    *LIMIT_SETTINGS,
    *WORKSPACE_SETTINGS,
    *BODY_SETTINGS,
    *SHAPE_SETTINGS,
    *GRIPPER_SETTINGS,
    *MORE_GRIPPERS,
)
"""Everything that a robot's file may hold; a node ignores those it does not declare."""


def commanded_joints(settings: Settings) -> list[str]:
    """The joints of ``joints.names``, in its order; none for a robot led by twists."""
    return [str(name) for name in settings[JOINT_NAMES.name] if name]
