# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations in memory: decoded once, then cut into batches of chunks.

A chunk's label is what the expert did in the next K steps. It holds up to and including the first
step in which something else was executed, because what follows answers a state that the expert's
own action would not have led to; elements after it, and after the episode's end, are masked. For
the same reason a trace ends with the state in which something else was executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from rich.progress import track
from tokenizers import Tokenizer

from magma_ros.models.data.config import DataConfig
from magma_ros.models.data.marks import marked_tokens
from magma_ros.models.data.shards import SCHEMA, DataError, find_shards, read_columns
from magma_ros.models.data.statistics import Statistics, matrix
from magma_ros.models.data.words import encode
from magma_ros.models.network.config import CameraConfig, PolicyConfig, TraceConfig
from magma_ros.models.network.losses import Batch, Labels
from magma_ros.models.network.network import Inputs
from magma_ros.models.network.normalisation import normalise
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.types import FloatArray, ImageArray

MOVING = frozenset({"moving"})
"""Suites whose world goes on by itself."""


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Steps of the expert, and what belongs to them.

    Attributes:
        chunk_length: Longest chunk K.
        images: By camera, blocks of (n, H, W, 3) uint8 with N images in all. Blocks are
            never copied, because they take nearly all of the memory.
        proprioception: (N, P) float32.
        tokens: (N, T) int64.
        actions: (N, D) float32 in SI units.
        valid: (N,) how many elements of the chunk that begins there are labels, 1 to K.
        positions: (N, 6) target and goal relative to the end effector [m]; nan if not known.
        pixels: By camera, (N, 2 or 3, 2) target, goal and perhaps the hand: column and row, 0 to 1
            across the image.
        traces: (N, H, 2, 2) tool and target some steps later, column and row, 0 to 1 across the
            image of the network's traces.
        traced: (N, H) whether only the expert acted until then, and the episode went on.
        since: (N,) steps since the episode's first.
        moves: (N,) whether the world goes on by itself, so that an old mark may be on nothing.
        marked: (N, V, T) instructions that name the object by a mark; V is 0 for a network that
            takes none.
        points: (N, 3) the place that the policy was given, as :class:`Inputs` has it; nan where
            marks are to be drawn.
        weights: (N,) how often a row is learned in each pass.
    """

    chunk_length: int
    images: dict[str, tuple[ImageArray, ...]]
    proprioception: FloatArray
    tokens: npt.NDArray[np.int64]
    actions: FloatArray
    valid: npt.NDArray[np.int64]
    positions: FloatArray
    pixels: dict[str, FloatArray]
    traces: FloatArray
    traced: npt.NDArray[np.bool_]
    since: npt.NDArray[np.int64]
    moves: npt.NDArray[np.bool_]
    marked: npt.NDArray[np.int64]
    points: FloatArray
    weights: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: DataConfig, network: PolicyConfig, tokenizer: Tokenizer) -> Demonstrations:
        """Read all that a recipe learns from; see :meth:`read`."""
        return cls.joined(
            [
                cls.read(folder, network, tokenizer, skip_damaged=data.skip_damaged)
                for folder in (data.folder, *data.more)
            ]
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        network: PolicyConfig,
        tokenizer: Tokenizer,
        *,
        skip_damaged: bool = False,
    ) -> Demonstrations:
        """Read all shards of a folder.

        Args:
            folder: Where the shards are.
            network: Cameras, image sizes, instruction length, chunk length and traces.
            tokenizer: Turns the instructions into ids.
            skip_damaged: Leave out what cannot be opened as a shard, with a warning.

        Raises:
            DataError: There is no shard, one is damaged, or they lack what the network needs.
        """
        _check(network)
        shards = find_shards(folder, skip_damaged=skip_damaged)
        ends = np.cumsum(list(shards.values()))
        images = {
            c.name: np.empty((ends[-1], c.height, c.width, 3), np.uint8) for c in network.cameras
        }

        def read_shard(path: Path, end: int) -> Demonstrations:
            rows = slice(end - shards[path], end)
            places = {name: block[rows] for name, block in images.items()}
            return cls._read_shard(path, network, tokenizer, places)

        # OpenCV decodes, and Arrow reads, without the interpreter's lock.
        with ThreadPoolExecutor() as pool:
            parts = pool.map(read_shard, shards, ends)
            watched = track(
                parts, "[bold]reading demonstrations", total=len(shards), transient=True
            )
            columns = cls.joined(list(watched))
        return columns.with_images({name: (block,) for name, block in images.items()})

    @classmethod
    def joined(cls, parts: Sequence[Demonstrations]) -> Demonstrations:
        """All steps of these parts."""
        first = parts[0]
        return cls(
            chunk_length=first.chunk_length,
            images={n: tuple(b for part in parts for b in part.images[n]) for n in first.images},
            proprioception=np.concatenate([part.proprioception for part in parts]),
            tokens=np.concatenate([part.tokens for part in parts]),
            actions=np.concatenate([part.actions for part in parts]),
            valid=np.concatenate([part.valid for part in parts]),
            positions=np.concatenate([part.positions for part in parts]),
            pixels={n: np.concatenate([part.pixels[n] for part in parts]) for n in first.pixels},
            traces=np.concatenate([part.traces for part in parts]),
            traced=np.concatenate([part.traced for part in parts]),
            since=np.concatenate([part.since for part in parts]),
            moves=np.concatenate([part.moves for part in parts]),
            marked=np.concatenate([part.marked for part in parts]),
            points=np.concatenate([part.points for part in parts]),
            weights=np.concatenate([part.weights for part in parts]),
        )

    @classmethod
    def _read_shard(
        cls,
        path: Path,
        network: PolicyConfig,
        tokenizer: Tokenizer,
        images: dict[str, ImageArray],
    ) -> Demonstrations:
        """Decode the images of a shard into ``images``; return everything else."""
        table = read_columns(path)
        for camera in network.cameras:
            _decode(path, table, camera, images[camera.name])
        measured = matrix(table, "proprioception")
        target, goal = (matrix(table, f"{what}_position") for what in ("target", "goal"))
        tool = measured[:, :3]
        seeds = table.column("seed").to_numpy()
        last = np.append(seeds[1:] != seeds[:-1], True)
        undisturbed = steps_until(last | table.column("astray").to_numpy(zero_copy_only=False))
        traces, traced = _traces(table, network.trace, undisturbed)
        return cls(
            chunk_length=network.chunk_length,
            images={},
            proprioception=measured,
            tokens=encode(tokenizer, table.column("instruction").to_pylist(), network.max_tokens),
            actions=matrix(table, "action"),
            valid=np.minimum(undisturbed + 1, network.chunk_length),
            positions=np.concatenate([target - tool, goal - tool], axis=1),
            pixels={c.name: _places(table, ("target", "goal"), c.name) for c in network.cameras},
            traces=traces,
            traced=traced,
            since=table.column("step").to_numpy().astype(np.int64),
            moves=np.array([suite in MOVING for suite in table.column("suite").to_pylist()]),
            marked=_marked(table, network, tokenizer),
            points=np.full((len(table), 3), np.nan, np.float32),
            weights=np.ones(len(table), np.int64),
        )

    def with_images(self, images: dict[str, tuple[ImageArray, ...]]) -> Demonstrations:
        """The same with these images."""
        return replace(self, images=images)

    def __len__(self) -> int:
        """The number of steps N."""
        return len(self.actions)

    def repeated(self) -> npt.NDArray[np.int64]:
        """The numbers of all rows, each as often as it is learned in one pass."""
        return np.repeat(np.arange(len(self)), self.weights)

    def batch(self, rows: npt.NDArray[np.int64], statistics: Statistics) -> Batch:
        """The observations of these rows and their labels."""
        ahead = np.arange(self.chunk_length)
        chunks = self.actions[np.minimum(rows[:, None] + ahead, len(self) - 1)]
        low, high = np.array(statistics.q01), np.array(statistics.q99)
        scaled = normalise(chunks, low, high, statistics.action_mask)
        return Batch(
            Inputs(
                images={n: torch.from_numpy(gather(b, rows)) for n, b in self.images.items()},
                proprioception=torch.from_numpy(self.proprioception[rows]),
                tokens=torch.from_numpy(self.tokens[rows]),
            ),
            Labels(
                actions=torch.from_numpy(scaled.astype(np.float32)),
                valid=torch.from_numpy(ahead < self.valid[rows, None]),
                positions=torch.from_numpy(self.positions[rows]),
                pixels={n: torch.from_numpy(places[rows]) for n, places in self.pixels.items()},
                traces=torch.from_numpy(self.traces[rows]),
                traced=torch.from_numpy(self.traced[rows]),
            ),
        )

    def places(
        self, rows: npt.NDArray[np.int64], camera: str, lag: npt.NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """(B, 2) of the target each: when it was marked, and now or a few steps ago.

        A mark that is not followed is worthless where the world moves, so there both are the
        latter.
        """
        late = np.minimum(lag, self.since[rows])
        first = np.where(self.moves[rows], late, self.since[rows])
        targets = self.pixels[camera][:, 0]
        return targets[rows - first], targets[rows - late]


def gather(blocks: Sequence[ImageArray], rows: npt.NDArray[np.int64]) -> ImageArray:
    """The images of these rows, counted through all blocks."""
    ends = np.cumsum([len(block) for block in blocks])
    owner = np.searchsorted(ends, rows, side="right")
    found = np.empty((len(rows), *blocks[0].shape[1:]), np.uint8)
    for index, block in enumerate(blocks):
        mine = owner == index
        found[mine] = block[rows[mine] - (ends[index] - len(block))]
    return found


def steps_until(stops: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """How many steps each row is away from the next stop; the last row is one."""
    rows = np.arange(len(stops))
    at = np.where(stops, rows, len(stops))
    return np.minimum.accumulate(at[::-1])[::-1] - rows


def _check(network: PolicyConfig) -> None:
    """Refuse a network whose inputs are not recorded."""
    if network.proprioception != PROPRIOCEPTION:
        raise DataError(f"network.proprioception must be {', '.join(PROPRIOCEPTION)}")
    for camera in network.cameras:
        if f"image_{camera.name}" not in SCHEMA.names:
            raise DataError(f"network.cameras: camera {camera.name} is not recorded; remove it")
    if network.trace and f"tool_pixel_{network.trace.camera}" not in SCHEMA.names:
        raise DataError(
            f"network.trace.camera: the tool in camera {network.trace.camera} is not recorded; "
            "use front"
        )


def _marked(table: pa.Table, network: PolicyConfig, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Instructions by a mark; see :class:`Demonstrations`."""
    if network.point is None:
        return np.empty((len(table), 0, network.max_tokens), np.int64)
    columns = (table.column(name).to_pylist() for name in ("task", "seed", "instruction"))
    episodes = list(zip(*columns, strict=True))
    known = {
        (task, seed, told): marked_tokens(task, seed, told, tokenizer, network.max_tokens)
        for task, seed, told in dict.fromkeys(episodes)
    }
    return np.stack([known[episode] for episode in episodes])


def _traces(
    table: pa.Table, trace: TraceConfig | None, undisturbed: npt.NDArray[np.int64]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Traces and whether they hold; see :class:`Demonstrations`."""
    if trace is None:
        return np.empty((len(table), 0, 2, 2), np.float32), np.empty((len(table), 0), np.bool_)
    steps = np.array(trace.steps)
    later = np.arange(len(table))[:, None] + steps
    places = _places(table, ("tool", "target"), trace.camera)
    return places[np.minimum(later, len(table) - 1)], undisturbed[:, None] >= steps


def _places(table: pa.Table, what: tuple[str, str], camera: str) -> FloatArray:
    """(N, 2, 2) where these two are in the image of a camera."""
    return np.stack([matrix(table, f"{name}_pixel_{camera}") for name in what], axis=1)


def _decode(path: Path, table: pa.Table, camera: CameraConfig, images: ImageArray) -> None:
    """Decode the images of one camera into ``images``, in the size of the network's input."""
    size = (camera.width, camera.height)
    for data, image in zip(table.column(f"image_{camera.name}"), images, strict=True):
        picture = cv2.imdecode(np.frombuffer(data.as_buffer(), np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise DataError(
                f"{path} holds an image that is no PNG; delete it and it will be made again"
            )
        if picture.shape[1::-1] != size:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        image[...] = picture[..., ::-1]
