# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations in memory: decoded once, then cut into batches of chunks.

A chunk's label is what the expert did in the next K steps. It holds up to and including the first
step in which something else was executed, because what follows answers a state that the expert's
own action would not have led to; elements after it, and after the episode's end, are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from rich.progress import track
from tokenizers import Tokenizer

from magma_ros.models.actions import NORMALISED, normalise
from magma_ros.models.config import CameraConfig, NetworkConfig
from magma_ros.models.data import DataError, read_columns
from magma_ros.models.losses import Batch, Labels
from magma_ros.models.network import Inputs
from magma_ros.models.words import encode
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.types import FloatArray, ImageArray

SMALLEST_SPAN = 2e-3
"""Least distance of q01 and q99 [m, rad]; columns that hardly vary (roll, pitch) are given it."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What raw numbers are normalised by.

    Attributes:
        q01: (7,) 1st percentile of the actions [m, rad].
        q99: (7,) 99th percentile.
        mean: (P,) of the proprioception.
        std: (P,) of the proprioception.
    """

    q01: tuple[float, ...]
    q99: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, actions: FloatArray, proprioception: FloatArray) -> Self:
        """Measure them; the gripper's columns are 0 and 1, as it is not normalised."""
        q01, q99 = np.quantile(actions, [0.01, 0.99], axis=0)
        middle, half = (q01 + q99) / 2, np.maximum((q99 - q01) / 2, SMALLEST_SPAN / 2)
        q01 = np.where(NORMALISED, middle - half, 0.0)
        q99 = np.where(NORMALISED, middle + half, 1.0)
        rows = (q01, q99, proprioception.mean(axis=0), proprioception.std(axis=0))
        return cls(*(tuple(round(float(x), 6) for x in row) for row in rows))


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Steps of the expert, and what belongs to them.

    Attributes:
        chunk_length: Longest chunk K.
        images: By camera, (N, H, W, 3) uint8.
        proprioception: (N, P) float32.
        tokens: (N, T) int64.
        actions: (N, 7) float32 in SI units.
        valid: (N,) how many elements of the chunk that begins there are labels, 1 to K.
        positions: (N, 6) target and goal relative to the end effector [m].
        pixels: By camera, (N, 2, 2) target and goal, column and row, 0 to 1 across the image.
    """

    chunk_length: int
    images: dict[str, ImageArray]
    proprioception: FloatArray
    tokens: npt.NDArray[np.int64]
    actions: FloatArray
    valid: npt.NDArray[np.int64]
    positions: FloatArray
    pixels: dict[str, FloatArray]

    @classmethod
    def read(cls, folder: Path, network: NetworkConfig, tokenizer: Tokenizer) -> Self:
        """Read all shards of a folder.

        Args:
            folder: Where the shards are.
            network: Which cameras, which size, how many words, how long a chunk.
            tokenizer: Turns the instructions into ids.

        Raises:
            DataError: There is no shard, or one is damaged.
        """
        paths = sorted(folder.glob("*.parquet"))
        if not paths:
            raise DataError(f"{folder} holds no demonstrations; generate them first")
        if network.proprioception != PROPRIOCEPTION:
            raise DataError(f"network.proprioception must be {', '.join(PROPRIOCEPTION)}")
        watched = track(paths, "[bold]reading demonstrations", transient=True)
        return cls.joined([cls._read_shard(path, network, tokenizer) for path in watched])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All steps of these parts."""
        first = parts[0]
        return cls(
            chunk_length=first.chunk_length,
            images={n: np.concatenate([part.images[n] for part in parts]) for n in first.images},
            proprioception=np.concatenate([part.proprioception for part in parts]),
            tokens=np.concatenate([part.tokens for part in parts]),
            actions=np.concatenate([part.actions for part in parts]),
            valid=np.concatenate([part.valid for part in parts]),
            positions=np.concatenate([part.positions for part in parts]),
            pixels={n: np.concatenate([part.pixels[n] for part in parts]) for n in first.pixels},
        )

    @classmethod
    def _read_shard(cls, path: Path, network: NetworkConfig, tokenizer: Tokenizer) -> Self:
        table = read_columns(path)
        measured = _matrix(table, "proprioception")
        target, goal = (_matrix(table, f"{what}_position") for what in ("target", "goal"))
        tool = measured[:, :3]
        seeds = table.column("seed").to_numpy()
        last = np.append(seeds[1:] != seeds[:-1], True)
        astray = table.column("astray").to_numpy(zero_copy_only=False)
        instructions = table.column("instruction").to_pylist()
        return cls(
            chunk_length=network.chunk_length,
            images={camera.name: _images(table, camera) for camera in network.cameras},
            proprioception=measured,
            tokens=encode(tokenizer, instructions, network.max_tokens),
            actions=_matrix(table, "action"),
            valid=label_lengths(last | astray, network.chunk_length),
            positions=np.concatenate([target - tool, goal - tool], axis=1),
            pixels={camera.name: _places(table, camera.name) for camera in network.cameras},
        )

    def __len__(self) -> int:
        """The number of steps N."""
        return len(self.actions)

    def batch(self, rows: npt.NDArray[np.int64], statistics: Statistics) -> Batch:
        """The observations of these rows and their labels."""
        ahead = np.arange(self.chunk_length)
        chunks = self.actions[np.minimum(rows[:, None] + ahead, len(self) - 1)]
        scaled = normalise(chunks, np.array(statistics.q01), np.array(statistics.q99))
        return Batch(
            Inputs(
                images={n: torch.from_numpy(images[rows]) for n, images in self.images.items()},
                proprioception=torch.from_numpy(self.proprioception[rows]),
                tokens=torch.from_numpy(self.tokens[rows]),
            ),
            Labels(
                actions=torch.from_numpy(scaled.astype(np.float32)),
                valid=torch.from_numpy(ahead < self.valid[rows, None]),
                positions=torch.from_numpy(self.positions[rows]),
                pixels={n: torch.from_numpy(places[rows]) for n, places in self.pixels.items()},
            ),
        )


def label_lengths(stops: npt.NDArray[np.bool_], longest: int) -> npt.NDArray[np.int64]:
    """How many labels hold from each step on: up to and including the next stop."""
    lengths = np.empty(len(stops), np.int64)
    length = 0
    for index in range(len(stops) - 1, -1, -1):
        length = 1 if stops[index] else min(length + 1, longest)
        lengths[index] = length
    return lengths


def _matrix(table: pa.Table, column: str) -> FloatArray:
    lists = table.column(column).combine_chunks()
    values: FloatArray = lists.values.to_numpy().astype(np.float32)
    return values.reshape(len(table), -1)


def _places(table: pa.Table, camera: str) -> FloatArray:
    columns = [_matrix(table, f"{what}_pixel_{camera}") for what in ("target", "goal")]
    return np.stack(columns, axis=1)


def _images(table: pa.Table, camera: CameraConfig) -> ImageArray:
    return np.stack(
        [_image(data, camera) for data in table.column(f"image_{camera.name}").to_pylist()]
    )


def _image(data: bytes, camera: CameraConfig) -> ImageArray:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataError("a shard holds an image that is no PNG; delete the shard")
    if picture.shape[:2] != (camera.height, camera.width):
        size = (camera.width, camera.height)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)
