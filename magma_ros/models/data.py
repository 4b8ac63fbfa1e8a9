# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes demonstrations: the scripted expert at work, recorded as Parquet shards.

One row is one step. Images are PNG, so a shard opens in any Parquet viewer. A shard depends on the
configuration and its seeds alone; what exists already is not made again, and a shard appears under
its name only when it is whole, so an interrupted run continues where it stopped.

Seeds: evaluation owns 0 to 999,999, training 1,000,000 to 1,999,999, validation 2,000,000 onwards.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from magma_ros.models.config import fingerprint
from magma_ros.models.data_config import DataConfig, DisturbanceConfig
from magma_ros.models.shards import CAMERAS, COLUMNS, SCHEMA, DataError, read_columns
from magma_ros.sim.expert import STEP_LENGTH, STEP_TURN, Expert
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.sim.suite import load_suite
from magma_ros.types import GRIPPER, FloatArray, ImageArray

CARD = "data.json"
"""Name of the file that says what a folder of shards holds."""

LARGEST_ACTION = np.array([*[STEP_LENGTH] * 3, 0.0, 0.0, STEP_TURN, 0.0])
"""What the scale of a disturbance refers to [m, rad]."""


class Driver(Protocol):
    """Decides what is executed while the expert's action is recorded."""

    def __call__(self, simulation: Simulation, label: FloatArray) -> FloatArray | None:
        """The action to execute instead of ``label``, or None to execute the label."""
        ...


@dataclass(frozen=True, slots=True)
class Shard:
    """One file to make.

    Attributes:
        path: The file.
        suite: Task suite.
        task: Task.
        seeds: One episode each.
        tail: Steps recorded after success.
        make_driver: Called with (task, seed) in the worker; says who drives that episode.
    """

    path: Path
    suite: str
    task: str
    seeds: tuple[int, ...]
    tail: int
    make_driver: Callable[[str, int], Driver]


@dataclass(frozen=True, slots=True)
class MakeBursts:
    """Makes the :class:`Bursts` of an episode; picklable, unlike a closure."""

    config: DisturbanceConfig

    def __call__(self, task: str, seed: int) -> Driver:
        """The driver for that episode."""
        return Bursts(self.config, episode_rng(task, seed))


class Bursts:
    """Adds short bursts of a constant offset to the expert's action, in most episodes."""

    def __init__(self, config: DisturbanceConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._clean = rng.random() < config.clean
        self._left = 0
        self._offset = np.zeros(7)
        self._flip = False

    def __call__(self, simulation: Simulation, label: FloatArray) -> FloatArray | None:
        """See :class:`Driver`."""
        del simulation
        if self._clean:
            return None
        if not self._left and self._rng.random() < self._config.chance:
            self._begin()
        if not self._left:
            return None
        self._left -= 1
        action = label + self._offset
        if self._flip:
            action[GRIPPER] = 1.0 - action[GRIPPER]
        return action

    def _begin(self) -> None:
        shortest, longest = self._config.steps
        self._left = int(self._rng.integers(shortest, longest + 1))
        self._offset = self._config.scale * LARGEST_ACTION * self._rng.uniform(-1.0, 1.0, 7)
        self._flip = bool(self._rng.random() < self._config.gripper_flip)


def generate(config: DataConfig, *, workers: int = 0) -> Path:
    """Make all demonstrations that are not there yet.

    Args:
        config: What to make.
        workers: Processes; 0 for one per core.

    Returns:
        The folder of the shards.

    Raises:
        DataError: The folder holds demonstrations of another configuration.
    """
    folder = config.folder
    claim_folder(folder, fingerprint(config, exclude={"folder"}))
    make_driver = MakeBursts(config.disturbance)
    write_shards(plan_shards(config, folder, make_driver), workers, "demonstrations")
    write_card(folder, config)
    return folder


def plan_shards(
    config: DataConfig, folder: Path, make_driver: Callable[[str, int], Driver]
) -> list[Shard]:
    """Divide the episodes of every task among files.

    Raises:
        SimulationError: There is no such suite or task.
    """
    shards = []
    for suite, task in config.tasks:
        load_suite(suite).task(task)  # a wrong name is told here, not by a worker
        seeds = range(config.seed, config.seed + config.episodes[suite][task])
        shards += [
            Shard(
                path=folder / f"{suite}-{task}-{first:05d}.parquet",
                suite=suite,
                task=task,
                seeds=tuple(seeds[first : first + config.shard]),
                tail=config.tail,
                make_driver=make_driver,
            )
            for first in range(0, len(seeds), config.shard)
        ]
    return shards


def claim_folder(folder: Path, identity: str) -> None:
    """Mark a folder as belonging to one configuration.

    Raises:
        DataError: It belongs to another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / ".identity"
    if mark.exists() and mark.read_text() != identity:
        raise DataError(
            f"{folder} holds demonstrations made with other settings; "
            "choose another data.folder or delete this one"
        )
    mark.write_text(identity)


def write_shards(shards: Sequence[Shard], workers: int, what: str) -> None:
    """Make the missing shards in parallel, with a progress bar in episodes."""
    missing = [shard for shard in shards if not shard.path.exists()]
    columns = (
        TextColumn(f"[bold]{what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("episodes"),
        TimeRemainingColumn(),
    )
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns) as progress,
        ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool,
    ):
        bar = progress.add_task(what, total=sum(len(shard.seeds) for shard in shards))
        progress.advance(bar, sum(len(s.seeds) for s in shards if s.path.exists()))
        for done in as_completed([pool.submit(write_shard, shard) for shard in missing]):
            progress.advance(bar, done.result())


def write_shard(shard: Shard) -> int:
    """Make one shard; return its number of episodes."""
    rows: list[dict[str, Any]] = []
    for seed in shard.seeds:
        driver = shard.make_driver(shard.task, seed)
        rows.extend(episode(shard.suite, shard.task, seed, driver, shard.tail))
    unfinished = shard.path.with_suffix(".tmp")
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), unfinished, compression="none")
    unfinished.replace(shard.path)
    return len(shard.seeds)


def episode(
    suite: str, task: str, seed: int, driver: Driver, tail: int
) -> Iterator[dict[str, Any]]:
    """The rows of one episode: the expert labels every step, ``driver`` may execute another."""
    simulation = Simulation(task, suite=suite, seed=seed)
    expert = Expert()
    try:
        for step in range(simulation.task.step_limit):
            label = expert.act(simulation)
            row = {"suite": suite, "seed": seed, "step": step} | _row(simulation, label)
            executed = driver(simulation, label)
            yield row | {"astray": executed is not None}
            action = label if executed is None else executed
            simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
            simulation.step(ENV_STEP)
            tail -= simulation.succeeded()
            if tail < 0:
                return
    finally:
        simulation.close()


def episode_rng(task: str, seed: int) -> np.random.Generator:
    """Randomness of an episode's driver; independent of that of its scene."""
    return np.random.default_rng([zlib.crc32(task.encode()), seed, 1])


def _row(simulation: Simulation, label: FloatArray) -> dict[str, Any]:
    """What is recorded about this moment."""
    target = simulation.object_position(simulation.target_name)
    goal = simulation.goal_position()
    pixels = {
        f"{what}_pixel_{camera}": _place(simulation, camera, point)
        for what, point in (("target", target), ("goal", goal))
        for camera in CAMERAS
    }
    return {
        "task": simulation.task_name,
        "instruction": simulation.instruction,
        **{f"image_{camera}": encode_png(simulation.image(camera)) for camera in CAMERAS},
        "proprioception": simulation.proprioception().astype(np.float32),
        "action": np.asarray(label, np.float32),
        "target_position": target.astype(np.float32),
        "goal_position": goal.astype(np.float32),
        "success": simulation.succeeded(),
        "tool_pixel_front": _place(simulation, "front", simulation.ee_pose().position),
        **pixels,
    }


def _place(simulation: Simulation, camera: str, point: FloatArray) -> FloatArray:
    spec = simulation.cameras[camera]
    pixel = simulation.project(camera, point) / np.array([spec.width, spec.height])
    return np.asarray(pixel, np.float32)


def encode_png(image: ImageArray) -> bytes:
    """An RGB image as PNG."""
    _, data = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data.tobytes()


def write_card(folder: Path, config: DataConfig) -> None:
    """Say in ``data.json`` what the folder holds."""
    steps, successes, episodes = 0, 0, 0
    for path in sorted(folder.glob("*.parquet")):
        table = read_columns(path, ["seed", "success"])
        steps += len(table)
        seeds = table.column("seed").to_numpy()
        done = table.column("success").to_numpy(zero_copy_only=False)
        episodes += len(np.unique(seeds))
        successes += len(np.unique(seeds[done]))
    card = {
        "config": config.model_dump(mode="json", exclude={"folder"}),
        "episodes": episodes,
        "steps": steps,
        "expert_success": round(successes / max(episodes, 1), 4),
        "columns": COLUMNS,
    }
    unfinished = folder / f"{CARD}.tmp"
    unfinished.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / CARD)
