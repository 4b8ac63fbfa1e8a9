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
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from magma_ros.models.magma.frames import draw_frames
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.tiles import choose_tiles
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.models.magma.words import read_words
from magma_ros.models.network.normalisation import normalise
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.policy.contract import CHOICE
from magma_ros.policy.manifest import Manifest, read_manifest, write_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import StageSpec
from magma_ros.spaces import ACTION_DIMS
from magma_ros.types import FloatArray, Observation

IntArray = npt.NDArray[np.int64]

WORDS = (
    "pick", "place", "push", "open", "move", "the", "red", "green", "blue", "cube", "bowl",
    "drawer", "up", "into", "near", "left", "of", "apple",
)  # fmt: skip
"""Of which random instructions are made."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What bundle and network are to answer.

    Attributes:
        observation: What they see.
        action: (7,) what a demonstration answered, normalised; None for noise.
    """

    observation: Observation
    action: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near actions are to others.

    Attributes:
        tokens: For each dimension, share of the tokens that are the same.
        error: Likewise, the mean absolute difference of the normalised actions.
    """

    tokens: tuple[float, ...]
    error: tuple[float, ...]

    @classmethod
    def of(cls, made: IntArray, wanted: IntArray, values: FloatArray, codec: ActionCodec) -> Self:
        """That of tokens (N, 7) to other ones, which stand for ``values``."""
        error = np.abs(codec.decode(made) - values).mean(axis=0)
        return cls(tuple((made == wanted).mean(axis=0).tolist()), tuple(error.tolist()))

    @property
    def mean_tokens(self) -> float:
        """Share of all tokens that are the same."""
        return float(np.mean(self.tokens))

    @property
    def mean_error(self) -> float:
        """Mean absolute difference over all dimensions."""
        return float(np.mean(self.error))


@dataclass(frozen=True, slots=True)
class ExitAgreement:
    """How an exit of the bundle answers.

    Attributes:
        passes: How often it goes through its graphs, on average.
        network: How near its actions are to those of the network's last layer.
        demonstrations: How near they are to those of the demonstrations, if it saw any.
    """

    passes: float
    network: Nearness
    demonstrations: Nearness | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a bundle answers, compared with the network.

    Attributes:
        observations: How many.
        actions: Share of them in which all seven tokens of the deepest exit are the network's.
        in_parallel: Share in which the deepest exit decodes the same tokens one by one.
        exits: Of each exit, the deepest last.
        demonstrations: How near the network's own actions are to those of the demonstrations.
        free: Tokens of all for which the network's whole vocabulary would have had another.
    """

    observations: int
    actions: float
    in_parallel: float
    exits: tuple[ExitAgreement, ...]
    demonstrations: Nearness | None
    free: int

    @property
    def deepest(self) -> ExitAgreement:
        """The deepest exit's."""
        return self.exits[-1]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def noise(manifest: Manifest, count: int, seed: int = 0) -> Iterator[Example]:
    """Observations of noise, with random instructions."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        images = {
            camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
            for camera in manifest.observation.cameras
        }
        told = " ".join(rng.choice(WORDS, rng.integers(1, 9)))
        yield Example(Observation(0.0, images, np.zeros(0), (), told))


def recorded(data: Path, manifest: Manifest, count: int, seed: int = 0) -> Iterator[Example]:
    """Frames of demonstrations, drawn from all episodes.

    Raises:
        DataError: There are no demonstrations, or the camera was not recorded.
    """
    camera, action = manifest.observation.cameras[0], manifest.action
    size = (camera.width, camera.height)
    for frame in draw_frames(data, camera.name, count, seed):
        image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        seen = Observation(0.0, {camera.name: image}, np.zeros(0), (), frame.instruction)
        yield Example(seen, normalise(frame.action, np.array(action.q01), np.array(action.q99)))


def compare(
    checkpoint: Checkpoint,
    bundle: Path,
    examples: Iterable[Example],
    *,
    beginnings: int = 2,
    threads: int = 0,
) -> Agreement:
    """Let bundle and network answer the same observations.

    Args:
        checkpoint: What the bundle was made of.
        bundle: The bundle.
        examples: Of demonstrations, or all of noise; images in the bundle's own size.
        beginnings: Tokens of the text's beginning at the start of the prompt.
        threads: Of the bundle; 0 for as many as by default.

    Raises:
        MagmaError: The bundle or the checkpoint is damaged.
    """
    policy = StagedPolicy.load(bundle, threads=threads)
    teacher = _Teacher(checkpoint, policy.manifest, beginnings)
    codec = ActionCodec(base=len(teacher.actions))
    last = len(policy.manifest.stages) - 1
    answers: list[IntArray] = []
    wanted: list[IntArray] = []
    shown: list[FloatArray] = []
    passes: list[list[int]] = []
    alike = free = 0
    for example in examples:
        chosen, taken = _answers(policy, example.observation)
        policy.pipeline.one_by_one(last)
        alike += np.array_equal(chosen[-1], policy.pipeline.tensor(CHOICE)[0])
        tokens, others = teacher.answer(example.observation)
        answers.append(chosen)
        passes.append(taken)
        wanted.append(tokens)
        free += others
        if example.action is not None:
            shown.append(example.action)
    made, right = np.stack(answers), np.stack(wanted)

    def to_shown(tokens: IntArray) -> Nearness | None:
        if not shown:
            return None
        values = np.stack(shown)
        return Nearness.of(tokens, codec.encode(values), values, codec)

    def exit_at(index: int) -> ExitAgreement:
        near = Nearness.of(made[:, index], right, codec.decode(right), codec)
        mean = float(np.mean([taken[index] for taken in passes]))
        return ExitAgreement(mean, near, to_shown(made[:, index]))

    return Agreement(
        observations=len(right),
        actions=float((made[:, -1] == right).all(axis=1).mean()),
        in_parallel=alike / len(right),
        exits=tuple(map(exit_at, range(policy.manifest.exits))),
        demonstrations=to_shown(right),
        free=free,
    )


def note(bundle: Path, found: Agreement) -> None:
    """Write into a bundle's manifest how it agrees, and what decoding costs on average.

    Raises:
        MagmaError: The manifest cannot be written.
    """
    manifest = read_manifest(bundle)
    passes = iter(reading.passes for reading in found.exits)
    stages = tuple(
        _priced(stage, next(passes)) if stage.kind == "decode" else stage
        for stage in manifest.stages
    )
    near = found.deepest.network
    metrics = {
        "compared/observations": float(found.observations),
        "compared/actions alike": found.actions,
        "compared/tokens a free head would not have chosen": float(found.free),
        **{f"compared/tokens alike/{d}": s for d, s in zip(ACTION_DIMS, near.tokens, strict=True)},
        **{f"compared/mean error/{d}": e for d, e in zip(ACTION_DIMS, near.error, strict=True)},
    }
    for depth, at in enumerate(found.exits, start=1):
        metrics[f"exit {depth}/tokens as the last layer"] = at.network.mean_tokens
        metrics[f"exit {depth}/mean error to the last layer"] = at.network.mean_error
        if at.demonstrations is not None:
            metrics[f"exit {depth}/mean error to demonstrations"] = at.demonstrations.mean_error
    provenance = manifest.provenance.model_copy(update={"metrics": metrics})
    update = {"stages": stages, "provenance": provenance}
    write_manifest(bundle, manifest.model_copy(update=update))


def _priced(stage: StageSpec, passes: float) -> StageSpec:
    """A stage that decodes, at the cost of so many passes."""
    share = passes / stage.passes
    flops, weights = round(share * stage.flops), round(share * stage.weight_bytes)
    cost = {"passes": passes, "flops": flops, "weight_bytes": weights}
    return stage.model_copy(update=cost)


def _answers(policy: StagedPolicy, observation: Observation) -> tuple[IntArray, list[int]]:
    """Think to the end; (E, 7) the tokens of each exit, and how many passes each made."""
    inference = policy.start(observation)
    chosen: list[IntArray] = []
    passes: list[int] = []
    while inference.upcoming:
        if (reading := inference.advance()) is not None:
            chosen.append(policy.pipeline.tensor(CHOICE)[0].astype(np.int64))
            passes.append(reading.passes)
    return np.stack(chosen), passes


class _Teacher:
    """The network, with the prompt that the bundle was made for."""

    def __init__(self, checkpoint: Checkpoint, manifest: Manifest, beginnings: int) -> None:
        shape = checkpoint.shape
        self._network: MagmaNetwork = empty_network(shape)
        fill(self._network, checkpoint)
        self._words = read_words(checkpoint.folder, shape, beginnings=beginnings)
        self._camera = manifest.observation.cameras[0]
        self._tiles = choose_tiles(self._camera.width, self._camera.height, shape.vision)
        self.actions = torch.tensor(list(self._words.codec.ids))

    @torch.inference_mode()
    def answer(self, observation: Observation) -> tuple[IntArray, int]:
        """The tokens, counted from the first action token, and how many a free head had not."""
        network, count = self._network, len(ACTION_DIMS)
        image = torch.from_numpy(observation.images[self._camera.name])[None]
        prefix, suffix = self._words.prefix(), self._words.suffix(observation.instruction)
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
