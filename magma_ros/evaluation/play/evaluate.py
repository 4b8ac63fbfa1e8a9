# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good a policy is: many seeded episodes, played side by side, and what they add up to.

Episode ``i`` of every task and control has seed ``seed + i``, so evaluations of different policies
can be compared pair by pair. Under a clock that repeats, the same specification and the same bundle
give the same result to the last byte, on however many workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from magma_ros.evaluation.computers.hardware import price, repriced
from magma_ros.evaluation.computers.modelled import Conditions, ModelledComputer
from magma_ros.evaluation.figures.summary import Honesty, Summary, judge_honesty, summarise
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
from magma_ros.evaluation.play.episode import Control, Episode, EpisodeResult, Scene
from magma_ros.evaluation.play.workers import spread
from magma_ros.gate.gates import OracleGate, make_gate
from magma_ros.policy.manifest import MANIFEST, BundleError, Manifest, read_manifest, sha256_of
from magma_ros.sim.schema import SimulationError, choose
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS
from magma_ros.sim.suite import load_suite
from magma_ros.types import TRACE_MARKS, MagmaError

FORMAT = "magma-evaluation/1"
"""Mark of an evaluation's JSON."""

DECIMALS = 6
"""Places that are kept in JSON."""


class EvaluationError(MagmaError):
    """An evaluation was asked for that makes no sense."""


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """What to evaluate.

    Attributes:
        suites: Task suites.
        tasks: Which of their tasks; all if empty.
        split: Variation of scenes and words.
        episodes: Episodes a task.
        seed: Seed of the first one.
        clock: ``ideal``, ``modelled`` or ``wall``; see :mod:`magma_ros.evaluation.play.clocks`.
        conditions: Where the policy runs under the modelled clock.
        patient: Whether the policy thinks on past a deadline, until its gate is confident.
        gate: Name of the gate.
        gate_options: Its options by name, for example ``(("tolerance", 0.05),)``.
        deepest: Deepest exit allowed, or None for no cap.
        execute: Steps of a chunk (0.1 s each) that are executed before the next observation; None
            for what each suite says.
        deadline: Time from observation to decision under a clock that does not wait [s].
        controls: Whether to play all episodes again with the cameras black, and again with the
            instruction naming another object.
        workers: Processes that play side by side, where the clock admits it; no result depends
            on their number.

    Raises:
        MagmaError: A name is unknown or a number out of range.
    """

    suites: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    split: str = "seen"
    episodes: int = 50
    seed: int = 1000
    clock: str = "ideal"
    conditions: Conditions = field(default_factory=Conditions)
    patient: bool = False
    gate: str = "adaptive"
    gate_options: tuple[tuple[str, float | tuple[float, ...]], ...] = ()
    deepest: int | None = None
    execute: int | None = None
    deadline: float = 0.08
    controls: bool = False
    workers: int = 2

    def __post_init__(self) -> None:
        self._require_names()
        for name, least in (("episodes", 1), ("workers", 1), ("execute", 1), ("seed", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                raise EvaluationError(f"{name} must be at least {least}, not {value}")
        if not self.deadline > 0.0:
            raise EvaluationError(f"the deadline must be a positive time, not {self.deadline}")
        if self.seed + self.episodes > TRAINING_SEEDS:
            raise EvaluationError(
                f"seeds from {TRAINING_SEEDS} upwards belong to the training data; choose seed and "
                "episodes that stay below"
            )

    def _require_names(self) -> None:
        """Refuse names that do not exist, or that leave open what they mean."""
        if not self.suites:
            raise EvaluationError("name a suite to evaluate")
        known = [task for suite in self.suites for task in load_suite(suite).tasks]
        for suite in self.suites:
            load_suite(suite).split(self.split)
        for task in self.tasks:
            if task not in known:
                names = ", ".join(known)
                raise SimulationError(f"there is no task {task!r}; known: {names}")
        played = [task for _, task in self.chosen]
        if twice := sorted({task for task in played if played.count(task) > 1}):
            raise EvaluationError(f"task {twice[0]} comes twice; name every suite and task once")
        choose("clock", self.clock, CLOCKS)
        if self.gate != OracleGate.name:  # that one needs the bundle's calibration
            make_gate(self.gate, **self.options)

    @property
    def chosen(self) -> tuple[tuple[str, str], ...]:
        """Suite and task of everything to play, in the order of the suites."""
        return tuple(
            (suite, task)
            for suite in self.suites
            for task in (self.tasks or load_suite(suite).tasks)
            if task in load_suite(suite).tasks
        )

    @property
    def options(self) -> dict[str, Any]:
        """The gate's options as keyword arguments."""
        return dict(self.gate_options)

    @property
    def variants(self) -> tuple[Control, ...]:
        """The policy as it is, then the controls asked for."""
        return tuple(Control) if self.controls else (Control.NONE,)

    def scenes(self) -> tuple[Scene, ...]:
        """Every episode to play: by control, task and seed."""
        return tuple(
            Scene(suite, task, self.split, seed, control)
            for control in self.variants
            for suite, task in self.chosen
            for seed in range(self.seed, self.seed + self.episodes)
        )

    def at_depth(self, depth: int) -> EvaluationSpec:
        """The same with a gate that always acts on one exit."""
        return replace(self, gate="fixed", gate_options=(("depth", depth),))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: the episodes, and how to add them up.

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

    def honesty(self, task: str) -> Honesty | None:
        """What the controls tell about a task; None where it is never done at all."""
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
        """By task, by suite, and of all."""
        return {
            "tasks": {task: _row(self.summary(control, task=task)) for task in self.tasks},
            "suites": {suite: _row(self.summary(control, suite=suite)) for suite in self.suites},
            "overall": _row(self.summary(control)),
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
        SimulationError: PyBullet is missing.
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
        MagmaError: It plans too few steps, of another length, or has not the exits asked for.
    """
    contract = manifest.action
    if contract.step_period != ENV_STEP:
        raise BundleError(
            f"{manifest.name} acts in steps of {contract.step_period:g} s, but the simulator in "
            f"steps of {ENV_STEP:g} s"
        )
    longest = max(pace_of(spec, suite).execute for suite in spec.suites)
    if longest > contract.chunk_length:
        raise EvaluationError(
            f"{manifest.name} plans {contract.chunk_length} steps ahead, so execute cannot be "
            f"{longest}"
        )
    depth = max(spec.deepest or 1, spec.options.get("depth", 1))
    if (spec.deepest is not None and spec.deepest < 1) or depth > manifest.exits:
        raise EvaluationError(f"{manifest.name} has exits 1 to {manifest.exits}; choose among them")


def play_scene(spec: EvaluationSpec, bundle: Path, scene: Scene) -> EpisodeResult:
    """Play one scene in this process."""
    with Episode(scene) as episode:
        start_clock(spec, bundle).play(episode, pace_of(spec, scene.suite))
        return episode.result()


@lru_cache(maxsize=1)
def start_clock(spec: EvaluationSpec, bundle: Path) -> WorldClock:
    """The clock of this process, with the policy loaded once for all episodes of ``spec``."""
    gate = make_gate(spec.gate, bundle=bundle, **spec.options)
    load = partial(PolicyActor.load, bundle, gate, spec.deepest, patient=spec.patient)
    match spec.clock:
        case "ideal":
            return IdealClock(load(1))  # one thread, because episodes run side by side
        case "modelled":
            computer = ModelledComputer(read_manifest(bundle), spec.conditions)
            return ModelledClock(load(1, computer=computer), computer)
        case _:
            return WallClock(ActorProcess(partial(_rehearsed, load), LEAD))


def _rehearsed(load: Callable[[int], PolicyActor]) -> PolicyActor:
    """A policy that knows how long its stages take, on as many threads as there are cores."""
    actor = load(0)
    actor.rehearse()
    return actor


def pace_of(spec: EvaluationSpec, suite: str) -> Pace:
    """When the policy must decide in the tasks of a suite."""
    return Pace(spec.execute or load_suite(suite).execute, spec.deadline)


def _row(summary: Summary) -> dict[str, Any]:
    return {"success": summary.success} | asdict(summary)


def _episode_row(result: EpisodeResult) -> dict[str, Any]:
    """One episode, flat; of its trace errors the medians."""
    row = asdict(result)
    del row["scene"], row["trace_errors"]
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
