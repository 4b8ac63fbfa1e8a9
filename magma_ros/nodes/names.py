# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topic names, all relative, so that one namespace or remap moves a whole robot."""

INSTRUCTION = "instruction"
EE_POSE = "ee_pose"
JOINT_STATES = "joint_states"
CLEARANCE = "clearance"
BATTERY = "battery_state"

POLICY_TWIST = "policy/twist"
POLICY_GRIPPER = "policy/gripper"
POLICY_PLAN = "policy/plan"
POLICY_TRACE = "policy/trace"
POLICY_STATUS = "policy/status"
POLICY_HELP = "policy/help"
POLICY_HEALTH = "policy/health"

TELEOP_TWIST = "teleop/twist"
TELEOP_GRIPPER = "teleop/gripper"
TELEOP_ENABLE = "teleop/enable"

E_STOP = "e_stop"

ROBOT_TWIST = "servo_node/delta_twist_cmds"
SERVO_PARAMETERS = "servo_node/get_parameters"
ROBOT_GRIPPER = "gripper/command"
GUARD_FOLLOWS = "guard/follows"
GUARD_MODE = "guard/mode"
GUARD_INSTRUCTION = "guard/instruction"
GUARD_HAND_BACK = "guard/hand_back"

TASK_STATUS = "task/status"
RECORDER_STATUS = "recorder/status"
DIAGNOSTICS = "/diagnostics"

TF = "/tf"
TF_STATIC = "/tf_static"


def camera_topic(camera: str, *, compressed: bool = False) -> str:
    """The image topic of one camera, raw or compressed."""
    return f"camera/{camera}/image_raw" + ("/compressed" if compressed else "")


def camera_info_topic(camera: str) -> str:
    """The topic of one camera's calibration."""
    return f"camera/{camera}/camera_info"
