# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meta-World as an evaluation drives it: suites that make worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from magma_ros.metaworld.drawing import CAMERA_PLACE, CUT, PART, PROTOCOL, Drawing
from magma_ros.metaworld.tasks import TASKS, tiers
from magma_ros.metaworld.world import HORIZON, REACH, SPLITS, STEP, Failure, MetaWorld
from magma_ros.motion import StreamConfig
from magma_ros.spaces import ee_delta

TRAINING_SEEDS = 1_000_000
"""First seed of the training data."""

_SPEED = 3**0.5 * REACH / STEP
"""Greatest speed that an action asks for [m/s]."""

STREAM = StreamConfig(
    period=STEP,
    linear_speed=_SPEED,
    linear_acceleration=2.0 * _SPEED / STEP,
    linear_jerk=4.0 * _SPEED / STEP**2,
)
"""Meta-World's actions bound the speed and nothing else, so a stream that plays them does not."""


class MetaWorldSuite:
    """The 50 tasks, drawn in one way.

    Args:
        drawing: How.

    Attributes:
        extra: What must be installed.
        splits: Variations of scenes: one.
        step_period: Period of the environment's steps [s].
        execute: Of these to execute before the next observation.
        seed_limit: First seed of the training data.
        trials: Episodes a task, as the protocol has them.
        space: What its actions are.
        stream: How commands are streamed while the policy thinks.
    """

    extra = "metaworld"
    splits = SPLITS
    step_period = STEP
    execute = 8
    seed_limit = TRAINING_SEEDS
    trials = 10
    space = ee_delta(("dx", "dy", "dz", "gripper"))
    stream = STREAM

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in alphabetical order."""
        return tuple(sorted(TASKS))

    @property
    def tiers(self) -> Mapping[str, tuple[str, ...]]:
        """The tasks of each tier."""
        return tiers()

    def time_limit(self, task: str) -> float:
        """Simulated time after which an episode is over [s]."""
        del task
        return HORIZON * STEP

    def failures(self) -> tuple[Failure, ...]:
        """All reasons for which an episode can fail."""
        return tuple(Failure)

    def definition(self) -> Any:
        """Tasks, words, camera, drawing, horizon."""
        return {
            "tasks": {name: asdict(task) for name, task in TASKS.items()},
            "camera": CAMERA_PLACE,
            "drawing": asdict(self._drawing),
            "horizon": HORIZON,
        }

    def make_world(self) -> MetaWorld:
        """A world for episodes of this suite; MuJoCo is loaded at its first reset."""
        return MetaWorld(self._drawing)


def suites() -> dict[str, MetaWorldSuite]:
    """All suites by name."""
    return {
        "metaworld": MetaWorldSuite(PROTOCOL),
        "metaworld-cut": MetaWorldSuite(CUT),
        "metaworld-part": MetaWorldSuite(PART),
    }
