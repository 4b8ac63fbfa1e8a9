# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Success by network quality: the policy here, one elsewhere, and both, on the same episodes.

Lines are modelled; see :mod:`magma_ros.evaluation.computers.line`. The policy here does not depend
on them and is played once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console

from magma_ros.evaluation.computers.line import LineConditions
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import PairedCounts, wilson_interval
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.far import Far
from magma_ros.evaluation.play.spec import EvaluationSpec

FORMAT = "magma-network/1"
"""Mark of the bench's JSON."""

QUALITIES: dict[str, LineConditions] = {
    "2 ms": LineConditions(0.002, 0.001),
    "10 ± 5 ms": LineConditions(0.010, 0.005, 0.001),
    "20 ± 10 ms, 1 %, cuts": LineConditions(0.020, 0.010, 0.01, cut_every=8.0, cut=2.0),
    "40 ± 20 ms, 1 %, cuts": LineConditions(0.040, 0.020, 0.01, cut_every=8.0, cut=2.0),
    "100 ± 50 ms, 3 %, cuts": LineConditions(0.100, 0.050, 0.03, cut_every=4.0, cut=2.0),
    "gone": LineConditions(cut_every=1e-3, cut=1e3),
}
"""Lines by their names: each way's delay, loss of packets, cuts of 2 s every 4 or 8 s or so."""


class Way(Enum):
    """Who decides."""

    HERE = "policy here"
    FAR = "policy elsewhere"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Row:
    """One way of deciding over one line.

    Attributes:
        quality: Name of the line.
        way: Who decides.
        results: Its episodes, in the order of the scenes.
    """

    quality: str
    way: Way
    results: tuple[EpisodeResult, ...]

    @property
    def successes(self) -> int:
        """Episodes in which the task was done."""
        return sum(result.success for result in self.results)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        return wilson_interval(self.successes, len(self.results))

    @property
    def late(self) -> float:
        """Share of the decisions that were late."""
        return sum(r.late for r in self.results) / max(self.decisions, 1)

    @property
    def decisions(self) -> int:
        """Observations decided about."""
        return sum(result.decisions for result in self.results)

    def share(self, origin: str) -> float:
        """Share of the decisions that followed a plan of this ``Origin``."""
        total = sum(result.elsewhere.get(origin, 0) for result in self.results)
        return total / max(self.decisions, 1)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        reasons: dict[str, int] = {}
        for result in self.results:
            for reason, count in result.reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return {
            "quality": self.quality,
            "way": self.way.name.lower(),
            "episodes": len(self.results),
            "successes": self.successes,
            "interval": list(self.interval),
            "decisions": self.decisions,
            "late": sum(r.late for r in self.results),
            "stalls": sum(r.stalls for r in self.results),
            "far_share": self.share("FAR"),
            "far_late_share": self.share("FAR_LATE"),
            "reasons": reasons,
        }


@dataclass(frozen=True, slots=True)
class NetworkBench:
    """What was played.

    Attributes:
        spec: The policy here, alone.
        far: The policy elsewhere.
        rows: By line, then by way of deciding.
    """

    spec: EvaluationSpec
    far: Far
    rows: tuple[Row, ...]

    def pairs(self, quality: str, than: Way) -> PairedCounts:
        """Both against one alone over the same line: the first is the one, the second both."""
        found = {row.way: row.results for row in self.rows if row.quality == quality}
        outcomes = [
            (one.success, both.success)
            for one, both in zip(found[than], found[Way.BOTH], strict=True)
        ]
        kinds = ((True, True), (True, False), (False, True), (False, False))
        return PairedCounts(*(outcomes.count(kind) for kind in kinds))

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        qualities = dict.fromkeys(row.quality for row in self.rows)
        return {
            "format": FORMAT,
            "suites": list(self.spec.suites),
            "tasks": [task for _, task in self.spec.chosen],
            "episodes": self.spec.episodes,
            "seed": self.spec.seed,
            "gate": self.spec.gate,
            "gate_options": dict(self.spec.gate_options),
            "far_depth": self.far.depth,
            "lines": {name: asdict(QUALITIES[name]) for name in qualities},
            "rows": [row.to_json() for row in self.rows],
            "both_against": {
                name: {way.name.lower(): _paired(self.pairs(name, way)) for way in ALONE}
                for name in qualities
            },
        }


ALONE = (Way.HERE, Way.FAR)


def network_bench(
    spec: EvaluationSpec,
    bundle: Path,
    far: Far,
    qualities: Sequence[str],
    *,
    console: Console | None = None,
) -> NetworkBench:
    """Play every way over every line.

    Args:
        spec: The policy here under the modelled clock, alone.
        bundle: Its folder.
        far: The policy elsewhere; its line is left out.
        qualities: Which of :data:`QUALITIES`.
        console: Where to draw progress, or None.

    Raises:
        EvaluationError: There is no such line.
        MagmaError: As :func:`~magma_ros.evaluation.play.evaluate.evaluate`.
    """
    if unknown := [name for name in qualities if name not in QUALITIES]:
        raise EvaluationError(f"there is no line {unknown[0]!r}; there are {', '.join(QUALITIES)}")
    here = evaluate(spec, bundle, console=console).results

    def rows() -> Iterator[Row]:
        for name in qualities:
            yield Row(name, Way.HERE, here)
            for way in (Way.FAR, Way.BOTH):
                lined = replace(far, only=way is Way.FAR, line=QUALITIES[name])
                played = evaluate(replace(spec, far=lined), bundle, console=console)
                yield Row(name, way, played.results)

    return NetworkBench(spec, far, tuple(rows()))


def _paired(counts: PairedCounts) -> dict[str, Any]:
    return {
        "difference": counts.difference,
        "interval": list(counts.difference_interval()),
        "p_value": counts.p_value(),
    }
