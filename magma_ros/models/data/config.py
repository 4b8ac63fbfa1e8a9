# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a training recipe that says which demonstrations are made, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from magma_ros.models.schema import Fraction, Positive, Strict


def _with_different_names(
    episodes: dict[str, dict[str, int]],
) -> dict[str, dict[str, int]]:
    names = [task for tasks in episodes.values() for task in tasks]
    if not all(episodes.values()):
        raise ValueError("every suite needs a task")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"task {name} is in two suites, and reports go by its name")
    return episodes


Episodes = Annotated[
    dict[str, dict[str, Positive]], Field(min_length=1), AfterValidator(_with_different_names)
]
"""How many episodes, by suite and task."""


def _in_order(span: tuple[int, int]) -> tuple[int, int]:
    if span[0] > span[1]:
        raise ValueError("the shortest comes first, then the longest")
    return span


SHARD_STEP = 0.1
"""Duration of one row of a shard [s]; that of the simulator's actions."""

Span = Annotated[tuple[Positive, Positive], AfterValidator(_in_order)]
"""Shortest and longest."""


class DisturbanceConfig(Strict):
    """Offsets on the executed action, so that the data contain recoveries from errors.

    After DART (Laskey et al., CoRL 2017): the executed action is disturbed, the label is not.

    Attributes:
        clean: Share of episodes without any disturbance.
        chance: Chance per step that a burst begins.
        steps: Shortest and longest burst [steps].
        scale: Size of the offset, in units of the largest action.
        gripper_flip: Chance that a burst also inverts the gripper.
    """

    clean: Fraction = 0.2
    chance: Fraction = 0.09
    steps: Span = (1, 4)
    scale: Fraction = 0.6
    gripper_flip: Fraction = 0.12


class DataConfig(Strict):
    """The demonstrations.

    Attributes:
        folder: Where the shards lie, relative to the working directory.
        episodes: Demonstrations by suite and task; none for a data set that no suite made.
        shard: Episodes per file.
        seed: Seed of the first episode; training owns 1,000,000 to 1,999,999.
        tail: Steps recorded after success, so that the policy learns to hold still there.
        disturbance: Offsets on the executed actions.
        more: Folders of further demonstrations to learn from, such as rounds of DAgger.
        skip_damaged: Leave out files that are cut short or foreign, instead of refusing them.
        lerobot: Whether the folder is a LeRobot data set instead of shards.
        rate: Rows a second of such a data set [Hz].
        degrees: Whether angles of its joints are in degrees, as hobby servos' are.
        noise: As of ``magma data demonstrate``, where such a data set is made [m].
    """

    folder: Path
    episodes: Annotated[dict[str, dict[str, Positive]], AfterValidator(_with_different_names)] = (
        Field(default={})
    )
    shard: Positive = 25
    seed: Annotated[int, Field(ge=1_000_000, lt=2_000_000)] = 1_000_000
    tail: Positive = 4
    disturbance: DisturbanceConfig = DisturbanceConfig()
    more: tuple[Path, ...] = ()
    skip_damaged: bool = False
    lerobot: bool = False
    rate: Positive = 20
    degrees: bool = False
    noise: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _says_what_is_made(self) -> DataConfig:
        if not self.episodes and not self.lerobot:
            raise ValueError("episodes must name a suite and its tasks")
        return self

    @property
    def step_period(self) -> float:
        """Duration of one row, and so of one step of a plan [s]."""
        return 1.0 / self.rate if self.lerobot else SHARD_STEP

    @property
    def tasks(self) -> tuple[tuple[str, str], ...]:
        """Suite and name of every task."""
        return tuple((suite, task) for suite, tasks in self.episodes.items() for task in tasks)


class AggregationConfig(Strict):
    """One round of DAgger (Ross et al., AISTATS 2011): the policy acts, the expert labels.

    Attributes:
        after: Optimiser step after which the round runs.
        seed_offset: Distance of its first seed from that of the demonstrations.
        split: Variation of scenes and instructions.
        episodes: Episodes by suite and task.
        drive: Fewest and most consecutive steps that the policy acts.
        execute: Steps of a chunk that are executed before the next observation.
        recover: Steps that the expert acts in between, which give whole labelled chunks.
        learning_rate: Peak of the learning rate after the round.
    """

    after: Positive
    seed_offset: Annotated[int, Field(ge=100_000, lt=900_000)] = 500_000
    split: str = "seen"
    episodes: Episodes
    drive: Span = (4, 16)
    execute: Positive = 2
    recover: Positive = 10
    learning_rate: float = Field(gt=0.0)


class TiltConfig(Strict):
    """Turns of a fixed camera, which a homography of its image reproduces exactly.

    Attributes:
        camera: Camera whose images are turned; it must not move with the arm.
        field_of_view: Vertical field of view of that camera [deg].
        degrees: Largest turn, about any axis [deg].
        share: Share of the samples that are turned.
    """

    camera: str
    field_of_view: float = Field(gt=0.0, lt=180.0)
    degrees: float = Field(gt=0.0)
    share: Fraction = 0.5


class MarkConfig(Strict):
    """How demonstrations are marked for a network that takes a point.

    Attributes:
        told: Share of the samples whose instruction names the object by the mark alone.
        besides: Share of the samples whose object is named by words and marked besides.
        jitter: Farthest that a mark is off the object's centre, as a share of the image.
        lag: Most steps by which a mark that follows its object is late.
    """

    told: Fraction = 0.5
    besides: Fraction = 0.25
    jitter: Fraction = 0.03
    lag: Annotated[int, Field(ge=0)] = 3


class AugmentationConfig(Strict):
    """What is varied at training time.

    Attributes:
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        colour: Largest relative change of each colour channel.
        proprioception: Standard deviation of the noise on measured values, in units of theirs.
        shift: Farthest that an image is shifted along each axis [px]; border pixels are repeated.
        tilt: Turns of the fixed camera, or none.
        marks: How objects are marked, for a network that takes a point.
    """

    brightness: Fraction = 0.15
    contrast: Fraction = 0.15
    colour: Fraction = 0.05
    proprioception: Fraction = 0.05
    shift: Annotated[int, Field(ge=0)] = 0
    tilt: TiltConfig | None = None
    marks: MarkConfig = MarkConfig()


class CorrectionConfig(Strict):
    """How much episodes count.

    Attributes:
        episodes: Folders of recordings, or LeRobot data sets.
        human: How often a row that a person drove is learned, for once that a policy's is.
        before: Time before a take-over that is left out, because it led there [s].
        demonstrations: Whether the recipe's demonstrations are learned from as well.
    """

    episodes: tuple[Path, ...] = Field(min_length=1)
    human: Positive = 4
    before: Annotated[float, Field(ge=0.0)] = 1.0
    demonstrations: bool = False
