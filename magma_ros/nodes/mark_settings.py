# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters by which things are marked."""

from __future__ import annotations

from typing import Any

from magma_ros.nodes.cameras import CAMERA_TOPICS
from magma_ros.nodes.settings import Setting, Settings
from magma_ros.perception.proposals import ProposalConfig

_THINGS = ProposalConfig()

MARKS_SETTINGS: tuple[Setting, ...] = (
    CAMERA_TOPICS,
    Setting("transport", "raw", "Pictures to receive.", choices=("raw", "compressed")),
    Setting(
        "marks.source",
        "depth",
        "What is marked: what stands out of the worktop in a depth image, or what others tell on "
        "the topic detections.",
        choices=("depth", "detections", "none"),
    ),
    Setting("marks.camera", "front", "Camera whose pictures are marked."),
    Setting("marks.rate", 5.0, "Greatest rate of marks and overlay [Hz].", 0.1, 30.0),
    Setting("marks.worktop", 0.0, "Height of the worktop in base_frame [m].", -5.0, 5.0),
    Setting(
        "marks.least_height",
        _THINGS.least_height,
        "How far a thing must rise above the worktop [m].",
        0.005,
        1.0,
    ),
    Setting(
        "marks.greatest_height",
        _THINGS.greatest_height,
        "What rises farther above the worktop is not marked [m].",
        0.01,
        2.0,
    ),
    Setting("marks.lower", [], "Least x and y of what is marked in base_frame [m], [] for any."),
    Setting("marks.upper", [], "Greatest x and y [m], [] for any."),
    Setting(
        "marks.colour_step",
        _THINGS.colour_step,
        "Change in the share of red or green that parts things which touch, 1 for none.",
        0.01,
        1.0,
    ),
    Setting("marks.patience", 10.0, "How long a hidden thing keeps its number [s].", 0.0, 600.0),
)
"""Parameters of :class:`~magma_ros.nodes.marks.Marks`."""


def proposal_config(settings: Settings) -> ProposalConfig:
    """From the parameters below ``marks``.

    Raises:
        PerceptionError: A corner of the area is not two numbers.
    """
    values = settings.group("marks")
    names = ("worktop", "least_height", "greatest_height", "colour_step")
    given: dict[str, Any] = {name: values[name] for name in names}
    given |= {name: tuple(values[name]) for name in ("lower", "upper") if values[name]}
    return ProposalConfig(**given)
