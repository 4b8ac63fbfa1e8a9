# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma distill-exits``: makes layers before the last readable, without changing any of them.

The last layer is the teacher. Over frames of demonstrations it chooses its seven tokens; at the
states from which it chose them, every exit learns the teacher's distribution over the action's rows
and the end of the turn (Kullback-Leibler divergence). What an exit is worth is measured on frames
of episodes that it did not learn from, with the exit choosing all tokens by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from torch.nn import functional

from magma_ros.models.magma.exits import ExitHead, Exits
from magma_ros.models.magma.frames import Frame, draw_frames
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.models.magma.words import Words, read_words
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.spaces import ACTION_DIMS
from magma_ros.types import MagmaError

TOKENS = len(ACTION_DIMS)
"""Tokens of an action."""

HELD_OUT = 4
"""Every so many-th episode is measured on, not learned from."""


@dataclass(frozen=True, slots=True)
class Distillation:
    """How exits are trained.

    Attributes:
        depths: After how many layers an exit sits.
        rank: Width between the two matrices that are added to the head.
        steps: Optimiser steps an exit.
        batch: Frames in a step.
        learning_rate: Adam's, falling to zero.
        seed: Of the order of frames and the first weights.
    """

    depths: tuple[int, ...]
    rank: int = 32
    steps: int = 600
    batch: int = 64
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """How well an exit answers as the last layer does, on held-out frames.

    Attributes:
        tokens: Share of the seven ids that are the same.
        actions: Share of the frames in which all seven are.
        error: Mean absolute difference of the normalised actions.
    """

    tokens: float
    actions: float
    error: float


@dataclass(frozen=True, slots=True)
class ExitReport:
    """What distillation did for an exit.

    Attributes:
        depth: Layers before it.
        before: Read by the last layer's norm and head.
        after: Read by its own.
        frames: Held-out frames.
    """

    depth: int
    before: Reading
    after: Reading
    frames: int


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """Frames with instructions of the same length.

    Attributes:
        tiles: (B, 1, 1, 3, S, S).
        prefix: (B, P) ids.
        suffix: (B, Q) ids.
    """

    tiles: Tensor
    prefix: Tensor
    suffix: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """States of an exit and what the teacher makes of them.

    Attributes:
        states: By depth, (N, 8, D).
        teacher: (N, 8, R) log-probabilities.
    """

    states: dict[int, Tensor]
    teacher: Tensor


def distil_checkpoint(
    folder: Path,
    data: Path,
    out: Path,
    plan: Distillation,
    *,
    camera: str,
    frames: int,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16"] = "float32",
) -> list[ExitReport]:
    """Train the exits of a checkpoint and write them to a file.

    Args:
        folder: The checkpoint.
        data: Demonstrations, as ``magma data generate`` writes them.
        out: The file; replaced only once the new one is complete.
        plan: How.
        camera: Whose pictures are seen.
        frames: How many.
        device: Where the network runs, as torch calls it.
        dtype: Number format of the network's weights.

    Raises:
        MagmaError: The checkpoint or the demonstrations cannot be used, or the file not be written.
    """
    checkpoint = Checkpoint.open(folder)
    words = read_words(folder, checkpoint.shape)
    drawn = draw_frames(data, camera, frames, plan.seed)
    network = empty_network(checkpoint.shape)
    fill(network, checkpoint, dtype=getattr(torch, dtype))
    exits, reports = distil(network.to(device), words, drawn, plan)
    exits.save(out)
    return reports


def distil(
    network: MagmaNetwork, words: Words, frames: Sequence[Frame], plan: Distillation
) -> tuple[Exits, list[ExitReport]]:
    """Train the exits of a network, which stays as it is.

    Args:
        network: With all its weights, in evaluation mode.
        words: Of its checkpoint.
        frames: What is learned from and measured on.
        plan: How.

    Raises:
        MagmaError: There is no such layer, or there are too few episodes.
    """
    torch.manual_seed(plan.seed)
    episodes = {episode: n for n, episode in enumerate(dict.fromkeys(f.episode for f in frames))}
    held_out = [frame for frame in frames if episodes[frame.episode] % HELD_OUT == 0]
    learned = [frame for frame in frames if episodes[frame.episode] % HELD_OUT]
    if not (held_out and learned):
        raise MagmaError("frames of two episodes are needed at least; make more demonstrations")
    model = network.language_model
    rows = torch.tensor(words.answers, device=model.lm_head.weight.device)
    exits = Exits.fresh(
        plan.depths,
        model.model.norm.weight,
        model.lm_head.weight[rows],
        plan.rank,
        network.shape.text,
    )
    lesson = _observe(network, words, learned, rows, plan)
    for depth, head in exits.heads.items():
        _learn(head.to(rows.device), lesson.states[depth], lesson.teacher, plan)
    return exits, _measure(network, words, held_out, rows, exits)


def _prepare(
    network: MagmaNetwork, words: Words, frames: Sequence[Frame], batch: int
) -> Iterator[_Prepared]:
    """Batches of frames, each with prompts of one length."""
    device = network.language_model.lm_head.weight.device
    prefix = torch.tensor([words.prefix()], device=device)
    suffixes = [words.suffix(frame.instruction) for frame in frames]

    def length(index: int) -> int:
        return len(suffixes[index])

    for _, group in groupby(sorted(range(len(frames)), key=length), key=length):
        members = list(group)
        for first in range(0, len(members), batch):
            some = members[first : first + batch]
            images = torch.from_numpy(np.stack([frames[index].image for index in some])).to(device)
            suffix = torch.tensor([suffixes[index] for index in some], device=device)
            before = prefix.expand(len(some), -1)
            yield _Prepared(pixels_of(images, network.shape), before, suffix)


@torch.no_grad()
def _observe(
    network: MagmaNetwork,
    words: Words,
    frames: Sequence[Frame],
    rows: Tensor,
    plan: Distillation,
) -> _Lesson:
    """Let the teacher choose its tokens, and keep the states from which it did."""
    states: dict[int, list[Tensor]] = {depth: [] for depth in plan.depths}
    teacher: list[Tensor] = []
    ends = sorted({*plan.depths, len(network.layers)})
    batches = list(_prepare(network, words, frames, plan.batch))
    for batch in track(batches, "[bold]the last layer answers", transient=True):
        prompt = network.prompt(batch.tiles, batch.prefix, batch.suffix)
        tokens = network.choose(prompt, rows[:-1], TOKENS)
        hidden = torch.cat([prompt, network.embed(tokens)], dim=1)
        for first, last in zip([0, *ends], ends, strict=False):
            hidden, _ = network.think(hidden, range(first, last))
            if last in states:
                states[last].append(hidden[:, -TOKENS - 1 :].float())
        logits = network.logits(hidden[:, -TOKENS - 1 :], rows).float()
        teacher.append(torch.log_softmax(logits, dim=-1))
    return _Lesson({depth: torch.cat(kept) for depth, kept in states.items()}, torch.cat(teacher))


def _learn(head: ExitHead, states: Tensor, teacher: Tensor, plan: Distillation) -> None:
    """Train one exit."""
    generator = torch.Generator().manual_seed(plan.seed)
    optimiser = torch.optim.Adam(head.parameters(), lr=plan.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    steps = track(range(plan.steps), "[bold]exit learns", transient=True)
    for _ in steps:
        some = torch.randint(len(states), (plan.batch,), generator=generator).to(states.device)
        answer = torch.log_softmax(head(states[some]), dim=-1)
        loss = functional.kl_div(
            answer.flatten(0, 1),
            teacher[some].flatten(0, 1),
            log_target=True,
            reduction="batchmean",
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _measure(
    network: MagmaNetwork,
    words: Words,
    frames: Sequence[Frame],
    rows: Tensor,
    exits: Exits,
) -> list[ExitReport]:
    """Let every exit choose all tokens by itself, with its own head and with the last layer's."""
    actions = rows[:-1]
    deepest: list[Tensor] = []
    answers: dict[tuple[int, bool], list[Tensor]] = {}
    batches = list(_prepare(network, words, frames, 64))
    for batch in track(batches, "[bold]measuring", transient=True):
        with torch.no_grad():
            prompt = network.prompt(batch.tiles, batch.prefix, batch.suffix)
        deepest.append(network.choose(prompt, actions, TOKENS))
        for depth, head in exits.heads.items():
            for own, read in ((False, None), (True, _without_end(head))):
                chosen = network.choose(prompt, actions, TOKENS, depth=depth, read=read)
                answers.setdefault((depth, own), []).append(chosen)
    wanted = torch.cat(deepest)
    readings = {
        key: _compare(torch.cat(chosen), wanted, words.codec) for key, chosen in answers.items()
    }
    return [
        ExitReport(depth, readings[depth, False], readings[depth, True], len(wanted))
        for depth in exits.heads
    ]


def _without_end(head: ExitHead) -> Callable[[Tensor], Tensor]:
    """The head's logits of the action's rows."""
    return lambda states: head(states)[..., :-1]


def _compare(chosen: Tensor, wanted: Tensor, codec: ActionCodec) -> Reading:
    same = chosen == wanted
    values = (codec.decode(ids.cpu().numpy()) for ids in (chosen, wanted))
    difference = np.abs(np.subtract(*values))
    return Reading(
        tokens=float(same.float().mean()),
        actions=float(same.all(dim=1).float().mean()),
        error=float(difference.mean()),
    )
