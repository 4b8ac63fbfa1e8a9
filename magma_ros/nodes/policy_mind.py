# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What decides for the policy node: the stages of a bundle, a policy elsewhere, or both."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from magma_ros.agent.tuned_gate import TunedGate
from magma_ros.gate.far import FarRules, think_far, think_near_and_far
from magma_ros.gate.handover import Provisional
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.gate.selftest import self_test
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.plan_report import LineReport, Outlook
from magma_ros.policy.manifest import MANIFEST, Manifest, sha256_of
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import StageSpec
from magma_ros.remote.address import OFF, read_address
from magma_ros.remote.error import RemoteError
from magma_ros.remote.ledger import LineRules, LineState
from magma_ros.remote.remote_file import (
    FarContract,
    RemoteFile,
    both,
    contract_of,
    find_remote_file,
    read_remote_file,
)
from magma_ros.share import find_bundle
from magma_ros.types import (
    ActionChunk,
    Budget,
    Clock,
    Observation,
    Origin,
    Reason,
    Verdict,
)

if TYPE_CHECKING:
    from magma_ros.remote.client import FarClient


class PolicyMind:
    """Decides; made when the node is configured.

    Args:
        node: The policy's.
        clock: On which deadlines lie.

    Attributes:
        name: Of the policy.
        exits: Of the bundle; 0 without one.
        observation: What must be observed, for the policy here and the one elsewhere.
        space: What the actions mean.
        outlook: What was expected of the stages at the last :meth:`prepare`.

    Raises:
        MagmaError: The bundle cannot be used, or the policy elsewhere does not fit it.
    """

    def __init__(self, node: ManagedNode, clock: Clock) -> None:
        self._node, self._settings, self._clock = node, node.settings, clock
        self._latency = LatencyModel()
        self._gate: TunedGate | None = None
        self._policy: StagedPolicy | None = None
        self._line: FarClient | None = None
        self._checksum = ""
        manifest, file = self._load()
        if manifest is not None:
            self.name, self.exits = manifest.name, manifest.exits
            self.observation, self.space = manifest.observation, manifest.action.space
        self._stages: tuple[StageSpec, ...] = () if manifest is None else manifest.stages
        if (address := self._address(file)) or manifest is None:
            contract = contract_of(file, manifest, self._checksum)
            self._adopt(contract, manifest)
            self._line = self._open(address, contract)
        self._headroom = 0.0
        self._planned_for: tuple[str, tuple[float, float] | None] = ("", None)
        self.outlook = Outlook.of(self._latency, self._stages)

    @property
    def sentence(self) -> str:
        """What decides."""
        here = "no policy here" if self._gate is None else f"{self.exits} exits"
        if self._gate is not None:
            here = f"{here}, {self._gate.sentence}"
        return here if self._line is None else f"{here}; a policy elsewhere continues"

    def reset(self) -> None:
        """Forget earlier observations and answers; between two decisions."""
        if self._gate is not None:
            self._gate.reset()
        if self._line is not None:
            self._line.forget()

    def prepare(self, observation: Observation, following: ActionChunk | None) -> bool:
        """Between two decisions, follow the parameters and what has become of the last decision.

        Args:
            observation: That of the next decision.
            following: What the robot follows.

        Returns:
            Whether something else is asked for than before.
        """
        if self._gate is not None:
            self._gate.tune()
        asked = (observation.instruction, observation.point)
        if anew := asked != self._planned_for:
            self._planned_for = asked
            self.reset()
        if self._gate is not None:
            self._gate.acted(following)
        self._headroom = self._settings["headroom"]
        self._rules = FarRules(
            always=self._settings["remote.wait"] == "always",
            longest_age=self._settings["remote.longest_age"],
        )
        self.outlook = Outlook.of(self._latency, self._stages)
        return anew

    def think(self, observation: Observation, budget: Budget, provisional: Provisional) -> Verdict:
        """Decide; on the thinking thread."""
        if self._policy is None or self._gate is None:
            assert self._line is not None
            return think_far(observation, budget, self._clock, self._line, self._rules)
        if self._line is None:
            return think(
                self._policy.start(observation),
                self._gate,
                self._latency,
                budget,
                self._clock,
                headroom=self._headroom,
                provisional=provisional,
            )
        return self._led(
            think_near_and_far(
                observation,
                budget,
                self._clock,
                self._line,
                self._rules,
                start=self._policy.start,
                gate=self._gate,
                latency=self._latency,
                headroom=self._headroom,
                provisional=lambda verdict: provisional(self._led(verdict)),
            )
        )

    def probability(self, depth: int) -> float:
        """That the exit at ``depth`` agrees with full depth, or nan."""
        return math.nan if self._gate is None else self._gate.probability(depth)

    @property
    def cut(self) -> bool:
        """Whether there is a line, and nothing can be expected of it."""
        return self._line is not None and self._line.state is not LineState.OPEN

    def report(self) -> LineReport | None:
        """How the line is, or None without one."""
        if self._line is None:
            return None
        ledger = self._line.ledger()
        trips = ledger.trips
        values: dict[str, object] = {
            "state": ledger.state.name,
            "round_trip_p50_ms": 1e3 * trips.quantile(0.5),
            "round_trip_p99_ms": 1e3 * trips.quantile(0.99),
            "forecast_ms": 1e3 * trips.tail(),
            "question_bytes": trips.size,
        }
        ok = ledger.state is LineState.OPEN
        return LineReport(ok, ledger.sentence, values | asdict(ledger.counts))

    def close(self) -> None:
        """Let the line go."""
        if self._line is not None:
            self._line.close()

    def _load(self) -> tuple[Manifest | None, RemoteFile | None]:
        """Load, warm up and measure the bundle; find what is said of the policy elsewhere."""
        settings, named = self._settings, self._settings["remote.contract"]
        file = read_remote_file(Path(named)) if named else None
        if settings["remote_only"]:
            return None, file
        folder = find_bundle(settings["bundle"])
        self._checksum = sha256_of(folder / MANIFEST)
        self._gate = TunedGate(settings, folder)
        self._policy = StagedPolicy.load(
            folder,
            providers=tuple(settings["providers"]),
            threads=settings["threads"],
            base_frame=settings["base_frame"],
            tool_frame=settings["ee_frame"],
        )
        # The forecasts learn how fast this machine is before the first plan needs them.
        self._policy.warm_up()
        if (seconds := settings["self_test"]) > 0.0:
            self_test(self._policy.rehearse, self._latency, self._clock, seconds)
        return self._policy.manifest, file or find_remote_file(folder)

    def _address(self, file: RemoteFile | None) -> str:
        address: str = self._settings["remote.address"]
        if not address and file is not None:
            address = file.address
        address = "" if address == OFF else address
        if not address and self._settings["remote_only"]:
            raise RemoteError("remote_only needs the server of a policy elsewhere: remote.address")
        return address

    def _adopt(self, contract: FarContract, manifest: Manifest | None) -> None:
        """Observe what the policy elsewhere takes too."""
        if manifest is not None:
            self.observation = both(manifest.observation, contract.observation)
            return
        self.name, self.exits = "remote", 0
        self.observation, self.space = contract.observation, contract.expected.action.space
        self.space.require_frames(self._settings["base_frame"], self._settings["ee_frame"])

    def _open(self, address: str, contract: FarContract) -> FarClient:
        settings = self._settings
        try:
            from magma_ros.remote.client import FarClient
        except ImportError as error:
            raise RemoteError(
                f"{error.name} is not installed, which a policy elsewhere needs; run "
                "pip install '.[remote]'"
            ) from None
        server = read_address(address, settings["remote.token_file"], settings["remote.ca_file"])
        rules = LineRules(settings["remote.longest_age"], settings["remote.timeout"])
        return FarClient(
            server,
            contract,
            rules,
            quality=lambda: int(settings["remote.jpeg_quality"]),
            log=self._log,
            clock=self._clock,
        )

    def _led(self, verdict: Verdict) -> Verdict:
        """``verdict``, or none of the bundle's own while the robot is to hold without the line."""
        alone = verdict.origin is Origin.HERE and verdict.reason is not Reason.FAULT
        if self._settings["remote.fallback"] == "hold" and self.cut and alone:
            return replace(verdict, chunk=None, depth=0, reason=Reason.UNANSWERED, confidence=None)
        return verdict

    def _log(self, state: LineState, sentence: str) -> None:
        logger = self._node.get_logger()
        if state is LineState.OPEN:
            logger.info(sentence)
        else:
            logger.warning(sentence)
