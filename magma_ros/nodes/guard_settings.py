# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the guard node, and the settings of the guard that they make."""

from __future__ import annotations

import math

from magma_ros.guard import (
    ClearanceSource,
    DeadMan,
    GuardConfig,
    GuardedPoint,
    JointConfig,
    Limits,
    MismatchConfig,
    OnSilence,
    Proximity,
    TiltCone,
    Workspace,
)
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, MORE_GRIPPERS, robot_grippers
from magma_ros.nodes.guard_report import REPORT_SETTINGS
from magma_ros.nodes.limits import (
    BASE_FRAME,
    BODY_SETTINGS,
    DESCRIPTION_SETTINGS,
    JOINT_SETTINGS,
    LIMIT_SETTINGS,
    POSE_SETTINGS,
    SERVO_CHECK,
    WORKSPACE_SETTINGS,
)
from magma_ros.nodes.settings import Setting, Settings

TIME_SETTINGS = (
    Setting("command_rate", 50.0, "Rate of commands to the robot [Hz].", 20.0, 200.0),
    Setting("policy_timeout", 0.12, "Silence of the policy's twists until HOLD [s].", 0.02, 5.0),
    Setting("health_timeout", 0.5, "Silence about the policy's health until HOLD [s].", 0.1, 5.0),
    Setting("plan_timeout", 1.0, "Age of the newest plan until HOLD [s].", 0.1, 30.0),
    Setting(
        "teleop_timeout", 0.15, "Age of a person's twist or button until a halt [s].", 0.02, 2.0
    ),
    Setting("teleop_patience", 2.0, "Silence of a person until HOLD [s].", 0.1, 60.0),
    Setting("state_timeout", 0.2, "Age of the robot's pose until HOLD [s].", 0.02, 5.0),
    Setting("gripper_timeout", 0.5, "Age at which a gripper target expires [s].", 0.02, 10.0),
    Setting("max_command_age", 0.1, "Greatest age of a command's stamp [s].", 0.01, 1.0),
    Setting("response_time", 0.05, "Longest delay of the arm behind a twist [s].", 0.0, 0.5),
    Setting(
        "command_hold",
        0.1,
        "Time for which the robot's driver carries out a twist when no other comes [s]: Servo's "
        "incoming_command_timeout.",
        0.02,
        2.0,
    ),
    Setting(
        "stop_pub_timeout",
        1.0,
        "Time at rest in HOLD or STOPPED after which no more zeros are published [s], so that "
        "others can use the same controller.",
        0.2,
        86400.0,
    ),
)

PERSON_SETTINGS = (
    Setting(
        "teleop.dead_man",
        "enable",
        "What a person must keep doing to move the arm: enable (true on teleop/enable, 10 Hz or "
        "more) or stream (send twists).",
        choices=tuple(choice.value for choice in DeadMan),
    ),
    Setting(
        "e_stop.heartbeat",
        0.0,
        "Longest silence of the topic e_stop [s], 0 if it speaks only on a change.",
        0.0,
        10.0,
    ),
)

_PROXIMITY = Proximity()
PROXIMITY_SETTINGS = (
    Setting(
        "proximity.source",
        _PROXIMITY.source.value,
        "Which topic tells of obstacles: range (clearance, one distance) or vectors "
        "(clearance/vectors, of the perception node).",
        choices=tuple(choice.value for choice in ClearanceSource),
    ),
    Setting(
        "proximity.required",
        False,
        "Whether there is a clearance sensor; with vectors there must be.",
    ),
    Setting(
        "proximity.stop_distance",
        _PROXIMITY.stop_distance,
        "Clearance at which the arm comes no nearer [m].",
        0.0,
        5.0,
    ),
    Setting(
        "proximity.slow_distance",
        _PROXIMITY.slow_distance,
        "Clearance below which it slows down [m].",
        0.001,
        10.0,
    ),
    Setting("proximity.timeout", _PROXIMITY.timeout, "Age until silence [s].", 0.02, 10.0),
    Setting(
        "proximity.on_silence",
        _PROXIMITY.on_silence.value,
        "What a silent sensor means: hold (AUTO holds, a person creeps), slow (both creep) or "
        "ignore.",
        choices=tuple(choice.value for choice in OnSilence),
    ),
    Setting(
        "proximity.creep_speed",
        _PROXIMITY.creep_speed,
        "Speed while the obstacle's side is not known, and of a person who leaves the nearest of "
        "several [m/s].",
        0.001,
        0.25,
    ),
    Setting(
        "proximity.approach_speed",
        _PROXIMITY.approach_speed,
        "Speed at which an obstacle may itself approach [m/s]; 0 if all stand still.",
        0.0,
        3.0,
    ),
    Setting("proximity.direction", [], "x, y, z to the obstacle's side, or [] if not known."),
    Setting(
        "proximity.direction_frame",
        "base",
        "Frame of that direction: base_frame, the end effector's, or sensor for where the range "
        "sensor looks by TF.",
        choices=("base", "tool", "sensor"),
    ),
)

_MISMATCH = MismatchConfig()
MISMATCH_SETTINGS = (
    Setting(
        "mismatch.tolerance",
        _MISMATCH.tolerance,
        "Difference between the motion measured and the one sent until HOLD [m].",
        0.001,
        10.0,
    ),
    Setting("mismatch.window", _MISMATCH.window, "Time over which both count [s].", 0.1, 10.0),
)

GUARD_SETTINGS: tuple[Setting, ...] = (
    BASE_FRAME,
    SERVO_CHECK,
    *JOINT_SETTINGS,
    *DESCRIPTION_SETTINGS,
    *POSE_SETTINGS,
    *WORKSPACE_SETTINGS,
    *BODY_SETTINGS,
    *LIMIT_SETTINGS,
    *GRIPPER_SETTINGS,
    *MORE_GRIPPERS,
    *TIME_SETTINGS,
    *PERSON_SETTINGS,
    *PROXIMITY_SETTINGS,
    *MISMATCH_SETTINGS,
    *REPORT_SETTINGS,
)


def guard_config(settings: Settings, joints: JointConfig | None = None) -> GuardConfig:
    """The guard's settings from the node's parameters.

    Args:
        settings: The parameters.
        joints: How the robot is commanded by joints, or None if it takes twists.

    Raises:
        GuardConfigError: Values that are legal alone make no sense together.
    """
    times = {setting.name: settings[setting.name] for setting in TIME_SETTINGS}
    period = 1.0 / times.pop("command_rate")
    proximity = settings.group("proximity")
    in_tool = proximity.pop("direction_frame") == "tool"
    proximity["on_silence"] = OnSilence(proximity["on_silence"])
    proximity["source"] = ClearanceSource(proximity["source"])
    workspace = Workspace(**settings.group("workspace"))
    return GuardConfig(
        base_frame=settings["base_frame"],
        limits=Limits(**settings.group("limits")),
        workspace=workspace,
        period=period,
        dead_man=DeadMan(settings["teleop.dead_man"]),
        e_stop_heartbeat=settings["e_stop.heartbeat"],
        proximity=Proximity(in_tool=in_tool, **proximity),
        point=_point(settings, workspace),
        tilt=_tilt(settings),
        mismatch=MismatchConfig(**settings.group("mismatch")),
        joints=joints,
        grippers=tuple(robot_grippers(settings)),
        **times,
    )


def _point(settings: Settings, workspace: Workspace) -> GuardedPoint | None:
    offset, lower, upper = (settings[f"point.{name}"] for name in ("offset", "lower", "upper"))
    if not len(offset):
        return None
    box = Workspace(lower, upper) if len(lower) or len(upper) else workspace
    return GuardedPoint(offset, box)


def _tilt(settings: Settings) -> TiltCone | None:
    if settings["tilt.angle"] >= math.pi:
        return None
    return TiltCone(**settings.group("tilt"))
