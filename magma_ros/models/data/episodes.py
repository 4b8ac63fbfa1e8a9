# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of the scripted expert, recorded step by step into a shard.

The expert labels every step; a driver may execute another action, which leads to states that the
expert alone would not reach. An episode depends on (suite, task, seed) and its driver alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from magma_ros.models.data.config import DisturbanceConfig
from magma_ros.models.data.shards import CAMERAS, SCHEMA
from magma_ros.sim.expert import STEP_LENGTH, STEP_TURN, Expert
from magma_ros.sim.simulation import ENV_STEP, Simulation
from magma_ros.spaces import GRIPPER
from magma_ros.types import FloatArray, ImageArray

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
        split: Variation of scenes and instructions.
        seeds: One episode each.
        tail: Steps recorded after success.
        make_driver: Called with (task, seed) in the worker; makes the driver of that episode.
    """

    path: Path
    suite: str
    task: str
    split: str
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


def write_shard(shard: Shard) -> int:
    """Make one shard; return its number of steps."""
    rows: list[dict[str, Any]] = []
    for seed in shard.seeds:
        driver, origin = shard.make_driver(shard.task, seed), {"suite": shard.suite, "seed": seed}
        scene = Simulation(shard.task, suite=shard.suite, split=shard.split, seed=seed)
        with closing(scene):
            rows.extend(origin | row for row in episode(scene, driver, shard.tail))
    unfinished = shard.path.with_suffix(".tmp")
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), unfinished, compression="none")
    unfinished.replace(shard.path)
    return len(rows)


def episode(simulation: Simulation, driver: Driver, tail: int) -> Iterator[dict[str, Any]]:
    """The rows of one episode: the expert labels every step, ``driver`` may execute another."""
    expert = Expert()
    for step in range(simulation.task.step_limit):
        label = expert.act(simulation)
        row = _row(simulation, label) | {"step": step}
        executed = driver(simulation, label)
        yield row | {"astray": executed is not None}
        action = label if executed is None else executed
        simulation.command(action[:GRIPPER] / ENV_STEP, action[GRIPPER])
        simulation.step(ENV_STEP)
        tail -= simulation.succeeded()
        if tail < 0:
            return


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
