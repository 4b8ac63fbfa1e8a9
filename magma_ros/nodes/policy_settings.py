# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the policy node."""

from __future__ import annotations

from magma_ros.agent.tuned_gate import GATE_OPTIONS
from magma_ros.gate.loop import HEADROOM
from magma_ros.nodes.cameras import CAMERA_TOPICS
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, MORE_GRIPPERS
from magma_ros.nodes.limits import (
    BASE_FRAME,
    JOINT_NAMES,
    LIMIT_SETTINGS,
    POSE_SETTINGS,
    URDF,
    WITHOUT_DESCRIPTION,
)
from magma_ros.nodes.remote_settings import REMOTE_SETTINGS
from magma_ros.nodes.settings import Setting

GATE_SETTINGS = (
    Setting("gate", "adaptive", "Gate that decides when to act.", choices=tuple(GATE_OPTIONS)),
    Setting(
        "threshold",
        0.0,
        "Adaptive gate: probability of agreement demanded; entropy gate: largest entropy to act "
        "on; 0 for what calibration found (gate.yaml of the bundle), or else the gate's default.",
        0.0,
        1.0,
        live=True,
    ),
    Setting(
        "tolerance",
        0.05,
        "Disagreement of two exits that counts as agreement, in the normalised action range: for "
        "the adaptive gate of a bundle without gate.yaml, and for asking for help.",
        0.001,
        1.0,
        live=True,
    ),
    Setting("depth", 1, "Fixed gate: exit to act on.", 1, 64, live=True),
    Setting(
        "price",
        0.0,
        "Gate by regret: success that the operations of one decision at full depth are worth; 0 "
        "for what calibration found (gate.yaml of the bundle).",
        0.0,
        1.0,
        live=True,
    ),
)

DIAGNOSTIC_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "diagnostics.camera_rate",
        [5.0, 70.0],
        "Least and greatest rate of a camera without a warning [Hz].",
    ),
    Setting(
        "diagnostics.late_share",
        0.0,
        "Share of late plans of the last ten seconds without a warning.",
        0.0,
        1.0,
    ),
    Setting(
        "diagnostics.guard_silence",
        0.5,
        "Silence of the guard, while it lets the policy drive, without a warning [s].",
        0.05,
        60.0,
    ),
)
"""From where on diagnostics warn."""

POLICY_SETTINGS: tuple[Setting, ...] = (
    Setting("bundle", "magma-nano", "Policy bundle: a name below models/, or a folder."),
    Setting("providers", ["CPUExecutionProvider"], "ONNX Runtime providers, best first."),
    Setting("threads", 2, "Threads for inference.", 1, 128),
    Setting("self_test", 1.0, "Time spent on measuring the stages at the start [s].", 0.0, 10.0),
    *GATE_SETTINGS,
    Setting("deepest", 0, "Deepest exit allowed, 0 for no cap.", 0, 64, live=True),
    Setting("deadline", 0.08, "Time from image stamp to action [s].", 0.005, 10.0, live=True),
    Setting("headroom", HEADROOM, "Share of a forecast left over besides.", 0.0, 2.0, live=True),
    Setting("risk_horizon", 1.0, "Time to contact without risk [s].", 0.0, 60.0, live=True),
    Setting("help_after", 3.0, "Doubt until HOLD [s], 0 for never.", 0.0, 3600.0, live=True),
    Setting(
        "tolerated_faults",
        1,
        "Observations in a row on which thinking may fail before that is a fault, upon "
        "which the guard holds.",
        0,
        100,
    ),
    Setting(
        "hang_timeout",
        1.0,
        "Time with one observation beyond its deadline that counts as a fault [s].",
        0.05,
        60.0,
    ),
    Setting("max_plan_rate", 10.0, "Fastest planning [Hz].", 0.1, 100.0, live=True),
    Setting("command_rate", 50.0, "Rate of the command stream [Hz].", 20.0, 200.0),
    CAMERA_TOPICS,
    Setting("transport", "raw", "Image transport.", choices=("raw", "compressed")),
    Setting("max_age", 0.22, "Age beyond which an input is not used [s].", 0.01, 10.0),
    Setting("sync_slop", 0.05, "Time between images that belong together [s].", 0.0, 10.0),
    Setting(
        "clearance_required", False, "Whether silence of the clearance is full risk from the start."
    ),
    *DIAGNOSTIC_SETTINGS,
    *REMOTE_SETTINGS,
    *POSE_SETTINGS,
    BASE_FRAME,
    JOINT_NAMES,
    WITHOUT_DESCRIPTION,
    URDF,
    *LIMIT_SETTINGS,
    *GRIPPER_SETTINGS,
    *MORE_GRIPPERS,
)
