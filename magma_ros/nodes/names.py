# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topic names, all relative, so that one namespace or remap moves a whole robot."""

INSTRUCTION = "instruction"
INSTRUCTION_POINT = "instruction/point"
EE_POSE = "ee_pose"
JOINT_STATES = "joint_states"
DESCRIPTION = "robot_description"
CLEARANCE = "clearance"
CLEARANCE_VECTORS = "clearance/vectors"
POINTS = "points"
OBSTACLE_MARKERS = "obstacles/markers"
BATTERY = "battery_state"

POLICY_TWIST = "policy/twist"
POLICY_GRIPPER = "policy/gripper"
POLICY_JOINTS = "policy/joint_command"
POLICY_PLAN = "policy/plan"
POLICY_TRACE = "policy/trace"
POLICY_STATUS = "policy/status"
POLICY_HELP = "policy/help"
POLICY_HEALTH = "policy/health"
POLICY_PARAMETERS = "policy/get_parameters"

TELEOP_TWIST = "teleop/twist"
TELEOP_GRIPPER = "teleop/gripper"
TELEOP_ENABLE = "teleop/enable"

E_STOP = "e_stop"

ROBOT_TWIST = "servo_node/delta_twist_cmds"
SERVO_PARAMETERS = "servo_node/get_parameters"
ROBOT_TRAJECTORY = "joint_trajectory_controller/joint_trajectory"
ROBOT_POSITIONS = "forward_position_controller/commands"
ROBOT_VELOCITIES = "forward_velocity_controller/commands"
ROBOT_GRIPPER = "gripper/command"
GUARD_TWIST = "guard/twist"
GUARD_FOLLOWS = "guard/follows"
GUARD_MODE = "guard/mode"
GUARD_INSTRUCTION = "guard/instruction"
GUARD_PARAMETERS = "guard/get_parameters"
GUARD_TAKE_OVER = "guard/take_over"
GUARD_HAND_BACK = "guard/hand_back"
PROBE_BEGIN = "latency_probe/begin"
GUARD_HOLD = "guard/hold"
GUARD_STOP = "guard/stop"
GUARD_RESET = "guard/reset"

DETECTIONS = "detections"
MARKS = "marks"
OVERLAY = "overlay/image"

TASK_STATUS = "task/status"
EXPERT_TWIST = "expert/twist"
EXPERT_GRIPPER = "expert/gripper"
SIM_RESET = "sim/reset"
SIM_SET_PARAMETERS = "sim/set_parameters"
RECORDER_STATUS = "recorder/status"
RECORDER_RECORD = "recorder/record"
EPISODE_LABEL = "episode/label"
DIAGNOSTICS = "/diagnostics"

TF = "/tf"
TF_STATIC = "/tf_static"

TOOL_TWISTS = (ROBOT_TWIST, GUARD_TWIST)
"""Where the guard tells how it moves the tool: one for each kind of robot."""


def camera_topic(camera: str, *, compressed: bool = False) -> str:
    """The image topic of one camera, raw or compressed."""
    return f"camera/{camera}/image_raw" + ("/compressed" if compressed else "")


def camera_info_topic(camera: str) -> str:
    """The topic of one camera's calibration."""
    return f"camera/{camera}/camera_info"


def depth_topic(camera: str) -> str:
    """The depth image of one camera: 32FC1 in metres or 16UC1 in millimetres (REP 118)."""
    return f"camera/{camera}/depth/image_raw"


def depth_info_topic(camera: str) -> str:
    """The calibration of one camera's depth image."""
    return f"camera/{camera}/depth/camera_info"
