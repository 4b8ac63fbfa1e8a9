# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations by the expert of any suite's worlds, as a LeRobot data set.

Only episodes in which the task was done are kept: of every task, those of the first seeds, so the
data set depends on its settings alone. Episodes are recorded in parallel, each into a file that
appears when it is whole; an interrupted run goes on where it stopped, and the data set is written
from them at the end.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from rich.console import Console

from magma_ros.episodes.lerobot.meta import read_info
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.episodes.lerobot.write import DatasetWriter
from magma_ros.evaluation.play.workers import outcomes
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import INSTANT, Demonstrates, OwnSpace, Suite, World
from magma_ros.files import make_folder
from magma_ros.models.data.episodes import encode_png, episode_rng
from magma_ros.models.data.led import draw_lead, identity_of, lead
from magma_ros.models.data.recorded import read_recorded, recorded_episode, write_recorded
from magma_ros.models.data.shards import DataError
from magma_ros.policy.manifest import read_manifest
from magma_ros.spaces import ACTION_DIMS, GRIPPER, MAGMA, ActionSpace
from magma_ros.types import FloatArray

SEED = 1_000_000
"""Seed of the first episode; those below are for evaluation."""

MOST_TRIES = 4
"""Episodes that are played for one that is wanted, before an expert is given up."""

CODEC = "h264-444"
"""Of the videos: the finest."""

MADE_WITH = "made_with"
"""Entry of a data set's info with the settings it was made with, and what the suite is."""


@runtime_checkable
class Locates(Protocol):
    """A world that knows where hand, object and goal are, as labels for training."""

    def places(self) -> Mapping[str, FloatArray]:
        """Positions, (3,) each [m]."""
        ...

    def pixels(self) -> Mapping[str, FloatArray]:
        """Where the camera sees them, (2,) each, 0 to 1 across the picture."""
        ...


@dataclass(frozen=True, slots=True)
class DemonstrationConfig:
    """What to demonstrate.

    Attributes:
        suite: Name of the suite.
        tasks: Its tasks; all if empty.
        split: Variation of scenes and instructions.
        episodes: With success, a task.
        rate: Rows a second [Hz]; the suite's steps are as many to a row as fit.
        tail: Rows recorded after success.
        noise: Standard deviation of what is added to each executed displacement, along each axis,
            in each of the suite's steps [m]; what is recorded is the expert's action without it.
        seed: Of the first episode.
        after: Folder of the bundle of a policy that acts first, or None; see :mod:`led`.

    Raises:
        DataError: A number is out of range.
        BundleError: There is no bundle in that folder.
    """

    suite: str
    tasks: tuple[str, ...] = ()
    split: str = "seen"
    episodes: int = 50
    rate: int = 20
    tail: int = 2
    noise: float = 0.0
    seed: int = SEED
    after: Path | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("episodes", 1),
            ("rate", 1),
            ("tail", 0),
            ("noise", 0),
            ("seed", SEED),
        ):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise DataError(f"{name} must be a number from {least} upwards, not {value}")
        if self.after is not None:
            read_manifest(self.after)

    def to_json(self) -> dict[str, Any]:
        """As plain data; of a policy that acts first the checksum, wherever it lies."""
        settings = asdict(self) | {"tasks": list(self.tasks)}
        bundle = settings.pop("after")
        return settings if bundle is None else settings | {"after": identity_of(bundle)}

    @property
    def identity(self) -> str:
        """A short hash; equal settings have equal hashes."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]


def demonstrate(
    config: DemonstrationConfig, folder: Path, *, workers: int = 1, console: Console | None = None
) -> Path:
    """Make a data set of demonstrations; one that is there already is looked over instead.

    Args:
        config: What to demonstrate.
        folder: The data set.
        workers: Processes.
        console: Where to draw a progress bar, or None for none.

    Returns:
        The data set.

    Raises:
        DataError: The folder holds something else, or an expert fails too often.
        LeRobotError: The data set that is there is damaged.
        MagmaError: There is no such suite or task, or it needs what is not installed.
    """
    suite = find_suite(config.suite)
    tasks = config.tasks or tuple(suite.tasks)
    if unknown := [task for task in tasks if task not in suite.tasks]:
        raise DataError(f"suite {config.suite} has no task {unknown[0]}; see {tuple(suite.tasks)}")
    steps_of(suite, config.rate)
    if folder.exists():
        _look_over(folder, config)
        return folder
    drafts = folder.with_name(f".episodes-{folder.name}-{config.identity}")
    make_folder(drafts)
    record = partial(record_task, config, drafts)
    found = outcomes(
        record, tasks, workers=workers, console=console, description=f"demonstrating {config.suite}"
    )
    recorded = [path for paths in found for path in paths]
    notes = {MADE_WITH: {"settings": config.to_json(), "suite": suite.definition()}}
    with DatasetWriter(folder, codec=CODEC, robot_type=config.suite, notes=notes) as writer:
        for path in recorded:
            writer.add(recorded_episode(path, space_of(suite).names))
    shutil.rmtree(drafts)
    return folder


def record_task(config: DemonstrationConfig, drafts: Path, task: str) -> tuple[Path, ...]:
    """Record the episodes of one task that are not there yet; returns the successful ones.

    Raises:
        DataError: The expert fails too often.
    """
    kept: list[Path] = []
    for seed in range(config.seed, config.seed + MOST_TRIES * config.episodes):
        path = drafts / f"{task}-{seed}.npz"
        columns = read_recorded(path)
        if columns is None:
            record(config, task, seed, path)
            columns = read_recorded(path)
        if columns is not None and columns["done"].any():
            kept.append(path)
        if len(kept) == config.episodes:
            return tuple(kept)
    raise DataError(
        f"the expert of {task} succeeded only {len(kept)} times in "
        f"{MOST_TRIES * config.episodes} episodes; ask for fewer, or for less noise"
    )


def record(config: DemonstrationConfig, task: str, seed: int, path: Path) -> None:
    """Play one episode with the expert, and write it as :mod:`recorded` has it.

    Raises:
        DataError: The suite's worlds have no expert.
    """
    suite = find_suite(config.suite)
    with closing(suite.make_world()) as world:
        if not isinstance(world, Demonstrates):
            raise DataError(f"the worlds of suite {config.suite} have no expert")
        rng = episode_rng(task, seed)
        _begin(world, config, task, seed, rng)
        player = _Player(world, suite, config, rng)
        rows, left = [player.row()], config.tail
        while world.time < suite.time_limit(task) - INSTANT:
            left -= world.done()
            if left < 0:
                break
            rows.append(player.row())
        done = world.done()
    columns: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    columns |= {
        # Whether it was done by the end of each row; of a failure, no more than that is of use.
        "done": np.array([*columns["done"][1:], done]),
        "seed": np.full(len(rows), seed),
        "fields": player.fields,
        "instruction": player.instruction,
        "period": 1.0 / config.rate,
    }
    write_recorded(path, columns, player.pictures if done else {})


def _begin(
    world: World, config: DemonstrationConfig, task: str, seed: int, rng: np.random.Generator
) -> None:
    """Bring a world to where the expert takes over, with something left to show."""
    world.reset(task, config.split, seed)
    rows = 0 if config.after is None else draw_lead(rng)
    while config.after is not None and rows:
        lead(world, config.suite, config.after, rows / config.rate)
        if not world.done():
            return
        rows //= 2
        world.reset(task, config.split, seed)


class _Player:
    """Lets the expert act row by row, and keeps what is recorded."""

    def __init__(
        self, world: Any, suite: Suite, config: DemonstrationConfig, rng: np.random.Generator
    ) -> None:
        self._world: World = world
        self._expert: Demonstrates = world
        self._locates: Locates | None = world if isinstance(world, Locates) else None
        self._step = suite.step_period
        self._steps = steps_of(suite, config.rate)
        self._columns = [ACTION_DIMS.index(name) for name in space_of(suite).names]
        self._noise, self._rng = config.noise, rng
        self.pictures: dict[str, list[bytes]] = {}
        self.fields: tuple[str, ...] = ()
        self.instruction = ""

    def row(self) -> dict[str, Any]:
        """Look, then let the expert act for one row."""
        seen = self._world.observe()
        self.fields, self.instruction = seen.fields, seen.instruction
        for name, image in seen.images.items():
            self.pictures.setdefault(name, []).append(encode_png(image))
        row: dict[str, Any] = {
            "state": np.asarray(seen.proprioception, np.float32),
            "done": self._world.done(),
        }
        if self._locates is not None:
            places, pixels = self._locates.places(), self._locates.pixels()
            row |= {f"{what}_position": place.astype(np.float32) for what, place in places.items()}
            row |= {f"{what}_pixel": pixel.astype(np.float32) for what, pixel in pixels.items()}
        actions = np.stack([self._act() for _ in range(self._steps)])[:, self._columns]
        moved = np.array(self._columns) != GRIPPER
        action = np.where(moved, actions.sum(axis=0), actions.mean(axis=0))
        row["action"] = action.astype(np.float32)
        row["step_actions"] = actions.astype(np.float32).ravel()
        return row

    def _act(self) -> FloatArray:
        """One of the suite's steps; returns the expert's action, whatever was executed."""
        action = self._expert.expert_action()
        executed = action.copy()
        if self._noise:
            executed[:3] += self._rng.normal(0.0, self._noise, 3)
        self._world.command(executed[:GRIPPER] / self._step, float(executed[GRIPPER]))
        self._world.step(self._step)
        return action


def space_of(suite: Suite) -> ActionSpace:
    """The action space of a suite's robot; Magma's, unless it says another."""
    return suite.space if isinstance(suite, OwnSpace) else MAGMA


def steps_of(suite: Suite, rate: int) -> int:
    """How many of a suite's steps are a row.

    Raises:
        DataError: Rows at that rate are no whole number of steps.
    """
    steps = 1.0 / (rate * suite.step_period)
    if round(steps) < 1 or abs(steps - round(steps)) > INSTANT:
        raise DataError(
            f"rows at {rate} Hz are no whole number of the suite's steps, which are at "
            f"{1.0 / suite.step_period:g} Hz; choose a rate that divides it"
        )
    return round(steps)


def settings_of(folder: Path) -> dict[str, Any] | None:
    """The settings that a data set was made with, or None if it comes from elsewhere.

    Raises:
        LeRobotError: It is no data set.
    """
    made: Any = (read_info(folder).model_extra or {}).get(MADE_WITH)
    settings = made.get("settings") if isinstance(made, Mapping) else None
    return dict(settings) if isinstance(settings, Mapping) else None


def _look_over(folder: Path, config: DemonstrationConfig) -> None:
    """Refuse a data set that is not the one that would be made.

    Raises:
        DataError: It was made with other settings, or elsewhere.
        LeRobotError: It is damaged.
    """
    open_dataset(folder)
    if settings_of(folder) != config.to_json():
        raise DataError(
            f"{folder} holds another data set; choose another folder or delete this one"
        )
