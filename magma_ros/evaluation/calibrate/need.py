# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which words stand for tasks that need depth, learnt from the same scenes played at fixed exits.

Where some tasks need depth and others do not, the instruction tells before anything is looked at.
Every scene is played at the deepest exit and at shallower ones, so what is compared differs in the
exit alone. An exit loses, on average over all tasks, a share of success; the *need* of a task is
how many times that it loses there: ``1 + sum of its words' weights``. The weights are found by
ridge regression, whose penalty is chosen by what the weights tell about scenes that they were not
fitted on. Words that tell nothing there get no weight.

Shapes: E exits below the deepest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from magma_ros.evaluation.calibrate.episode_readings import EpisodeReadings
from magma_ros.evaluation.calibrate.learn_then_test import CalibrationError
from magma_ros.evaluation.calibrate.ridge import FOLDS, ridge, told_elsewhere
from magma_ros.evaluation.figures.compare import Key, RecordedEpisode, read_evaluation
from magma_ros.gate.regret import RegretModel, words_of

PENALTIES = tuple(float(penalty) for penalty in np.geomspace(1.0, 1000.0, 13))
"""Those tried: weight of the squared weights of words, in pairs of episodes."""

LEAST_PAIRS = 20
"""Pairs of episodes that anything can be learnt from."""

Episodes = Mapping[Key, RecordedEpisode]
"""Those of one exit."""


@dataclass(frozen=True, slots=True)
class Need:
    """What fixed exits lose, and by which words.

    Attributes:
        losses: (E,) success lost by one decision at each exit, on average over all tasks.
        words: What each word adds to the need.
        episodes: How many were learnt from.
    """

    losses: tuple[float, ...]
    words: Mapping[str, float]
    episodes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """One scene at the deepest exit and at another.

    Attributes:
        depth: The other exit.
        lost: 1 where only the deepest did the task, -1 where only the other did, else 0.
        seed: Of the scene.
        instruction: What the policy was told.
    """

    depth: int
    lost: int
    seed: int
    instruction: str


def learn_need(files: Sequence[Path], checksum: str, costs: Sequence[float]) -> Need:
    """Learn the need of depth from evaluations at fixed exits.

    Args:
        files: What ``magma eval --depth K --json`` wrote, one exit a file, the deepest among them.
        checksum: SHA-256 of the bundle's manifest.
        costs: (E + 1,) operations up to each exit, as a share of full depth.

    Raises:
        MagmaError: A file cannot be used, or they have too little in common.
    """
    played = _by_depth(files, checksum)
    if (deepest := len(costs)) not in played or len(played) < 2:
        raise CalibrationError(
            f"need of depth is learnt from exit {deepest} and shallower ones; give the files of "
            f"magma eval --depth {deepest} and of at least one --depth below"
        )
    best = played.pop(deepest)
    pairs = [pair for depth, other in sorted(played.items()) for pair in _pairs(depth, other, best)]
    if len(pairs) < LEAST_PAIRS:
        raise CalibrationError(
            f"the files have {len(pairs)} scenes in common; play the same suites, tasks and seeds "
            f"at every exit, {LEAST_PAIRS} scenes or more"
        )
    losses = _losses(pairs, sorted(played))
    decisions = float(np.mean([episode.chunks for episode in best.values()]))
    known = [costs[depth - 1] for depth in losses] + [costs[-1]]
    by_exit = np.interp(costs[:-1], known, [*losses.values(), 0.0]) / max(decisions, 1.0)
    episodes = len(best) + sum(len(other) for other in played.values())
    return Need(tuple(map(float, by_exit)), _weigh(pairs, losses), episodes)


def told_by_words(
    model: RegretModel, need: Need, episodes: Sequence[EpisodeReadings]
) -> RegretModel:
    """Models of regret that weigh the instruction.

    What fixed exits lose is known more precisely than by single decisions drawn at random, so the
    mean regret of an exit becomes that; the figures tell how a decision differs from the mean.

    Args:
        model: The models, learnt from exits drawn at random.
        need: What fixed exits lose, and by which words.
        episodes: Those that the models were learnt from.
    """
    mean = np.concatenate([episode.features for episode in episodes]).mean(axis=0)
    exits = tuple(
        replace(exit_model, bias=loss - float(np.dot(exit_model.weights, usual)), loss=loss)
        for exit_model, usual, loss in zip(model.exits, mean, need.losses, strict=True)
    )
    return replace(model, exits=exits, words=need.words)


def _by_depth(files: Sequence[Path], checksum: str) -> dict[int, Episodes]:
    """The episodes of each exit."""
    found: dict[int, Episodes] = {}
    scenes: set[tuple[object, ...]] = set()
    for path in files:
        recorded = read_evaluation(path)
        scenes.add((recorded.spec.suites, recorded.spec.split, recorded.spec.clock))
        if len(scenes) > 1:
            raise CalibrationError(
                f"{path} was played in other suites, on another split or by another clock than "
                f"{files[0]}; what is compared must differ in the exit alone"
            )
        depth = recorded.spec.gate_options.get("depth")
        if recorded.spec.gate != "fixed" or not isinstance(depth, int):
            raise CalibrationError(f"{path} was not played at one exit; use magma eval --depth")
        if recorded.bundle.manifest_sha256 != checksum:
            raise CalibrationError(f"{path} was played with another bundle than this")
        if depth in found:
            raise CalibrationError(f"{path} was played at exit {depth} as well; give one file each")
        own = {episode.key: episode for episode in recorded.episodes if episode.control == "none"}
        if not any(episode.instruction for episode in own.values()):
            raise CalibrationError(f"{path} does not say what the policy was told; play it again")
        found[depth] = own
    return found


def _pairs(depth: int, other: Episodes, best: Episodes) -> list[_Pair]:
    found = []
    for key in sorted(other.keys() & best.keys()):
        mine, theirs = best[key], other[key]
        lost = int(mine.success) - int(theirs.success)
        found.append(_Pair(depth, lost, mine.seed, mine.instruction))
    return found


def _losses(pairs: Sequence[_Pair], depths: Sequence[int]) -> dict[int, float]:
    """Mean success lost in an episode at each exit that was played; none is gained."""
    means = {d: float(np.mean([p.lost for p in pairs if p.depth == d])) for d in depths}
    return {depth: max(mean, 0.0) for depth, mean in means.items()}


def _weigh(pairs: Sequence[_Pair], losses: Mapping[int, float]) -> dict[str, float]:
    """The weights of words; none where no penalty does better than to leave all of them out."""
    told = [words_of(pair.instruction) for pair in pairs]
    names = sorted(frozenset[str]().union(*told))
    scale = np.array([losses[pair.depth] for pair in pairs])
    design = np.array([[float(word in own) for word in names] for own in told]) * scale[:, None]
    target = np.array([pair.lost for pair in pairs]) - scale
    part = np.array([pair.seed for pair in pairs]) % FOLDS
    unit = float(np.mean(scale**2))
    best, least = 0.0, float(np.sum(target**2))
    for penalty in (unit * each for each in PENALTIES if unit > 0.0):
        error = float(np.sum((told_elsewhere(design, target, penalty, part) - target) ** 2))
        if error < least:
            best, least = penalty, error
    if not best:
        return {}
    weights = ridge(design, target, best)
    return {word: float(weight) for word, weight in zip(names, weights, strict=True)}
