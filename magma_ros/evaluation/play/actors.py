# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy with its gate in an evaluated episode, here or in a process of its own."""

from __future__ import annotations

import math
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from magma_ros.evaluation.computers.interface import Actor, Computer
from magma_ros.evaluation.play.shadow import read_all
from magma_ros.gate.gates import Gate, OracleGate
from magma_ros.gate.handover import Handover, Provisional
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference, think
from magma_ros.gate.selftest import self_test
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import (
    ActionChunk,
    Budget,
    MagmaError,
    MonotonicClock,
    Observation,
    Verdict,
)


class ActorError(MagmaError):
    """The process that decides is gone."""


class ThisComputer:
    """The one that this process runs on."""

    def __init__(self) -> None:
        self.clock = MonotonicClock()
        self.latency = LatencyModel()

    def host(self, inference: Inference) -> Inference:
        """The inference as it is."""
        return inference


class PolicyActor:
    """A staged policy and the gate that decides when it stops.

    Args:
        policy: The policy, warm.
        gate: When to stop thinking.
        deepest: Deepest exit allowed, or None for no cap.
        patient: Continue past the deadline until the gate is confident, as policies do that have no
            clock and no answer before the end; such a decision is late.
        computer: What the stages run on; this computer by default.
    """

    def __init__(
        self,
        policy: StagedPolicy,
        gate: Gate,
        deepest: int | None,
        *,
        patient: bool = False,
        computer: Computer | None = None,
    ) -> None:
        self._policy = policy
        self._gate = gate
        self._deepest = deepest
        self._patient = patient
        self._computer = computer or ThisComputer()

    @classmethod
    def load(
        cls,
        folder: Path,
        gate: Gate,
        deepest: int | None,
        threads: int,
        *,
        patient: bool = False,
        computer: Computer | None = None,
    ) -> Self:
        """Load the bundle in ``folder`` and warm it up.

        Raises:
            BundleError: The bundle is missing, damaged or contradicts its manifest.
        """
        policy = StagedPolicy.load(folder, threads=threads)
        policy.warm_up()
        return cls(policy, gate, deepest, patient=patient, computer=computer)

    def reset(self) -> None:
        """Forget the last episode, but not how long stages take."""
        self._gate.reset()

    def acted(self, chunk: ActionChunk | None) -> None:
        """Let the gate know what the robot follows."""
        self._gate.acted(chunk)

    def rehearse(self) -> None:
        """Learn how long stages take, for about a second, before a decision depends on it.

        Raises:
            PolicyError: A stage fails.
        """
        computer = self._computer
        self_test(lambda: computer.host(self._policy.rehearse()), computer.latency, computer.clock)

    def act(
        self, observation: Observation, deadline: float, provisional: Provisional | None = None
    ) -> Verdict:
        """Think as deep as is worth it and fits.

        Raises:
            ObservationError: The observation is not what the policy takes.
        """
        computer = self._computer
        inference = computer.host(self._begin(observation))
        limit = math.inf if self._patient else deadline
        budget = Budget(deadline=limit, deepest=self._deepest)
        verdict = think(
            inference,
            self._gate,
            computer.latency,
            budget,
            computer.clock,
            provisional=None if self._patient else provisional,
        )
        return replace(verdict, slack=deadline - computer.clock.now())

    def _begin(self, observation: Observation) -> Inference:
        inference = self._policy.start(observation)
        if not isinstance(self._gate, OracleGate):
            return inference
        replay = read_all(inference)
        self._gate.foresee(replay.readings)
        return replay


class ActorProcess:
    """A thinker: an actor in a process of its own, which ends when this object is gone.

    The two share the monotonic clock, so a deadline means the same to both.

    Args:
        make_actor: Makes the actor in the other process; must be picklable.
        lead: How long before a deadline the answer in hand is given out [s].

    Raises:
        MagmaError: The actor could not be made.
    """

    def __init__(self, make_actor: Callable[[], Actor], lead: float = 0.0) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make_actor), name="policy", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._clock = MonotonicClock()
        self._lead = lead
        self._handover = Handover(lead)
        self._news: _Acted | None = None
        self._receive()

    @property
    def busy(self) -> bool:
        """Whether the final decision on an observation was pending at the last :meth:`take`."""
        return self._handover.busy

    def reset(self) -> None:
        """Wait for what is still being thought, drop it, and forget the last episode."""
        while self.busy:
            self._receive_answer()
        self._handover = Handover(self._lead)
        self._news = None
        self._send(None)
        self._receive()

    def acted(self, chunk: ActionChunk | None) -> None:
        """Let the actor know, before its next decision, what the robot follows."""
        self._news = _Acted(chunk)

    def offer(self, observation: Observation, deadline: float) -> None:
        """Hand over an observation; only while not ``busy``."""
        self._send(_Request(observation, deadline, self._news))
        self._news = None
        self._handover.begin(deadline)

    def take(self) -> Verdict | None:
        """The decision once it is there, or the answer in hand when the deadline strikes.

        Given out once; asking does not wait.

        Raises:
            MagmaError: The actor refused the observation, or its process ended.
        """
        while self.busy and self._pipe.poll():
            self._receive_answer()
        return self._handover.take(self._clock.now())

    def wait(self, seconds: float) -> None:
        """Sleep until a message comes from the other process, or for so long."""
        # Connection.poll would round the time up to whole milliseconds.
        select.select([self._pipe], [], [], max(0.0, seconds))

    def _receive_answer(self) -> None:
        """Receive one message and pass it on."""
        match self._receive():
            case _Provisional(verdict):
                self._handover.provide(verdict)
            case Verdict() as verdict:
                self._handover.finish(verdict)

    def _send(self, request: _Request | None) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise self._gone() from None

    def _receive(self) -> _Provisional | Verdict | None:
        try:
            answer: _Provisional | Verdict | MagmaError | None = self._pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(answer, MagmaError):
            self._handover = Handover(self._lead)  # nothing else is pending
            raise answer
        return answer

    def _gone(self) -> ActorError:
        self._process.join()
        return ActorError(
            f"the policy's process ended with exit status {self._process.exitcode}; "
            "check the memory left and try `magma bundle verify`"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Acted:
    """What the robot follows since the last decision; None if nothing."""

    chunk: ActionChunk | None


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """An observation to decide about; None is sent instead to forget the last episode."""

    observation: Observation
    deadline: float
    acted: _Acted | None


@dataclass(frozen=True, slots=True, eq=False)
class _Provisional:
    """An answer in hand; the final decision is pending."""

    verdict: Verdict


def _serve(pipe: Connection, make_actor: Callable[[], Actor]) -> None:
    """Answer requests until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends it without a traceback
    try:
        actor = make_actor()
    except MagmaError as error:
        pipe.send(error)
        return
    pipe.send(None)
    with suppress(EOFError, BrokenPipeError):
        while True:
            request: _Request | None = pipe.recv()
            pipe.send(_answer(actor, request, lambda verdict: pipe.send(_Provisional(verdict))))


def _answer(
    actor: Actor, request: _Request | None, provisional: Provisional
) -> Verdict | MagmaError | None:
    if request is None:
        actor.reset()
        return None
    if request.acted is not None:
        actor.acted(request.acted.chunk)
    try:
        return actor.act(request.observation, request.deadline, provisional)
    except MagmaError as error:
        return error
