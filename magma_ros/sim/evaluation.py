# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good a policy is: many seeded episodes, played side by side, and what they add up to.

Episode ``i`` of every task and control has seed ``seed + i``, so evaluations of different policies
can be compared pair by pair. Under the ideal clock the same specification and the same bundle give
the same result to the last byte, on however many workers.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from magma_ros.gate.gates import make_gate
from magma_ros.policy.manifest import MANIFEST, BundleError, Manifest, read_manifest, sha256_of
from magma_ros.sim.clocks import CLOCKS, Pace, WorldClock
from magma_ros.sim.eval_actors import PolicyActor
from magma_ros.sim.eval_episode import Control, Episode, EpisodeResult, Scene
from magma_ros.sim.schema import choose
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS
from magma_ros.sim.statistics import ratio, wilson_interval
from magma_ros.sim.suite import load_suite
from magma_ros.types import MagmaError

DECIMALS = 6
"""Places that are kept in JSON."""


class EvaluationError(MagmaError):
    """An evaluation was asked for that makes no sense, or it broke off."""


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """What to evaluate.

    Attributes:
        tasks: Tasks of the suite.
        suite: Task suite.
        split: Variation of scenes and words.
        episodes: Episodes a task.
        seed: Seed of the first one.
        clock: ``ideal`` or ``wall``; see :mod:`magma_ros.sim.clocks`.
        gate: Name of the gate.
        gate_options: Its options by name, for example ``(("tolerance", 0.05),)``.
        deepest: Deepest exit allowed, or None for no cap.
        execute: Steps of a chunk (0.1 s each) that are executed before the next observation.
        deadline: Time from observation to decision under the wall clock [s].
        controls: Whether to play all episodes again with the cameras black, and again with the
            instruction naming another cube.
        workers: Processes that play side by side, where the clock admits it; no result depends
            on their number.

    Raises:
        MagmaError: A name is unknown or a number out of range.
    """

    tasks: tuple[str, ...]
    suite: str = "tabletop"
    split: str = "seen"
    episodes: int = 50
    seed: int = 1000
    clock: str = "ideal"
    gate: str = "adaptive"
    gate_options: tuple[tuple[str, float], ...] = ()
    deepest: int | None = None
    execute: int = 2
    deadline: float = 0.08
    controls: bool = False
    workers: int = 2

    def __post_init__(self) -> None:
        suite = load_suite(self.suite)
        suite.split(self.split)
        if not self.tasks:
            raise EvaluationError(f"name a task to evaluate: {', '.join(suite.tasks)}")
        for task in self.tasks:
            suite.task(task)
        choose("clock", self.clock, CLOCKS)
        make_gate(self.gate, **dict(self.gate_options))
        for name, least in (("episodes", 1), ("workers", 1), ("execute", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise EvaluationError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not self.deadline > 0.0:
            raise EvaluationError(f"the deadline must be a positive time, not {self.deadline}")
        if self.seed + self.episodes > TRAINING_SEEDS:
            raise EvaluationError(
                f"seeds from {TRAINING_SEEDS} upwards belong to the training data; choose seed and "
                "episodes that stay below"
            )

    @property
    def variants(self) -> tuple[Control, ...]:
        """The policy as it is, then the controls asked for."""
        return tuple(Control) if self.controls else (Control.NONE,)

    def scenes(self) -> tuple[Scene, ...]:
        """Every episode to play: by control, task and seed."""
        return tuple(
            Scene(self.suite, task, self.split, seed, control)
            for control in self.variants
            for task in self.tasks
            for seed in range(self.seed, self.seed + self.episodes)
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of episodes adds up to; None where there is nothing to average.

    Attributes:
        episodes: How many.
        successes: Of these, done to the cube that the scene's own instruction names.
        interval: 95 % Wilson interval of the success rate.
        swapped_successes: Done to the cube that the swapped instruction names.
        completion_time: Mean simulated time of the successes [s].
        jerk: Mean over episodes of the root mean square jerk of the tool path [m/s^3].
        decisions: Observations that the policy judged.
        mean_depth: Mean exit over the decisions that gave a chunk.
        flops_fraction: Operations spent, as a share of always thinking to the end.
        weight_fraction: Bytes of weights read, as a share of always thinking to the end.
        reasons: How often each ``Reason`` ended a decision.
        failures: How often each ``Failure`` ended an episode.
        late: Decisions after their deadline, or never made for lack of time.
        stalls: Times that the command stream ran dry.
        lag: Longest time by which a world fell behind its clock [s].
    """

    episodes: int
    successes: int
    interval: tuple[float, float]
    swapped_successes: int
    completion_time: float | None
    jerk: float
    decisions: int
    mean_depth: float | None
    flops_fraction: float | None
    weight_fraction: float | None
    reasons: dict[str, int]
    failures: dict[str, int]
    late: int
    stalls: int
    lag: float

    @property
    def success(self) -> float:
        """Success rate, 0..1."""
        return self.successes / self.episodes


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

    def summary(self, control: Control = Control.NONE, task: str | None = None) -> Summary:
        """Add up the episodes under one control, of one task or of all."""
        chosen = [
            result
            for result in self.results
            if result.scene.control is control and task in (None, result.scene.task)
        ]
        stages = self.manifest.stages
        done = [result for result in chosen if result.success]
        decisions = sum(result.decisions for result in chosen)
        return Summary(
            episodes=len(chosen),
            successes=len(done),
            interval=wilson_interval(len(done), len(chosen)),
            swapped_successes=sum(result.swapped_success for result in chosen),
            completion_time=ratio(sum(result.duration for result in done), len(done)),
            jerk=sum(result.jerk for result in chosen) / len(chosen),
            decisions=decisions,
            mean_depth=ratio(sum(r.depth for r in chosen), sum(r.chunks for r in chosen)),
            flops_fraction=ratio(
                sum(result.flops for result in chosen), decisions * sum(s.flops for s in stages)
            ),
            weight_fraction=ratio(
                sum(result.weight_bytes for result in chosen),
                decisions * sum(s.weight_bytes for s in stages),
            ),
            reasons=dict(sum((Counter(result.reasons) for result in chosen), Counter())),
            failures=dict(Counter(result.failure for result in chosen if result.failure)),
            late=sum(result.late for result in chosen),
            stalls=sum(result.stalls for result in chosen),
            lag=max(result.lag for result in chosen),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, without dates, durations of computing or machine names.

        The number of workers is left out, because nothing depends on it.
        """
        spec = asdict(self.spec) | {"gate_options": dict(self.spec.gate_options)}
        del spec["workers"]
        content = {
            "spec": spec,
            "bundle": {"name": self.manifest.name, "manifest_sha256": self.checksum},
            "results": {
                control.name.lower(): {
                    "tasks": {task: _row(self.summary(control, task)) for task in self.spec.tasks},
                    "overall": _row(self.summary(control)),
                }
                for control in self.spec.variants
            },
            "episodes": [_episode_row(result) for result in self.results],
        }
        rounded: dict[str, Any] = _rounded(content)
        return rounded


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
        EvaluationError: The specification asks for more than the bundle has, or a worker died.
        SimulationError: PyBullet is missing.
    """
    manifest = read_manifest(bundle_folder)
    _require_match(spec, manifest)
    checksum = sha256_of(bundle_folder / MANIFEST)
    total = len(spec.scenes())
    results = track(
        _play_all(spec, bundle_folder),
        description=f"evaluating {manifest.name}",
        total=total,
        console=console,
        disable=console is None,
    )
    return Evaluation(spec, manifest, checksum, tuple(results))


def _require_match(spec: EvaluationSpec, manifest: Manifest) -> None:
    """Refuse what this bundle cannot do."""
    contract = manifest.action
    if contract.step_period != ENV_STEP:
        raise BundleError(
            f"{manifest.name} acts in steps of {contract.step_period:g} s, but suite {spec.suite} "
            f"in steps of {ENV_STEP:g} s"
        )
    if spec.execute > contract.chunk_length:
        raise EvaluationError(
            f"{manifest.name} plans {contract.chunk_length} steps ahead, so execute cannot be "
            f"{spec.execute}"
        )
    depth = max(spec.deepest or 1, dict(spec.gate_options).get("depth", 1))
    if (spec.deepest is not None and spec.deepest < 1) or depth > manifest.exits:
        raise EvaluationError(f"{manifest.name} has exits 1 to {manifest.exits}; choose among them")


def _play_all(spec: EvaluationSpec, bundle: Path) -> Iterator[EpisodeResult]:
    """Play every scene in worker processes; the results come in the order of the scenes."""
    scenes = spec.scenes()
    workers = min(spec.workers, len(scenes)) if CLOCKS[spec.clock].parallel else 1
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        # Ctrl-C reaches the workers too: they end there and then, without a traceback.
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        with pool:
            yield from pool.map(partial(_play, spec, bundle), scenes)
    except BrokenProcessPool:
        raise EvaluationError(
            "a worker process ended unexpectedly; check the memory left, or use fewer workers"
        ) from None


def _play(spec: EvaluationSpec, bundle: Path, scene: Scene) -> EpisodeResult:
    """Play one scene in this process."""
    clock = _clock(spec, bundle)
    with Episode(scene) as episode:
        clock.play(episode)
        return episode.result()


@cache
def _clock(spec: EvaluationSpec, bundle: Path) -> WorldClock:
    """The clock of this process, with the policy loaded once."""
    gate = make_gate(spec.gate, **dict(spec.gate_options))
    load: Callable[[int], PolicyActor] = partial(PolicyActor.load, bundle, gate, spec.deepest)
    return CLOCKS[spec.clock].start(load, Pace(spec.execute, spec.deadline))


def _row(summary: Summary) -> dict[str, Any]:
    return {"success": summary.success} | asdict(summary)


def _episode_row(result: EpisodeResult) -> dict[str, Any]:
    """One episode, flat."""
    row = asdict(result)
    del row["scene"]
    scene = result.scene
    return {"task": scene.task, "control": scene.control.name.lower(), "seed": scene.seed} | row


def _rounded(value: Any) -> Any:
    """Plain data with all floats rounded, tuples as lists and keys in a fixed order."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return value
