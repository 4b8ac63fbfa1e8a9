# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluated policy that another one, elsewhere, continues or stands in for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import override

from magma_ros.evaluation.computers.line import LineConditions, ModelledLine
from magma_ros.evaluation.computers.modelled import Conditions, ModelledComputer
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.actors import PolicyActor
from magma_ros.evaluation.world import Scene
from magma_ros.gate.far import FarPlan, FarRules, think_far, think_near_and_far
from magma_ros.gate.gates import Gate
from magma_ros.gate.handover import Provisional
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.remote.ledger import LineRules
from magma_ros.remote.plans import plan_from
from magma_ros.remote.remote_file import contract_of
from magma_ros.types import Budget, ExitReading, Observation, Verdict


@dataclass(frozen=True, slots=True)
class Far:
    """A policy elsewhere.

    Attributes:
        bundle: Folder of its bundle.
        depth: Exit that it answers from, or None for the deepest.
        only: Whether the robot has no policy of its own.
        line: How the line to it is.
        longest_age: How old an observation may be whose late plan is followed [s].
        always: Whether its answer is waited for even if the gate is confident here.
        patience: Silence after which the line is opened anew [s].
    """

    bundle: Path
    depth: int | None = None
    only: bool = False
    line: LineConditions = field(default_factory=LineConditions)
    longest_age: float = 0.3
    always: bool = True
    patience: float = 1.0


class FarPolicy:
    """The policy elsewhere, which answers at once; its time is the line's matter.

    Args:
        far: What to ask.
        here: Folder of the policy that it continues, or None.

    Raises:
        EvaluationError: It has no such exit.
        MagmaError: Its bundle cannot be used, or its actions are not those of the one here.
    """

    def __init__(self, far: Far, here: Path | None) -> None:
        self._policy = StagedPolicy.load(far.bundle, threads=1)
        self._policy.warm_up()
        manifest = self._policy.manifest
        self._depth = far.depth or manifest.exits
        if not 1 <= self._depth <= manifest.exits:
            raise EvaluationError(f"{manifest.name} has exits 1 to {manifest.exits}; choose one")
        continued = None if here is None else read_manifest(here)
        if continued is not None and manifest.action.space != continued.action.space:
            raise EvaluationError(
                f"{manifest.name} and {continued.name} act in different action spaces"
            )
        self._expected = replace(
            contract_of(None, manifest).expected,
            depth=1 if continued is None else continued.exits + 1,
            same=here is not None
            and sha256_of(here / MANIFEST) == sha256_of(far.bundle / MANIFEST),
        )

    def __call__(self, observation: Observation) -> FarPlan:
        """Its plan, checked as a stranger's."""
        inference = self._policy.start(observation)
        reading: ExitReading | None = None
        while reading is None or reading.depth < self._depth:
            reading = inference.advance() or reading
        answer = {"actions": reading.chunk.actions, "exit": reading.depth}
        return plan_from(answer, observation, self._expected)


class LinedComputer(ModelledComputer):
    """A modelled computer with a line to a policy elsewhere.

    Args:
        manifest: Of the policy here.
        conditions: How the computer is.
        line: The line.
    """

    def __init__(self, manifest: Manifest, conditions: Conditions, line: ModelledLine) -> None:
        super().__init__(manifest, conditions)
        self.line = line

    @override
    def begin(self, scene: Scene, period: float) -> None:
        super().begin(scene, period)
        self.line.begin(scene, self.clock)


class FarActor(PolicyActor):
    """A staged policy, or none, and one elsewhere.

    Args:
        policy: The policy here, warm.
        gate: When to stop thinking here.
        deepest: Deepest exit allowed here, or None for no cap.
        far: The policy elsewhere; ``only`` leaves the one here out.
        computer: What the stages run on, with the line.
    """

    def __init__(
        self,
        policy: StagedPolicy,
        gate: Gate,
        deepest: int | None,
        far: Far,
        computer: LinedComputer,
    ) -> None:
        super().__init__(policy, gate, deepest, computer=computer)
        self._only, self._computer_here = far.only, computer
        self._rules = FarRules(far.always, far.longest_age)

    @classmethod
    def make(
        cls, folder: Path, gate: Gate, deepest: int | None, far: Far, conditions: Conditions
    ) -> FarActor:
        """Load the policy in ``folder``, the one elsewhere, and the line between them.

        Raises:
            MagmaError: One of the bundles cannot be used, or they do not fit each other.
        """
        manifest = read_manifest(folder)
        answer = FarPolicy(far, None if far.only else folder)
        line = ModelledLine(far.line, answer, LineRules(far.longest_age, far.patience))
        computer = LinedComputer(manifest, conditions, line)
        policy = StagedPolicy.load(folder, threads=1)
        policy.warm_up()
        return cls(policy, gate, deepest, far, computer)

    @property
    def computer(self) -> LinedComputer:
        """What the stages run on."""
        return self._computer_here

    @override
    def act(
        self, observation: Observation, deadline: float, provisional: Provisional | None = None
    ) -> Verdict:
        computer = self._computer_here
        budget = Budget(deadline=deadline, deepest=self._deepest)
        if self._only:
            return think_far(observation, budget, computer.clock, computer.line, self._rules)
        return think_near_and_far(
            observation,
            budget,
            computer.clock,
            computer.line,
            self._rules,
            start=lambda seen: computer.host(self._begin(seen)),
            gate=self._gate,
            latency=computer.latency,
            provisional=provisional,
        )
