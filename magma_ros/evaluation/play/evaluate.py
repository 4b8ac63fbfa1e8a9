# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluates a policy: plays many seeded episodes side by side, and adds them up.

Episode ``i`` of every task and control has seed ``seed + i``, so evaluations of different policies
can be compared pair by pair. Under a clock that repeats, the same specification and the same bundle
give the same result to the last byte, on however many workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from magma_ros.evaluation.computers.hardware import price, repriced
from magma_ros.evaluation.computers.modelled import ModelledComputer
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.summary import Honesty, Summary, judge_honesty, summarise
from magma_ros.evaluation.figures.tiers import Tiers, by_tier
from magma_ros.evaluation.play.actors import ActorProcess, PolicyActor
from magma_ros.evaluation.play.clocks import (
    CLOCKS,
    LEAD,
    IdealClock,
    ModelledClock,
    Pace,
    WallClock,
    WorldClock,
)
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.play.far import FarActor
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import spread
from magma_ros.evaluation.suites import find_suite, steps_executed
from magma_ros.evaluation.world import Benchmark, Control, Scene
from magma_ros.gate.gates import make_gate
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of
from magma_ros.spaces import SpaceKind
from magma_ros.types import TRACE_MARKS

FORMAT = "magma-evaluation/1"
"""Mark of an evaluation's JSON."""

DECIMALS = 6
"""Places that are kept in JSON."""

WHOLE = 1e-6
"""How far a multiple may be from a whole number."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of the episodes, and their sums.

    Attributes:
        spec: What was evaluated.
        manifest: The bundle's contract.
        checksum: SHA-256 of the manifest, which in turn holds those of all other files.
        results: One for each of ``spec.scenes()``, in that order.
    """

    spec: EvaluationSpec
    manifest: Manifest
    checksum: str
    results: tuple[EpisodeResult, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """What was played, in order."""
        return tuple(task for _, task in self.spec.chosen)

    @property
    def suites(self) -> tuple[str, ...]:
        """Where those tasks are from, in order."""
        return tuple(dict.fromkeys(suite for suite, _ in self.spec.chosen))

    def summary(
        self, control: Control = Control.NONE, *, task: str | None = None, suite: str | None = None
    ) -> Summary:
        """Add up the episodes under one control, of one task, of one suite or of all."""
        chosen = [
            result
            for result in self.results
            if result.scene.control is control
            and task in (None, result.scene.task)
            and suite in (None, result.scene.suite)
        ]
        return summarise(chosen, self.manifest)

    def tiers(self, suite: str, control: Control = Control.NONE) -> Tiers | None:
        """Success by tier; None where the suite has none."""
        own = find_suite(suite)
        if not isinstance(own, Benchmark):
            return None
        tasks = [task for place, task in self.spec.chosen if place == suite]
        return by_tier(own.tiers, {task: self.summary(control, task=task) for task in tasks})

    def honesty(self, task: str) -> Honesty | None:
        """The controls of a task; None where it is never done at all."""
        return judge_honesty(*(self.summary(control, task=task) for control in Control))

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, without dates, durations of computing or machine names.

        The number of workers is left out, because nothing depends on it.
        """
        spec = asdict(self.spec) | {
            "gate_options": self.spec.options,
            "tasks": self.tasks,
            "suites": self.suites,
        }
        del spec["workers"]
        if self.spec.clock != "modelled":
            del spec["conditions"]
        if (far := self.spec.far) is None:
            del spec["far"]
        else:
            spec["far"]["bundle"] = sha256_of(far.bundle / MANIFEST)
        content = {
            "format": FORMAT,
            "spec": spec,
            "bundle": {"name": self.manifest.name, "manifest_sha256": self.checksum},
            "results": {
                control.name.lower(): self._sums(control) for control in self.spec.variants
            },
            "episodes": [_episode_row(result) for result in self.results],
        }
        if self.spec.controls:
            judged = {task: self.honesty(task) for task in self.tasks}
            content["honesty"] = {
                task: None if honesty is None else asdict(honesty) | {"passed": honesty.passed}
                for task, honesty in judged.items()
            }
        rounded: dict[str, Any] = _rounded(content)
        return rounded

    def _sums(self, control: Control) -> dict[str, Any]:
        """By task, by suite, of all, and by tier where there are tiers."""
        tiers = {suite: self.tiers(suite, control) for suite in self.suites}
        told = {suite: asdict(found) for suite, found in tiers.items() if found is not None}
        return {
            "tasks": {task: _row(self.summary(control, task=task)) for task in self.tasks},
            "suites": {suite: _row(self.summary(control, suite=suite)) for suite in self.suites},
            "overall": _row(self.summary(control)),
            **({"tiers": told} if told else {}),
        }


def evaluate(
    spec: EvaluationSpec, bundle_folder: Path, *, console: Console | None = None
) -> Evaluation:
    """Play all episodes of ``spec`` with a policy.

    Args:
        spec: What to evaluate.
        bundle_folder: The policy's bundle.
        console: Where to draw a progress bar, or None for none.

    Raises:
        BundleError: The bundle is missing, damaged or contradicts its manifest.
        EvaluationError: The specification asks for more than the bundle has.
        WorkerError: A worker died.
        MagmaError: The simulator is not installed.
    """
    manifest = read_manifest(bundle_folder)
    require_match(spec, manifest)
    make_gate(spec.gate, bundle=bundle_folder, **spec.options)
    checksum = sha256_of(bundle_folder / MANIFEST)
    results = spread(
        partial(play_scene, spec, bundle_folder),
        spec.scenes(),
        workers=spec.workers if CLOCKS[spec.clock].repeats else 1,
        console=console,
        description=f"evaluating {manifest.name}",
    )
    return Evaluation(spec, priced(spec, manifest), checksum, results)


def priced(spec: EvaluationSpec, manifest: Manifest) -> Manifest:
    """The manifest, with the costs of its stages under the conditions of ``spec``."""
    if spec.clock != "modelled":
        return manifest
    return repriced(manifest, price(manifest, spec.conditions.costs))


def require_match(spec: EvaluationSpec, manifest: Manifest) -> None:
    """Refuse what this bundle cannot do.

    Raises:
        MagmaError: It plans too few steps, of another length or kind, or has not the exits asked
            for.
    """
    contract = manifest.action
    if contract.space.kind is not SpaceKind.EE_DELTA:
        raise EvaluationError(
            f"{manifest.name} plans {contract.kind}, but the arms of {', '.join(spec.suites)} are "
            f"led by {SpaceKind.EE_DELTA.value}; drive a robot with it (docs/action_spaces.md)"
        )
    for suite in spec.suites:
        steps = contract.step_period / (period := find_suite(suite).step_period)
        if round(steps) < 1 or abs(steps - round(steps)) > WHOLE:
            raise BundleError(
                f"{manifest.name} acts in steps of {contract.step_period:g} s, but suite {suite} "
                f"in steps of {period:g} s"
            )
    longest = max(pace_of(spec, suite, contract.step_period).execute for suite in spec.suites)
    if longest > contract.chunk_length:
        raise EvaluationError(
            f"{manifest.name} plans {contract.chunk_length} steps ahead, so execute cannot be "
            f"{longest}"
        )
    options = spec.options
    named = (options.get("depth", 1), *options.get("depths", ()), len(options.get("shares", ())))
    depth = max(spec.deepest or 1, *named)
    if (spec.deepest is not None and spec.deepest < 1) or depth > manifest.exits:
        raise EvaluationError(f"{manifest.name} has exits 1 to {manifest.exits}; choose among them")


def play_scene(spec: EvaluationSpec, bundle: Path, scene: Scene) -> EpisodeResult:
    """Play one scene in this process."""
    step = step_of(bundle)
    with Episode(scene, step) as episode:
        start_clock(spec, bundle).play(episode, pace_of(spec, scene.suite, step))
        return episode.result()


@lru_cache(maxsize=1)
def start_clock(spec: EvaluationSpec, bundle: Path) -> WorldClock:
    """The clock of this process, with the policy loaded once for all episodes of ``spec``."""
    gate = make_gate(spec.gate, bundle=bundle, **spec.options)
    load = partial(PolicyActor.load, bundle, gate, spec.deepest, patient=spec.patient)
    match spec.clock:
        case "ideal":
            return IdealClock(load(1))  # one thread, because episodes run side by side
        case "modelled" if spec.far is not None:
            actor = FarActor.make(bundle, gate, spec.deepest, spec.far, spec.conditions)
            return ModelledClock(actor, actor.computer)
        case "modelled":
            computer = ModelledComputer(read_manifest(bundle), spec.conditions)
            return ModelledClock(load(1, computer=computer), computer)
        case _:
            return WallClock(ActorProcess(partial(_rehearsed, load), LEAD))


def _rehearsed(load: Callable[[int], PolicyActor]) -> PolicyActor:
    """A policy with measured stage latencies, on as many threads as there are cores."""
    actor = load(0)
    actor.rehearse()
    return actor


@lru_cache(maxsize=1)
def step_of(bundle: Path) -> float:
    """Duration of one step of a policy's chunks [s]."""
    return read_manifest(bundle).action.step_period


def pace_of(spec: EvaluationSpec, suite: str, step_period: float | None = None) -> Pace:
    """When the policy must decide in the tasks of a suite.

    Args:
        spec: What is evaluated.
        suite: Name of the suite.
        step_period: Duration of one step of the policy's chunks [s]; the suite's by default.
    """
    period = step_period or find_suite(suite).step_period
    return Pace(spec.execute or steps_executed(suite, period), spec.deadline)


def _row(summary: Summary) -> dict[str, Any]:
    return {"success": summary.success} | asdict(summary)


def _episode_row(result: EpisodeResult) -> dict[str, Any]:
    """One episode, flat; of its trace errors the medians."""
    row = asdict(result)
    del row["scene"], row["trace_errors"]
    if not result.elsewhere:
        del row["elsewhere"]
    scene, failure = result.scene, result.failure
    medians = np.median(result.trace_errors, axis=0).tolist() if result.trace_errors else ()
    return {
        **row,
        "task": scene.task,
        "control": scene.control.name.lower(),
        "seed": scene.seed,
        "failure": None if failure is None else failure.name,
        "trace_errors": dict(zip(TRACE_MARKS, medians, strict=False)),
    }


def _rounded(value: Any) -> Any:
    """Plain data with all floats rounded, tuples as lists and keys in a fixed order."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return value
