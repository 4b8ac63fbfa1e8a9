# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The episodes that measure whether using the time left for deeper exits raises success.

Each section asks one question and varies one thing: how slow the computer is, what else it is busy
with, which computer it is, and how much compute a decision may cost. All sections are compared
with full depth in a world that waits: the best the policy can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import TypeVar

from magma_ros.evaluation.computers.hardware import load_hardware, price
from magma_ros.evaluation.computers.load import LOADS
from magma_ros.evaluation.computers.modelled import Conditions
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.suites import find_suite, steps_executed
from magma_ros.gate.gate_file import GateFile
from magma_ros.policy.manifest import Manifest
from magma_ros.types import MagmaError

Entry = TypeVar("Entry")

DEADLINE_SHARE = 0.8
"""Deadline of a decision, as a share of the time until the next observation is due."""

HEADLINE = 2.0
"""Slowness at which the claim is tested: full depth takes two periods."""

HARSH = 8.0
"""Slowness at which a plan no longer covers the wait for the next where the world moves on."""

LARGE_POLICY = "magma-8b"
"""Cost table of the policy too large to be run here."""

PATIENCE = 5.0
"""Longest typical decision of the large policy worth modelling [s]; an episode takes 5 to 12."""

LARGE_EXECUTE = 6
"""Steps executed between observations where the policy is that large: 0.6 s, as on real arms."""

BUDGETS = 3
"""Settings tried of each gate that has a threshold."""


class Section(Enum):
    """The question of a section; the value is the heading shown to people."""

    REFERENCE = "Without latency"
    SLOWNESS = "How slow may the computer be?"
    FAST = "How much compute is saved where there is time?"
    LOADS = "What if it is busy?"
    COMPUTERS = "What would other computers and a larger policy do?"
    BUDGETS = "Which gate makes the most of a budget?"


def section_named(name: str) -> Section:
    """The question of that name, as the JSON file has it.

    Raises:
        MagmaError: There is none.
    """
    for section in Section:
        if section.name.lower() == name:
            return section
    known = ", ".join(section.name.lower() for section in Section)
    raise MagmaError(f"there is no section {name!r}; choose among {known}")


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to decide how deep to think.

    Attributes:
        family: What it is called in plots.
        gate: Name of its gate.
        options: Its gate's options.
        setting: What these are called in tables, where the family has several.
        patient: Whether it continues past a deadline, as policies without a clock do.
    """

    family: str
    gate: str
    options: tuple[tuple[str, float | tuple[float, ...]], ...] = ()
    setting: str = ""
    patient: bool = True

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return f"{self.family} {self.setting}".rstrip()


ADAPTIVE = Contender("adaptive", "adaptive", patient=False)
REGRET = Contender("regret", "regret", patient=False)


def fixed(depth: int) -> Contender:
    """Always the same exit, however long that takes."""
    return Contender(f"exit {depth}", "fixed", (("depth", depth),))


def full_depth(exits: int) -> Contender:
    """Always the deepest exit, however long that takes."""
    return Contender("full depth", "fixed", (("depth", exits),))


def anytime(exits: int) -> Contender:
    """As deep as fits before the deadline: the gate's clock without its confidence."""
    return Contender("as deep as fits", "fixed", (("depth", exits),), patient=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """One contender, somewhere, in one suite.

    Attributes:
        section: The question it belongs to.
        place: Description of where it runs.
        contender: How it decides.
        suite: Task suite.
        spec: The episodes.
    """

    section: Section
    place: str
    contender: Contender
    suite: str
    spec: EvaluationSpec


@dataclass(frozen=True, slots=True)
class Counts:
    """Episodes a task.

    Attributes:
        main: For what is claimed.
        sweep: For a curve.
        probe: For a rough estimate.
    """

    main: int
    sweep: int
    probe: int

    @classmethod
    def of(cls, episodes: int, *, brief: bool) -> Counts:
        """``episodes`` for what is claimed, and a share for the rest: larger where all are few."""
        sweep, probe = (0.6, 0.3) if brief else (0.15, 0.1)
        return cls(episodes, ceil(sweep * episodes), ceil(probe * episodes))


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """What to compare.

    Attributes:
        suites: Task suites.
        tasks: Which of their tasks; all if empty.
        counts: Episodes a task.
        seed: Seed of the first one.
        hardware: Computers to model, names or files.
        brief: Whether to leave out the secondary cells.
        split: Variation of scenes and instructions.
        sections: Names of the questions to ask besides the reference, as in JSON; all if empty.
        slowness: Periods that full depth takes, each as thoroughly as what is claimed; those of the
            plan if empty.

    Raises:
        MagmaError: A name is unknown or a number out of range.
    """

    suites: tuple[str, ...]
    tasks: tuple[str, ...]
    counts: Counts
    seed: int
    hardware: tuple[str, ...]
    brief: bool
    split: str = "seen"
    sections: tuple[str, ...] = ()
    slowness: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        EvaluationSpec(
            self.suites, self.tasks, self.split, episodes=self.counts.main, seed=self.seed
        )
        for name in self.hardware:
            Conditions(name)
        for name in self.sections:
            section_named(name)
        for periods in self.slowness:
            Conditions(slowness=periods)

    def plan(self, manifest: Manifest, gate_file: GateFile | None) -> tuple[Cell, ...]:
        """Everything to play but the coins, which follow from what the gates spend in it.

        The claims come first.

        Args:
            manifest: Of the policy.
            gate_file: Its calibration, whose thresholds are tried; a few of its own without.
        """
        asked = tuple(map(section_named, self.sections)) or tuple(Section)
        return tuple(
            self._cell(suite, step, manifest.action.step_period)
            for step in _steps(self, manifest, gate_file)
            if step.section in (Section.REFERENCE, *asked)
            for suite in self.suites
            if any(task in find_suite(suite).tasks for task in self.tasks) or not self.tasks
        )

    def _cell(self, suite: str, step: _Step, step_period: float) -> Cell:
        own = find_suite(suite)
        execute = step.execute or steps_executed(suite, step_period)
        spec = EvaluationSpec(
            suites=(suite,),
            tasks=tuple(task for task in self.tasks if task in own.tasks),
            split=self.split,
            episodes=step.episodes,
            seed=self.seed,
            clock="ideal" if step.conditions is None else "modelled",
            conditions=step.conditions or Conditions(),
            gate=step.contender.gate,
            gate_options=step.contender.options,
            patient=step.contender.patient,
            execute=execute,
            deadline=DEADLINE_SHARE * execute * step_period,
        )
        return Cell(step.section, step.place, step.contender, suite, spec)


@dataclass(frozen=True, slots=True)
class _Step:
    """A cell of every suite."""

    section: Section
    place: str
    contender: Contender
    episodes: int
    conditions: Conditions | None
    execute: int | None = None


def _steps(spec: BenchSpec, manifest: Manifest, gate_file: GateFile | None) -> Iterator[_Step]:
    exits, counts = manifest.exits, spec.counts
    full = full_depth(exits)
    yield _Step(Section.REFERENCE, "world waits", full, counts.main, None)
    by_regret = gate_file is not None and gate_file.regret is not None
    gates = (ADAPTIVE, REGRET) if by_regret else (ADAPTIVE,)
    yield from _slowness(spec, exits) if not spec.slowness else _chosen(spec, exits, gates)
    fast = Conditions()
    for contender in gates:
        yield _Step(Section.FAST, fast.hardware, contender, counts.main, fast)
    yield _Step(Section.FAST, fast.hardware, full, counts.sweep, fast)
    for load in ("bursts",) if spec.brief else tuple(LOADS)[1:]:
        busy = Conditions(load=load, slowness=1.0)
        for contender in (ADAPTIVE, full):
            yield _Step(Section.LOADS, f"{load}, 1 x", contender, counts.probe, busy)
    yield from _computers(spec, manifest)
    for contender in _budgets(exits, gate_file, brief=spec.brief):
        yield _Step(Section.BUDGETS, fast.hardware, contender, counts.sweep, fast)


def _slowness(spec: BenchSpec, exits: int) -> Iterator[_Step]:
    """The headline first, then the curve around it."""
    counts = spec.counts
    judged = ADAPTIVE, full_depth(exits)
    others = anytime(exits), fixed(1)
    for slowness in (HEADLINE, HARSH, 4.0) if spec.brief else (HEADLINE, HARSH, 1.0, 4.0):
        claimed = slowness in (HEADLINE, HARSH)
        for contender in judged if spec.brief and not claimed else (*judged, *others):
            most = counts.main if slowness == HEADLINE and contender in judged else counts.sweep
            yield _Step(
                Section.SLOWNESS,
                f"{slowness:g} x",
                contender,
                most if claimed else counts.probe,
                Conditions(slowness=slowness),
            )


def _chosen(spec: BenchSpec, exits: int, gates: tuple[Contender, ...]) -> Iterator[_Step]:
    """Computers as slow as asked for; the gates, full depth and as deep as fits on each."""
    for slowness in spec.slowness:
        for contender in (*gates, full_depth(exits), anytime(exits)):
            conditions = Conditions(slowness=slowness)
            place = f"{slowness:g} x"
            yield _Step(Section.SLOWNESS, place, contender, spec.counts.main, conditions)


def _computers(spec: BenchSpec, manifest: Manifest) -> Iterator[_Step]:
    """This policy and a large one on every computer; in brief only the large one."""
    full, probe = full_depth(manifest.exits), spec.counts.probe
    if not spec.brief:
        for name in spec.hardware:
            yield _Step(Section.COMPUTERS, name, ADAPTIVE, probe, Conditions(name))
    large = price(manifest, LARGE_POLICY)
    able = [
        name for name in spec.hardware if load_hardware(name).full_depth(large, 0.5) <= PATIENCE
    ]
    execute = min(LARGE_EXECUTE, manifest.action.chunk_length)
    for name in able[:1] if spec.brief else able:
        conditions = Conditions(name, costs=LARGE_POLICY)
        for contender in (ADAPTIVE, full):
            place = f"{name}, {LARGE_POLICY}"
            yield _Step(Section.COMPUTERS, place, contender, probe, conditions, execute)


def _budgets(exits: int, file: GateFile | None, *, brief: bool) -> Iterator[Contender]:
    """Every fixed exit, and each gate at several thresholds."""
    for depth in range(1, exits):
        yield fixed(depth)
    gates = _uncalibrated(exits) if file is None else _calibrated(file)
    for settings in gates:
        yield from spaced(settings)[:: 2 if brief else 1]
    if file is not None:
        yield Contender("oracle", "oracle")


def _uncalibrated(exits: int) -> Iterator[list[Contender]]:
    """Gates at fixed thresholds, for a policy without a calibration."""
    yield [_adaptive("tolerance", value) for value in (0.02, 0.05, 0.1)]
    yield [_entropy(value, f"{value:g}") for value in (0.1, 0.2, 0.3)]
    yield [_consistency((value,) * (exits - 1), f"{value:g}") for value in (0.02, 0.05, 0.1)]


def _calibrated(file: GateFile) -> Iterator[list[Contender]]:
    """Gates at the thresholds that calibration tried or solved, the latter named by budget."""
    yield [_adaptive("threshold", trial.threshold) for trial in file.trials]
    solved = [(each, f"for {each.flops:.0%}") for each in file.baselines]
    yield [_entropy(each.entropy, setting) for each, setting in solved if each.entropy > 0.0]
    yield [_consistency(each.consistency, setting) for each, setting in solved]


def _adaptive(option: str, value: float) -> Contender:
    return Contender("adaptive", "adaptive", ((option, value),), f"{value:.3g}", patient=False)


def _entropy(threshold: float, setting: str) -> Contender:
    return Contender("entropy", "entropy", (("threshold", threshold),), setting)


def _consistency(thresholds: tuple[float, ...], setting: str) -> Contender:
    return Contender("consistency", "consistency", (("thresholds", thresholds),), setting)


def spaced(entries: Sequence[Entry]) -> list[Entry]:
    """At most :data:`BUDGETS` entries, evenly spread from the first to the last."""
    if len(entries) <= BUDGETS:
        return list(entries)
    return [entries[round(i * (len(entries) - 1) / (BUDGETS - 1))] for i in range(BUDGETS)]
