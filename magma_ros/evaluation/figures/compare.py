# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two evaluations side by side: the same episodes, played by two policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.statistics import PairedCounts, ratio
from magma_ros.evaluation.figures.summary import ALL
from magma_ros.evaluation.world import Control
from magma_ros.files import read_json

ControlName = Literal["none", "blackout", "swapped"]
Key = tuple[str, str, int]


class _Recorded(BaseModel):
    """Base of what is read back; fields that a comparison does not need are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RecordedEpisode(_Recorded):
    """One episode, as in :class:`~magma_ros.evaluation.figures.results.EpisodeResult`."""

    task: str
    control: ControlName
    seed: NonNegativeInt
    success: bool
    swapped_success: bool | None
    chunks: NonNegativeInt
    depth: NonNegativeInt
    flops: NonNegativeInt
    reasons: dict[str, NonNegativeInt]
    instruction: str = ""

    @property
    def key(self) -> Key:
        """What makes it the same episode as another one."""
        return self.control, self.task, self.seed

    @property
    def followed(self) -> bool:
        """Whether the task was done to the object in the policy's instruction."""
        return bool(self.swapped_success) if self.control == "swapped" else self.success


class RecordedSpec(_Recorded):
    """What was evaluated, as in :class:`~magma_ros.evaluation.play.spec.EvaluationSpec`."""

    suites: tuple[str, ...]
    tasks: tuple[str, ...]
    split: str
    clock: str
    episodes: PositiveInt
    controls: bool
    gate: str
    gate_options: dict[str, Any]


class RecordedBundle(_Recorded):
    """Which policy it was."""

    name: str
    manifest_sha256: str


class RecordedEvaluation(_Recorded):
    """An evaluation as it was written to a file."""

    format: Literal["magma-evaluation/1"]
    spec: RecordedSpec
    bundle: RecordedBundle
    episodes: tuple[RecordedEpisode, ...]


def read_evaluation(path: Path) -> RecordedEvaluation:
    """Read what ``magma eval`` wrote as JSON.

    Raises:
        EvaluationError: There is no such file, or it is something else or incomplete.
    """
    remedy = "give a whole file that this version of `magma eval` wrote"
    recorded = read_json(path, RecordedEvaluation, error=EvaluationError, remedy=remedy)
    spec = recorded.spec
    variants = len(Control) if spec.controls else 1
    if len({episode.key for episode in recorded.episodes}) != variants * (
        len(spec.tasks) * spec.episodes
    ):
        raise EvaluationError(
            f"{path} does not hold the episodes that it says were played; run that evaluation again"
        )
    return recorded


@dataclass(frozen=True, slots=True)
class Pairing:
    """One set of episodes that both policies played.

    A success is the task done to the object in the policy's instruction, so with the instruction
    swapped to the one named instead.

    Attributes:
        control: What was taken from the policies.
        task: Task, or :data:`~magma_ros.evaluation.figures.summary.ALL`.
        counts: Successes; the second policy is B.
        flops_ratio: Operations a decision, B to A; None without decisions.
        mean_depths: Mean exits, A and B.
    """

    control: Control
    task: str
    counts: PairedCounts
    flops_ratio: float | None
    mean_depths: tuple[float | None, float | None]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        counts = self.counts
        return {
            "control": self.control.name.lower(),
            "task": self.task,
            **asdict(counts),
            "difference": counts.difference,
            "interval": counts.difference_interval(),
            "p_value": counts.p_value(),
            "flops_ratio": self.flops_ratio,
            "mean_depths": self.mean_depths,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Policy B against policy A, episode by episode.

    Attributes:
        first: The file with policy A, and the policy's name.
        second: Likewise for B.
        pairings: By control and task, each control's sum last.
    """

    first: tuple[Path, str]
    second: tuple[Path, str]
    pairings: tuple[Pairing, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "format": "magma-comparison/1",
            "first": {"file": str(self.first[0]), "bundle": self.first[1]},
            "second": {"file": str(self.second[0]), "bundle": self.second[1]},
            "pairings": [pairing.to_json() for pairing in self.pairings],
        }


def compare(first: Path, second: Path) -> Comparison:
    """Pair the episodes of two evaluations by control, task and seed.

    Raises:
        EvaluationError: A file is unusable, or the two have no episodes in common.
    """
    a, b = read_evaluation(first), read_evaluation(second)
    for name in ("suites", "split", "clock"):
        ours, theirs = _joined(getattr(a.spec, name)), _joined(getattr(b.spec, name))
        if ours != theirs:
            raise EvaluationError(
                f"the two cannot be compared: {first} has {name} {ours}, {second} has {theirs}"
            )
    ours_by_key = {episode.key: episode for episode in a.episodes}
    pairs = [(ours_by_key[e.key], e) for e in b.episodes if e.key in ours_by_key]
    if not pairs:
        raise EvaluationError(
            f"{first} and {second} have no task and seed in common; play the same seeds in both"
        )
    return Comparison((first, a.bundle.name), (second, b.bundle.name), tuple(_pairings(pairs)))


def _pairings(pairs: list[tuple[RecordedEpisode, RecordedEpisode]]) -> Iterable[Pairing]:
    for control in Control:
        chosen = [pair for pair in pairs if pair[0].control == control.name.lower()]
        tasks = list(dict.fromkeys(episode.task for episode, _ in chosen))
        for task in tasks:
            yield _pairing(control, task, [pair for pair in chosen if pair[0].task == task])
        if len(tasks) > 1:
            yield _pairing(control, ALL, chosen)


def paired_counts(pairs: Sequence[tuple[RecordedEpisode, RecordedEpisode]]) -> PairedCounts:
    """How two policies fared in the same episodes."""
    outcomes = [(first.followed, second.followed) for first, second in pairs]
    return PairedCounts(
        both=outcomes.count((True, True)),
        only_first=outcomes.count((True, False)),
        only_second=outcomes.count((False, True)),
        neither=outcomes.count((False, False)),
    )


def _pairing(
    control: Control, task: str, pairs: list[tuple[RecordedEpisode, RecordedEpisode]]
) -> Pairing:
    flops_a, depth_a = _costs([a for a, _ in pairs])
    flops_b, depth_b = _costs([b for _, b in pairs])
    return Pairing(
        control=control,
        task=task,
        counts=paired_counts(pairs),
        flops_ratio=ratio(flops_b, flops_a) if flops_a and flops_b else None,
        mean_depths=(depth_a, depth_b),
    )


def _costs(episodes: Sequence[RecordedEpisode]) -> tuple[float | None, float | None]:
    """Operations a decision, and mean depth."""
    decisions = sum(sum(episode.reasons.values()) for episode in episodes)
    return (
        ratio(sum(episode.flops for episode in episodes), decisions),
        ratio(sum(e.depth for e in episodes), sum(e.chunks for e in episodes)),
    )


def _joined(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(sorted(value))
