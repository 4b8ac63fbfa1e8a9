# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who decides in an evaluated episode: a policy with its gate, here or in a process of its own."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, Self

from magma_ros.gate.gates import Gate, OracleGate
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference, think
from magma_ros.gate.shadow import read_all
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import Budget, Clock, MagmaError, MonotonicClock, Observation, Verdict


class ActorError(MagmaError):
    """The process that decides is gone."""


class Actor(Protocol):
    """Turns an observation into a decision, and takes the time it takes."""

    def reset(self) -> None:
        """Forget the last episode."""
        ...

    def act(self, observation: Observation, deadline: float) -> Verdict:
        """Decide; ``deadline`` is the latest useful moment on the monotonic clock [s]."""
        ...


class Thinker(Protocol):
    """An actor that decides while the world goes on; one observation at a time."""

    @property
    def busy(self) -> bool:
        """Whether an observation is still with it."""
        ...

    def reset(self) -> None:
        """Forget the last episode, and what is still being thought."""
        ...

    def offer(self, observation: Observation, deadline: float) -> None:
        """Hand over an observation; only while not ``busy``."""
        ...

    def take(self) -> Verdict | None:
        """The decision once it is there; asking does not wait."""
        ...


class Computer(Protocol):
    """What the stages of a policy run on."""

    @property
    def clock(self) -> Clock:
        """Tells how long they take."""
        ...

    @property
    def latency(self) -> LatencyModel:
        """What is known about that."""
        ...

    def host(self, inference: Inference) -> Inference:
        """The same inference, run on this computer."""
        ...


class ThisComputer:
    """The one that this process runs on."""

    def __init__(self) -> None:
        self.clock = MonotonicClock()
        self.latency = LatencyModel()

    def host(self, inference: Inference) -> Inference:
        """The inference as it is."""
        return inference


class PolicyActor:
    """A staged policy and the gate that tells it when to stop.

    Args:
        policy: The policy, warm.
        gate: When to stop thinking.
        deepest: Deepest exit allowed, or None for no cap.
        patient: Think on past the deadline until the gate is confident, as policies do that know
            no clock; such a decision is late.
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

    def act(self, observation: Observation, deadline: float) -> Verdict:
        """Think as deep as is worth it and fits.

        Raises:
            ObservationError: The observation is not what the policy takes.
        """
        computer = self._computer
        inference = computer.host(self._begin(observation))
        limit = math.inf if self._patient else deadline
        budget = Budget(deadline=limit, deepest=self._deepest)
        verdict = think(inference, self._gate, computer.latency, budget, computer.clock)
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
        make_actor: Makes the actor, over there; must be picklable.

    Raises:
        MagmaError: The actor could not be made.
    """

    def __init__(self, make_actor: Callable[[], Actor]) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make_actor), name="policy", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._busy = False
        self._receive()

    @property
    def busy(self) -> bool:
        """Whether an observation is still with it."""
        return self._busy

    def reset(self) -> None:
        """Wait for what is still being thought, drop it, and forget the last episode."""
        if self._busy:
            self._receive()
            self._busy = False
        self._send(None)
        self._receive()

    def offer(self, observation: Observation, deadline: float) -> None:
        """Hand over an observation; only while not ``busy``."""
        self._send((observation, deadline))
        self._busy = True

    def take(self) -> Verdict | None:
        """The decision once it is there; asking does not wait.

        Raises:
            MagmaError: The actor refused the observation, or its process ended.
        """
        if not self._busy or not self._pipe.poll():
            return None
        self._busy = False
        return self._receive()

    def _send(self, request: _Request) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise self._gone() from None

    def _receive(self) -> Verdict | None:
        try:
            answer: Verdict | MagmaError | None = self._pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(answer, MagmaError):
            raise answer
        return answer

    def _gone(self) -> ActorError:
        self._process.join()
        return ActorError(
            f"the policy's process ended with exit status {self._process.exitcode}; "
            "check the memory left and try `magma bundle verify`"
        )


_Request = tuple[Observation, float] | None
"""An observation with its deadline, or None for a reset."""


def _serve(pipe: Connection, make_actor: Callable[[], Actor]) -> None:
    """Answer requests until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends it without a traceback
    try:
        actor = make_actor()
    except MagmaError as error:
        pipe.send(error)
        return
    pipe.send(None)
    while True:
        try:
            request: _Request = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(actor, request))


def _answer(actor: Actor, request: _Request) -> Verdict | MagmaError | None:
    if request is None:
        actor.reset()
        return None
    try:
        return actor.act(*request)
    except MagmaError as error:
        return error
