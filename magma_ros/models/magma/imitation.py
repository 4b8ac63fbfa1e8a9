# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss by which Magma's network learns demonstrations: cross-entropy of the action's tokens.

The text that a demonstration consists of is cut down to the ids that occur. All other rows of the
embedding and of the head are zero in the checkpoint, so that their logits are zero as well: the
softmax over the whole vocabulary is that over the action's rows and one more logit, the logarithm
of how many others there are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from magma_ros.models.magma.network import KeyValue, MagmaNetwork
from magma_ros.models.magma.words import Words
from magma_ros.models.network.actions import soft_labels
from magma_ros.models.network.losses import POSITION_UNIT, Losses
from magma_ros.models.network.point import near_cells
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.spaces import ACTION_DIMS, GRIPPER

ARM = len(ACTION_DIMS) - 1
"""Columns of an action before the gripper's."""


class Vocabulary:
    """The ids that occur, and their places in a shorter embedding and head.

    Args:
        used: Ids of text; those of actions and of the end of the turn are added.
        words: How actions are written.
        size: Rows of the whole vocabulary.
    """

    def __init__(self, used: set[int], words: Words, size: int) -> None:
        answers = words.answers
        self.codec: ActionCodec = words.codec
        self.ids = np.array(sorted(used | {*answers}))
        self.size = size
        self.rows = self.shortened(np.array(answers))

    def shortened(self, ids: np.ndarray) -> Tensor:
        """Ids of Magma's vocabulary as ids of the shorter one."""
        return torch.from_numpy(np.searchsorted(self.ids, ids))

    def bins(self, actions: Tensor) -> Tensor:
        """Normalised actions (...) as rows of :attr:`rows`."""
        return torch.from_numpy(self.codec.encode(actions.numpy()) - self.codec.ids.start)

    def whole(self, weight: Tensor, *, head: bool = False) -> Tensor:
        """The rows of the whole vocabulary (V, D); a head's rows are those of actions alone."""
        rows = torch.zeros(self.size, weight.shape[1], dtype=weight.dtype)
        kept = self.rows if head else torch.arange(len(self.ids))
        rows[torch.from_numpy(self.ids)[kept]] = weight.detach()[kept]
        return rows


class Sample(NamedTuple):
    """A batch of what Magma reads, and what it is to answer; ids are those of a vocabulary.

    Attributes:
        tiles: (B, 1, 1, 3, S, S).
        prefix: (P,).
        suffixes: (B, Q), filled up at the end.
        lengths: (B,).
        actions: (B, 7) normalised.
        bins: (B, 7) the same as rows of a vocabulary's answers.
        positions: (B, 6) target and goal relative to the tool [m].
        places: (B, 2, 2) where they are in the picture, 0 to 1 across it.
    """

    tiles: Tensor
    prefix: Tensor
    suffixes: Tensor
    lengths: Tensor
    actions: Tensor
    bins: Tensor
    positions: Tensor
    places: Tensor


class Aids(nn.Module):
    """What is asked of the decoder besides, at training time: where target and goal are.

    Args:
        network: The network that is trained.
    """

    def __init__(self, network: MagmaNetwork) -> None:
        super().__init__()
        width = network.shape.text.width
        self.queries = nn.Linear(width, 2 * width)
        self.keys = nn.Linear(width, width)
        self.positions = nn.ModuleList(nn.Linear(width, 6) for _ in range(2))

    def heat(self, image: Tensor, last: Tensor) -> Tensor:
        """(B, 2, N) how much every image token is the place, unnormalised.

        Args:
            image: (B, N, D) hidden states of the image's tokens.
            last: (B, D) that of the prompt's last token.
        """
        queries = self.queries(last).unflatten(-1, (2, -1))
        logits: Tensor = queries @ self.keys(image).transpose(1, 2) * last.shape[-1] ** -0.5
        return logits.float()


class Answer(NamedTuple):
    """What the network makes of a batch.

    Attributes:
        states: (B, 8, D) the last layer's hidden states from which the tokens are chosen.
        middle: (B, D) of the prompt's last token half-way through the layers.
        image: (B, N, D) of the image's tokens half-way.
    """

    states: Tensor
    middle: Tensor
    image: Tensor


class Imitation(nn.Module):
    """The network and its aids, with the loss over a batch.

    Args:
        network: With the rows of ``vocabulary``.
        vocabulary: The ids that occur.
    """

    rows: Tensor

    def __init__(self, network: MagmaNetwork, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.network, self.vocabulary = network, vocabulary
        self.aids = Aids(network)
        self.register_buffer("rows", vocabulary.rows, persistent=False)
        self.others = math.log(vocabulary.size - len(vocabulary.rows))

    def answer(self, sample: Sample) -> Answer:
        """Run the network over prompts and the expert's tokens.

        The prefix is the same for all, so it is read once; what fills up a sequence comes last,
        where no other token attends to it.
        """
        network, batch = self.network, len(sample.suffixes)
        tokens = self.rows[sample.bins]
        text = torch.cat([sample.suffixes, torch.zeros_like(tokens)], dim=1)
        ahead = torch.arange(tokens.shape[1] + 1, device=tokens.device)
        places = sample.lengths[:, None] + ahead[:-1]
        text = text.scatter(1, places, tokens)
        image = network.see(sample.tiles).float()
        hidden = torch.cat([image, network.embed(text)], dim=1)
        before = network.embed(sample.prefix[None])
        count = image.shape[1]
        at = count + sample.lengths[:, None] - 1 + ahead
        half = len(network.layers) // 2
        hidden, before = self._think(hidden, before, network.layers[:half], batch)
        middle = hidden.gather(1, at[:, :1, None].expand(-1, -1, hidden.shape[-1])).squeeze(1)
        seen = hidden[:, :count]
        hidden, _ = self._think(hidden, before, network.layers[half:], batch)
        states = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
        return Answer(states, middle, seen)

    def losses(self, sample: Sample, sigma: float, heat: float, positions: float) -> Losses:
        """The loss of a batch.

        Args:
            sample: The batch.
            sigma: Standard deviation of the arm's labels [bins].
            heat: Weight of the places in the picture.
            positions: Weight of the relative positions.
        """
        answer = self.answer(sample)
        logits = self.network.logits(answer.states, self.rows).float()
        others = torch.full_like(logits[..., :1], self.others)
        surprise = -torch.log_softmax(torch.cat([logits, others], dim=-1), dim=-1)[..., :-1]
        tokens = (surprise * self._labels(sample, sigma)).sum(dim=-1).mean()
        where = self._where(answer, sample)
        distance = self._distance(answer, sample)
        arm = logits[:, : len(ACTION_DIMS), :-1].argmax(dim=-1)
        error = (decoded(arm) - sample.actions).abs().mean()
        total = tokens + heat * where + positions * distance
        terms = {"tokens": tokens, "heat": where, "positions": distance, "error": error}
        return Losses(total, {"total": total, **terms})

    def _labels(self, sample: Sample, sigma: float) -> Tensor:
        """(B, 8, 257) soft for the arm, hard for the gripper and the end of the turn."""
        batch, count = len(sample.actions), len(ACTION_DIMS) + 1
        labels = sample.actions.new_zeros(batch, count, len(self.rows))
        soft = soft_labels(sample.actions[:, :ARM], sigma).flip(-1)  # larger actions, smaller ids
        labels[:, :ARM, 1:-1] = soft
        labels[:, GRIPPER].scatter_(1, sample.bins[:, GRIPPER:], 1.0)
        labels[:, -1, -1] = 1.0
        return labels

    def _think(
        self, hidden: Tensor, before: Tensor, layers: range, batch: int
    ) -> tuple[Tensor, Tensor]:
        """Some layers, over the shared prefix once and over the rest of every sample."""
        before, past = self.network.think(before, layers)
        shared = [KeyValue(*(t.expand(batch, -1, -1, -1) for t in layer)) for layer in past]
        hidden, _ = self.network.think(hidden, layers, shared)
        return hidden, before

    def _where(self, answer: Answer, sample: Sample) -> Tensor:
        """Cross-entropy of where target and goal are in the picture."""
        side = self.network.shape.vision.grid
        heat = self.aids.heat(answer.image, answer.middle)
        cells = heat.unflatten(-1, (side, -1))[..., :side].flatten(-2)
        labels = near_cells(sample.places, (side, side))
        return -(labels * torch.log_softmax(cells, dim=-1)).sum(dim=-1).mean()

    def _distance(self, answer: Answer, sample: Sample) -> Tensor:
        """L1 distance of the relative positions, half-way and at the end [0.1 m]."""
        wanted = sample.positions / POSITION_UNIT
        states = (answer.middle, answer.states[:, 0])
        found = [ask(state).float() for ask, state in zip(self.aids.positions, states, strict=True)]
        return torch.stack([functional.l1_loss(one, wanted) for one in found]).mean()


def decoded(rows: Tensor) -> Tensor:
    """Normalised values of rows 0 to 255 of the action ids."""
    return 1.0 - 2.0 * (rows - 1).clamp_min(0).add(0.5) / 255.0
