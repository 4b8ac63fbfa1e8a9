# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compares a bundle with the network that it was made of, token by token.

The network runs in PyTorch, in float32, and decodes one token after the other. On the way it is
asked what it would have chosen among the whole vocabulary, which a bundle does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from magma_ros.models.magma.frames import draw_frames
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.tiles import choose_tiles
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.policy.contract import CHOICE
from magma_ros.policy.manifest import Manifest, read_manifest, write_manifest
from magma_ros.policy.prompt import ActionPrompt, read_tokenizer
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import StageSpec
from magma_ros.types import ACTION_DIMS, FloatArray, Observation

WORDS = (
    "pick", "place", "push", "open", "move", "the", "red", "green", "blue", "cube", "bowl",
    "drawer", "up", "into", "near", "left", "of", "apple",
)  # fmt: skip
"""Of which random instructions are made."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a bundle's deepest exit answers, compared with the network.

    Attributes:
        observations: How many.
        actions: Share of them in which all seven tokens are the network's.
        tokens: Share of the tokens that are, for each dimension.
        error: Mean absolute difference of the normalised actions, for each dimension.
        in_parallel: Share in which the bundle decodes the same tokens one by one.
        passes: Mean passes of each exit.
        free: Tokens of all for which the network's whole vocabulary would have had another.
    """

    observations: int
    actions: float
    tokens: tuple[float, ...]
    error: tuple[float, ...]
    in_parallel: float
    passes: tuple[float, ...]
    free: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def noise(manifest: Manifest, count: int, seed: int = 0) -> Iterator[Observation]:
    """Observations of noise, with random instructions."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        images = {
            camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
            for camera in manifest.observation.cameras
        }
        told = " ".join(rng.choice(WORDS, rng.integers(1, 9)))
        yield Observation(0.0, images, np.zeros(0), (), told)


def recorded(data: Path, manifest: Manifest, count: int, seed: int = 0) -> Iterator[Observation]:
    """Frames of demonstrations, drawn from all episodes.

    Raises:
        DataError: There are no demonstrations, or the camera was not recorded.
    """
    camera = manifest.observation.cameras[0]
    for frame in draw_frames(data, camera.name, count, seed):
        size = (camera.width, camera.height)
        image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        yield Observation(0.0, {camera.name: image}, np.zeros(0), (), frame.instruction)


def compare(
    checkpoint: Checkpoint,
    bundle: Path,
    observations: Iterable[Observation],
    *,
    beginnings: int = 2,
    threads: int = 0,
) -> Agreement:
    """Let bundle and network answer the same observations.

    Args:
        checkpoint: What the bundle was made of.
        bundle: The bundle.
        observations: Images in the bundle's own size.
        beginnings: Tokens of the text's beginning at the start of the prompt.
        threads: Of the bundle; 0 for as many as by default.

    Raises:
        MagmaError: The bundle or the checkpoint is damaged.
    """
    policy = StagedPolicy.load(bundle, threads=threads)
    teacher = _Teacher(checkpoint, policy.manifest, beginnings)
    codec = ActionCodec(base=len(teacher.actions))
    last = len(policy.manifest.stages) - 1
    found: list[tuple[FloatArray, FloatArray]] = []
    passes: list[list[int]] = []
    alike = free = 0
    for observation in observations:
        passes.append(_passes(policy, observation))
        chosen = policy.pipeline.tensor(CHOICE)[0].astype(np.int64)
        policy.pipeline.one_by_one(last)
        alike += np.array_equal(chosen, policy.pipeline.tensor(CHOICE)[0])
        wanted, others = teacher.answer(observation)
        free += others
        found.append((chosen, wanted))
    made, wanted = (np.stack(column) for column in zip(*found, strict=True))
    same = made == wanted
    return Agreement(
        observations=len(found),
        actions=float(same.all(axis=1).mean()),
        tokens=tuple(same.mean(axis=0).tolist()),
        error=tuple(np.abs(codec.decode(made) - codec.decode(wanted)).mean(axis=0).tolist()),
        in_parallel=alike / len(found),
        passes=tuple(np.mean(passes, axis=0).tolist()),
        free=free,
    )


def note(bundle: Path, found: Agreement) -> None:
    """Write into a bundle's manifest how it agrees, and what decoding costs on average.

    Raises:
        MagmaError: The manifest cannot be written.
    """
    manifest = read_manifest(bundle)
    passes = iter(found.passes)
    stages = tuple(
        _priced(stage, next(passes)) if stage.kind == "decode" else stage
        for stage in manifest.stages
    )
    metrics = {
        "compared/observations": float(found.observations),
        "compared/actions alike": found.actions,
        "compared/tokens a free head would not have chosen": float(found.free),
        **{f"compared/tokens alike/{d}": s for d, s in zip(ACTION_DIMS, found.tokens, strict=True)},
        **{f"compared/mean error/{d}": e for d, e in zip(ACTION_DIMS, found.error, strict=True)},
    }
    provenance = manifest.provenance.model_copy(update={"metrics": metrics})
    update = {"stages": stages, "provenance": provenance}
    write_manifest(bundle, manifest.model_copy(update=update))


def _priced(stage: StageSpec, passes: float) -> StageSpec:
    """A stage that decodes, at the cost of so many passes."""
    share = passes / stage.passes
    flops, weights = round(share * stage.flops), round(share * stage.weight_bytes)
    cost = {"passes": passes, "flops": flops, "weight_bytes": weights}
    return stage.model_copy(update=cost)


def _passes(policy: StagedPolicy, observation: Observation) -> list[int]:
    """Think to the end; how many passes each exit made."""
    inference = policy.start(observation)
    readings = [inference.advance() for _ in policy.manifest.stages]
    return [reading.passes for reading in readings if reading is not None]


class _Teacher:
    """The network, with the prompt that the bundle was made for."""

    def __init__(self, checkpoint: Checkpoint, manifest: Manifest, beginnings: int) -> None:
        shape = checkpoint.shape
        self._network: MagmaNetwork = empty_network(shape)
        fill(self._network, checkpoint)
        self._prompt = ActionPrompt(beginnings, shape.image_start_end)
        self._tokenizer = read_tokenizer(checkpoint.folder / "tokenizer.json", self._prompt)
        self._camera = manifest.observation.cameras[0]
        self._tiles = choose_tiles(self._camera.width, self._camera.height, shape.vision)
        self.actions = torch.tensor(list(ActionCodec.of(self._tokenizer).ids))

    @torch.inference_mode()
    def answer(self, observation: Observation) -> tuple[FloatArray, int]:
        """The tokens, counted from the first action token, and how many a free head had not."""
        network, count = self._network, len(ACTION_DIMS)
        image = torch.from_numpy(observation.images[self._camera.name])[None]
        prefix = self._prompt.prefix(self._tokenizer)
        suffix = self._prompt.suffix(self._tokenizer, observation.instruction)
        tiles = pixels_of(image, network.shape, *self._tiles)
        ids = (torch.tensor([part]) for part in (prefix, suffix))
        hidden, past = network.think(network.prompt(tiles, *ids), network.layers)
        chosen: list[Tensor] = []
        others = 0
        while True:
            logits = network.logits(hidden[:, -1])
            token = self.actions[logits[:, self.actions].argmax(dim=-1)]
            others += int(logits.argmax(dim=-1) != token)
            chosen.append(token)
            if len(chosen) == count:
                return (torch.cat(chosen) - self.actions[0]).numpy(), others
            hidden, past = network.think(network.embed(token[:, None]), network.layers, past)
