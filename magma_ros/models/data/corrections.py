# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to learn from episodes: what people showed, and what went well by itself.

After HG-DAgger (arXiv 1810.02890) and Sirius (arXiv 2211.08416): stretches that a person drove
weigh more than the policy's own, and what led to a take-over is left out. What counts is what the
guard sent, whoever asked for it. Positions, heat maps and traces are labels that no recording has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.episode import HUMAN, POLICY, Episode
from magma_ros.episodes.events import GOOD
from magma_ros.models.data.config import CorrectionConfig
from magma_ros.models.data.dataset import Demonstrations, steps_until
from magma_ros.models.data.marks import PHRASINGS
from magma_ros.models.data.words import encode
from magma_ros.models.network.config import CameraConfig, PolicyConfig
from magma_ros.spaces import ACTION_DIMS, GRIPPER
from magma_ros.types import TRACE_GRID, FloatArray, ImageArray

IDLE = 1e-5
"""Displacement of a step up to which an arm rests [m, rad]; a person who waits shows nothing."""

PERIOD_TOLERANCE = 0.02
"""Share by which an episode's rows may be longer or shorter than a step of the policy."""


@dataclass(frozen=True, slots=True)
class Learned:
    """How many rows of what there are.

    Attributes:
        episodes: Episodes that something is learned from.
        human: Rows that a person drove.
        policy: Rows that the policy drove.
        left_out: Rows that are not learned from.
    """

    episodes: int = 0
    human: int = 0
    policy: int = 0
    left_out: int = 0


def row_weights(episode: Episode, config: CorrectionConfig) -> npt.NDArray[np.int64]:
    """(T,) how often each row is learned; 0 for never.

    A person's rows count wherever the arm moved; the policy's only where the episode went well, and
    not shortly before a take-over. The guard's count nowhere.
    """
    sources = np.array(episode.sources)
    shown = (sources == HUMAN) & episode.interventions & _moved(episode.actions)
    own = (sources == POLICY) & (episode.outcome.verdict == GOOD)
    taken = episode.interventions
    begins = np.flatnonzero(taken & ~np.append(False, taken[:-1]))
    for begin in begins:
        late = episode.times >= episode.times[begin] - config.before - 1e-9
        own &= ~(late & (np.arange(len(episode)) < begin))
    told = np.array([bool(text.strip()) for text in episode.instructions], bool)
    return np.where(told, config.human * shown + own, 0).astype(np.int64)


def _moved(actions: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows in which the arm is sent somewhere, or the gripper."""
    arm = (np.abs(actions[:, :GRIPPER]) > IDLE).any(axis=1)
    return arm | (np.abs(np.diff(actions[:, GRIPPER], prepend=actions[:1, GRIPPER])) > 0.01)


def chunk_lengths(
    episode: Episode, weights: npt.NDArray[np.int64], longest: int
) -> npt.NDArray[np.int64]:
    """(T,) how many elements of the plan that begins in each row are labels, 0 to ``longest``.

    A plan ends before a row that is not learned, or that another one drove.
    """
    sources = np.array(episode.sources)
    ends = np.append((weights[1:] == 0) | (sources[1:] != sources[:-1]), True)
    return np.where(weights > 0, np.minimum(steps_until(ends) + 1, longest), 0)


def learn_from(
    episodes: Iterable[Episode],
    network: PolicyConfig,
    tokenizer: Tokenizer,
    config: CorrectionConfig,
    period: float,
) -> tuple[Demonstrations, Learned]:
    """All rows of episodes that there is something to learn from.

    Args:
        episodes: Read on a clock of the policy's steps, or of a whole fraction of them.
        network: What the policy sees.
        tokenizer: Its words.
        config: How much what counts.
        period: Of the policy's steps [s].

    Raises:
        EpisodeError: An episode lacks a camera or a measured value that the policy needs, acts in
            another way, or none of them shows anything.
    """
    parts: list[Demonstrations] = []
    counts = Learned()
    for episode in episodes:
        _check(episode, network)
        steps, numbers = _stepped(episode, period)
        weights = row_weights(steps, config)
        kept = weights > 0
        human = int((kept & (np.array(steps.sources) == HUMAN)).sum())
        counts = Learned(
            episodes=counts.episodes + bool(kept.any()),
            human=counts.human + human,
            policy=counts.policy + int(kept.sum()) - human,
            left_out=counts.left_out + int((~kept).sum()),
        )
        if kept.any():
            rows = (steps, numbers)
            parts.append(_demonstrations(episode, rows, weights, network, tokenizer))
    if not parts:
        raise EpisodeError(
            "the episodes show nothing to learn from: nobody took over in them, and none "
            "succeeded or is labelled good; record take-overs, or say magma episodes label"
        )
    return Demonstrations.joined(parts), counts


def _check(episode: Episode, network: PolicyConfig) -> None:
    """Refuse what the policy cannot learn from."""
    if episode.action_names != ACTION_DIMS:
        names = ", ".join(episode.action_names[:3])
        raise EpisodeError(
            f"{episode.name}: its feature action has {len(episode.action_names)} columns ({names}, "
            f"...), but the policy moves the hand by {', '.join(ACTION_DIMS)}; only data sets with "
            "those seven columns can be learned from"
        )
    for kind, wanted, there in (
        ("camera", [camera.name for camera in network.cameras], episode.cameras),
        ("measured value", network.proprioception, episode.fields),
    ):
        if missing := [name for name in wanted if name not in there]:
            raise EpisodeError(
                f"{episode.name} has no {kind} {missing[0]}, which the policy needs; "
                f"there is {', '.join(there) or 'none'}"
            )


def _stepped(episode: Episode, period: float) -> tuple[Episode, npt.NDArray[np.int64]]:
    """The episode in rows as long as the policy's steps, and which of its own rows these are.

    Where several rows make a step, their displacements are summed and the last gripper counts; its
    pictures must be looked up by the numbers of its own rows.
    """
    count = round(period / episode.period)
    if count < 1 or abs(count * episode.period - period) > PERIOD_TOLERANCE * period:
        raise EpisodeError(
            f"{episode.name} has rows of {episode.period:g} s, and the policy's steps of "
            f"{period:g} s are no multiple of that; resample it to {1.0 / period:g} Hz"
        )
    whole = len(episode) // count * count
    rows = np.arange(0, whole, count)
    moved = episode.actions[:whole].reshape(len(rows), count, -1)
    actions = np.column_stack([moved[:, :, :GRIPPER].sum(axis=1), moved[:, -1, GRIPPER:]])
    stepped = replace(
        episode,
        period=period,
        times=episode.times[rows],
        proprioception=episode.proprioception[rows],
        instructions=tuple(episode.instructions[row] for row in rows),
        points=episode.points[rows],
        actions=actions.astype(np.float32),
        sources=tuple(episode.sources[row] for row in rows),
        interventions=episode.interventions[rows],
    )
    return stepped, rows


def _demonstrations(
    episode: Episode,
    rows: tuple[Episode, npt.NDArray[np.int64]],
    weights: npt.NDArray[np.int64],
    network: PolicyConfig,
    tokenizer: Tokenizer,
) -> Demonstrations:
    """The rows of one episode; what no recording has is marked as not known."""
    steps, numbers = rows
    count, longest = len(steps), network.chunk_length
    columns = [steps.fields.index(name) for name in network.proprioception]
    tokens = encode(tokenizer, steps.instructions, network.max_tokens)
    horizon = 0 if network.trace is None else len(network.trace.steps)
    marked = 0 if network.point is None else PHRASINGS
    nowhere = np.full((count, 2, 2), -1.0, np.float32)
    return Demonstrations(
        chunk_length=longest,
        images={c.name: (_images(episode, numbers, c),) for c in network.cameras},
        proprioception=steps.proprioception[:, columns].astype(np.float32),
        tokens=tokens,
        actions=steps.actions.astype(np.float32),
        valid=chunk_lengths(steps, weights, longest),
        positions=np.full((count, 6), np.nan, np.float32),
        pixels={camera.name: nowhere for camera in network.cameras},
        traces=np.zeros((count, horizon, 2, 2), np.float32),
        traced=np.zeros((count, horizon), np.bool_),
        since=np.arange(count),
        moves=np.zeros(count, np.bool_),
        marked=np.repeat(tokens[:, None], marked, axis=1),
        points=_points(steps, network),
        weights=weights,
    )


def _points(steps: Episode, network: PolicyConfig) -> FloatArray:
    """(T, 3) the place that the robot was given in each row, or zeros for none."""
    known = np.asarray(np.isfinite(steps.points).all(axis=1))
    if network.point is None or steps.point_camera != network.point.camera:
        known[:] = False
    places = np.where(known[:, None], steps.points / TRACE_GRID, 0.0)
    return np.column_stack([places, known]).astype(np.float32)


def _images(episode: Episode, rows: npt.NDArray[np.int64], camera: CameraConfig) -> ImageArray:
    """(T, H, W, 3) pictures of a camera, in the size of the network's input."""
    images = np.zeros((len(rows), camera.height, camera.width, 3), np.uint8)
    places = {int(row): place for place, row in enumerate(rows)}
    for row, picture in episode.pictures(camera.name, [int(row) for row in rows]):
        size = (camera.width, camera.height)
        fits = picture.shape[1::-1] == size
        images[places[row]] = (
            picture if fits else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        )
    return images
