# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to evaluate: which episodes, under which clock, with which gate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from magma_ros.evaluation.computers.modelled import Conditions
from magma_ros.evaluation.error import EvaluationError, require_known
from magma_ros.evaluation.play.clocks import CLOCKS
from magma_ros.evaluation.play.far import Far
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import Control, Scene
from magma_ros.gate.gates import OracleGate, RegretGate, make_gate


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """What to evaluate.

    Attributes:
        suites: Task suites.
        tasks: Which of their tasks; all if empty.
        split: Variation of scenes and instructions.
        episodes: Episodes a task.
        seed: Seed of the first one.
        clock: ``ideal``, ``modelled`` or ``wall``; see :mod:`magma_ros.evaluation.play.clocks`.
        conditions: Where the policy runs under the modelled clock.
        patient: Whether the policy continues past a deadline until its gate is confident.
        gate: Name of the gate.
        gate_options: Its options by name, for example ``(("tolerance", 0.05),)``.
        deepest: Deepest exit allowed, or None for no cap.
        execute: Steps of a chunk that are executed before the next observation; None
            for the default of each suite.
        deadline: Time from observation to decision under a clock that does not wait [s].
        far: A policy elsewhere, behind a modelled line, or None.
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
    far: Far | None = None
    controls: bool = False
    workers: int = 2

    def __post_init__(self) -> None:
        self._require_names()
        for name, least in (("episodes", 1), ("workers", 1), ("execute", 1), ("seed", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                raise EvaluationError(f"{name} must be at least {least}, not {value}")
        if not self.deadline > 0.0:
            raise EvaluationError(f"the deadline must be a positive time, not {self.deadline}")
        if self.far is not None and (self.clock != "modelled" or self.patient):
            raise EvaluationError(
                "the line to a policy elsewhere is modelled: choose --clock modelled, not patient"
            )
        self._require_seeds()

    def _require_names(self) -> None:
        """Refuse names that do not exist, or that leave open what they mean."""
        if not self.suites:
            raise EvaluationError("name a suite to evaluate")
        known = [task for suite in self.suites for task in find_suite(suite).tasks]
        for suite in self.suites:
            require_known("split", self.split, find_suite(suite).splits)
        for task in self.tasks:
            require_known("task", task, known)
        played = [task for _, task in self.chosen]
        if twice := sorted({task for task in played if played.count(task) > 1}):
            raise EvaluationError(f"task {twice[0]} comes twice; name every suite and task once")
        require_known("clock", self.clock, CLOCKS)
        if self.gate not in (OracleGate.name, RegretGate.name):  # those need a calibrated bundle
            make_gate(self.gate, **self.options)

    def _require_seeds(self) -> None:
        """Refuse scenes that a policy may have been trained on."""
        for suite in self.suites:
            limit = find_suite(suite).seed_limit
            if limit is not None and self.seed + self.episodes > limit:
                raise EvaluationError(
                    f"seeds from {limit} upwards belong to the training data; choose seed and "
                    "episodes that stay below"
                )

    @property
    def chosen(self) -> tuple[tuple[str, str], ...]:
        """Suite and task of everything to play, in the order of the suites."""
        return tuple(
            (suite, task)
            for suite in self.suites
            for task in (self.tasks or find_suite(suite).tasks)
            if task in find_suite(suite).tasks
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
