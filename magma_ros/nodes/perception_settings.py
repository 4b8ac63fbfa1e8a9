# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the perception node."""

from __future__ import annotations

import math

from magma_ros.nodes.cameras import CLOUD_TOPICS, DEPTH_TOPICS
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.limits import BASE_FRAME, SHAPE_SETTINGS
from magma_ros.nodes.mark_settings import MARKS_SETTINGS
from magma_ros.nodes.settings import Setting, SettingError, Settings
from magma_ros.perception.clearance import MOST_SECTORS, ClearanceConfig

_DEFAULTS = ClearanceConfig()

CLEARANCE_SETTINGS: tuple[Setting, ...] = (
    Setting("clearance.near", _DEFAULTS.near, "Least depth that is used [m].", 0.01, 10.0),
    Setting("clearance.far", _DEFAULTS.far, "Greatest depth that is used [m].", 0.1, 50.0),
    Setting(
        "clearance.reach",
        _DEFAULTS.reach,
        "Distance from the body up to which obstacles are told of [m].",
        0.05,
        5.0,
    ),
    Setting("clearance.voxel", _DEFAULTS.voxel, "Grid of the points [m].", 0.001, 0.1),
    Setting(
        "clearance.speckle",
        _DEFAULTS.speckle,
        "Least number of connected pixels that count.",
        1,
        10_000,
    ),
    Setting(
        "clearance.jump",
        _DEFAULTS.jump,
        "Greatest step between neighbouring pixels that are connected [m].",
        0.001,
        1.0,
    ),
    Setting(
        "clearance.valid_share",
        _DEFAULTS.valid_share,
        "Least share of an image's pixels that must be measured.",
        0.001,
        1.0,
    ),
    Setting(
        "clearance.memory",
        _DEFAULTS.memory,
        "How long what is out of sight is remembered [s].",
        0.01,
        60.0,
    ),
    Setting(
        "clearance.sectors",
        _DEFAULTS.sectors,
        "Number of directions, of each of which the nearest obstacle is told.",
        1,
        MOST_SECTORS,
    ),
    Setting(
        "clearance.cone",
        _DEFAULTS.cone,
        "Half the angle about the commanded motion within which an obstacle counts for the topic "
        "clearance [rad].",
        0.1,
        math.pi,
    ),
)

PERCEPTION_SETTINGS: tuple[Setting, ...] = (
    BASE_FRAME,
    Setting("ee_frame", "tool0", "Frame of the end effector."),
    DEPTH_TOPICS,
    CLOUD_TOPICS,
    Setting("max_rate", 15.0, "Greatest rate of measurements of each camera [Hz].", 1.0, 120.0),
    Setting("max_age", 0.2, "Oldest picture or joint state that is used [s].", 0.02, 5.0),
    Setting(
        "sync_wait",
        0.06,
        "How long a picture waits for the joint states and transforms of its time, and how far "
        "behind it they may be after that [s].",
        0.0,
        1.0,
    ),
    Setting("marker_rate", 5.0, "Greatest rate of markers and points [Hz].", 0.5, 60.0),
    Setting(
        "diagnostics.rate", 5.0, "Least rate of measurements without a warning [Hz].", 0.0, 120.0
    ),
    Setting(
        "diagnostics.age",
        0.2,
        "Age of a measurement that one in twenty may exceed without a warning [s].",
        0.01,
        5.0,
    ),
    *CLEARANCE_SETTINGS,
    *MARKS_SETTINGS,
    *SHAPE_SETTINGS,
    *GRIPPER_SETTINGS,
)


def clearance_config(settings: Settings) -> ClearanceConfig:
    """The estimator's settings from the node's parameters.

    Raises:
        PerceptionError: Values that are legal alone make no sense together.
    """
    return ClearanceConfig(
        worktop=settings["worktop.height"],
        padding=settings["body.padding"],
        held_radius=settings["body.held_radius"],
        **settings.group("clearance"),
    )


def held_openings(settings: Settings) -> tuple[float, float]:
    """Least and greatest opening of a gripper that holds something.

    Raises:
        SettingError: There are not two, or in the wrong order.
    """
    openings = settings["body.held_opening"]
    if len(openings) != 2 or not openings[0] < openings[1]:
        raise SettingError(
            f"parameter body.held_opening must be two openings, the lesser first, not {openings}"
        )
    return openings[0], openings[1]
