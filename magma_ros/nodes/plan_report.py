# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node's status: each plan and the forecasts, as names and values to plot.

Names are in snake case and end in their unit; every value but the reason is a number, ``nan``
where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from magma_ros.gate.latency import ForecastAccuracy, LatencyModel, Stage
from magma_ros.types import Budget, Origin, Reason, Verdict


@dataclass(slots=True)
class Tally:
    """How often what has happened since the start.

    Attributes:
        plans: Observations decided upon.
        late: Of them, those decided after their deadline.
        overruns: Of them, those decided while a stage was still running.
        skipped: Observations not thought about, because the one before still was.
        far: Plans from elsewhere, made in time.
        far_late: Plans from elsewhere, made for an earlier observation.
        cut: Decisions while the line to a policy elsewhere was of no use.
    """

    plans: int = 0
    late: int = 0
    overruns: int = 0
    skipped: int = 0
    far: int = 0
    far_late: int = 0
    cut: int = 0

    def count(self, verdict: Verdict, *, cut: bool = False) -> None:
        """Count one more plan."""
        self.far += verdict.origin is Origin.FAR
        self.far_late += verdict.origin is Origin.FAR_LATE
        self.cut += cut
        self.plans += 1
        self.late += verdict.slack < 0.0
        self.overruns += verdict.reason is Reason.OVERRUN

    @property
    def sentence(self) -> str:
        """The figures as text."""
        return (
            f"{self.late} of {self.plans} plans were late, {self.overruns} acted on the answer in "
            f"hand while a stage overran, and {self.skipped} observations were skipped"
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a latency model expects at one moment.

    Attributes:
        stages: The stages of the policy.
        tails: (S,) time that each of them will hardly exceed [s].
        typicals: (S,) time that each of them mostly takes [s].
        accuracy: How good the latest forecasts were, or None before the first.
    """

    stages: Sequence[Stage]
    tails: tuple[float, ...]
    typicals: tuple[float, ...]
    accuracy: ForecastAccuracy | None

    @classmethod
    def of(cls, latency: LatencyModel, stages: Sequence[Stage]) -> Outlook:
        """What ``latency`` expects of ``stages``; it must not be observing meanwhile."""
        tails = tuple(latency.forecast([stage]) for stage in stages)
        typicals = tuple(latency.typical([stage]) for stage in stages)
        return cls(stages, tails, typicals, latency.accuracy())

    def values(self) -> dict[str, float]:
        """Per stage the p50 and p99 forecast, and how accurate the forecasts are."""
        values: dict[str, float] = {}
        for stage, typical, tail in zip(self.stages, self.typicals, self.tails, strict=True):
            values[f"{stage.name}_p50_ms"] = 1e3 * typical
            values[f"{stage.name}_p99_ms"] = 1e3 * tail
        if (accuracy := self.accuracy) is not None:
            values |= {
                "forecast_runs": accuracy.runs,
                "forecast_coverage": accuracy.coverage,
                "forecast_error_p5": accuracy.error_low,
                "forecast_error_p50": accuracy.error_mid,
                "forecast_error_p95": accuracy.error_high,
            }
        return values


@dataclass(frozen=True, slots=True)
class LineReport:
    """How the line to a policy elsewhere is.

    Attributes:
        ok: Whether it answers.
        sentence: How it is.
        values: Figures by name.
    """

    ok: bool
    sentence: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """One plan, ready to be published.

    Attributes:
        verdict: What was decided, its slack that at the moment of acting.
        budget: What the decision was allowed to cost.
        outlook: What was expected before it.
        probability: That the exit acted on agrees with full depth, or nan.
        observed: Stamp of the observation [s].
        commanded: Stamp of the first twist that follows the plan [ns]; 0 if none does.
        age: Time from the observation to acting on it [s].
        unsure: How long the policy has been unsure [s].
        exits: Exits of the policy.
    """

    verdict: Verdict
    budget: Budget
    outlook: Outlook
    probability: float
    observed: float
    commanded: int
    age: float
    unsure: float
    exits: int

    def values(self, tally: Tally) -> dict[str, object]:
        """Names and values, with the counters of ``tally``."""
        verdict, outlook = self.verdict, self.outlook
        ran = len(verdict.stage_times)
        model_time = sum(verdict.stage_times)
        full_flops = sum(stage.flops for stage in outlook.stages)
        confidence = verdict.confidence
        return {
            "reason": verdict.reason.name,
            "observation_ns": round(1e9 * self.observed),
            "command_ns": self.commanded,
            "age_ms": 1e3 * self.age,
            "depth": verdict.depth,
            "exits": self.exits,
            "from_elsewhere": int(verdict.origin is not Origin.HERE),
            "plan_lag_ms": 1e3 * (self.observed - verdict.chunk.stamp)
            if verdict.chunk
            else math.nan,
            "passes": verdict.passes,
            "slack_ms": 1e3 * verdict.slack,
            "model_ms": 1e3 * model_time,
            "typical_ms": 1e3 * sum(outlook.typicals[:ran]),
            "forecast_ms": 1e3 * sum(outlook.tails[:ran]),
            "full_depth_forecast_ms": 1e3 * sum(outlook.tails),
            "overhead_ms": 1e3 * (self.age - model_time),
            "probability": self.probability,
            "disagreement": confidence.disagreement if confidence else math.nan,
            "entropy": confidence.entropy if confidence else math.nan,
            "margin": confidence.margin if confidence else math.nan,
            "risk": self.budget.risk,
            "energy": self.budget.energy,
            "unsure_s": self.unsure,
            "flops_fraction": verdict.flops / max(full_flops, 1),
            "weight_bytes": verdict.weight_bytes,
            **asdict(tally),
        }
