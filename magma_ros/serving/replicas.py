# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine in several processes, on one computer or more, through Ray Serve.

A front takes the place of the engine before :class:`~magma_ros.serving.server.PolicyServer`: it
hands each request to the replica that has fewer on their way, of two drawn at random, and that one
has an engine of its own. What a gate remembers of a client is remembered by each replica for
itself. A request whose replica is lost goes to another one, with the time that is left. The head of
the cluster is not replaced.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from magma_ros.remote.messages import Metadata, Queue, Reply, Terms, plain, read_reply, read_terms
from magma_ros.serving.engine import STOPPING, Counts, Done, Engine
from magma_ros.types import Clock, MagmaError, MonotonicClock

NAME = "magma"
"""Of the application in Ray Serve."""

PATIENCE = 32
"""Multiple of the time limit after which a replica that does not answer counts as lost; an engine
lets a request without a deadline wait as long."""

TRIES = 3
"""Replicas that a request is handed to before it is refused."""

STOP = 15.0
"""Longest wait for the end of the replicas [s]."""

MOST_SESSIONS = 1024
"""Clients that a replica remembers."""


class ReplicasError(MagmaError):
    """The replicas cannot be started."""


@dataclass(frozen=True, slots=True)
class EngineRecipe:
    """How a replica makes its engine.

    Attributes:
        bundle: Folder of the policy, the same on all computers.
        gate: Name of the gate.
        options: Of the gate.
        threads: Of each stage; 0 for all cores but one.
        providers: ONNX Runtime execution providers, best first.
        time_limit: Time for requests that state none [s].
    """

    bundle: str
    gate: str = "adaptive"
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    time_limit: float = 0.1

    def engine(self) -> Engine:
        """The engine, started.

        Raises:
            MagmaError: The bundle does not load.
        """
        from pathlib import Path

        from magma_ros.policy.runtime import StagedPolicy
        from magma_ros.serving.policy import ServedBundle

        folder = Path(self.bundle)
        policy = StagedPolicy.load(folder, providers=self.providers, threads=self.threads)
        served = ServedBundle(folder, policy, self.gate, **self.options)
        engine = Engine(served, time_limit=self.time_limit)
        engine.start()
        return engine


class Replica:
    """One process with an engine; Ray Serve makes it."""

    def __init__(self, recipe: EngineRecipe) -> None:
        self._engine = recipe.engine()
        self._clock = MonotonicClock()
        self._sessions: dict[str, Any] = {}

    def metadata(self) -> dict[str, Any]:
        """What clients are told of the policy."""
        return plain(self._engine.policy.metadata)

    async def answer(self, client: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a message of a client."""
        session = self._sessions.pop(client, None) or self._engine.policy.session()
        self._sessions[client] = session  # the last used is the last
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Reply] = loop.create_future()

        def done(reply: Reply) -> None:
            loop.call_soon_threadsafe(_settle, told, reply)

        request = self._engine.submit(session, message, self._clock.now(), done)
        try:
            return plain(await told)
        finally:
            if not told.done():
                self._engine.cancel(request)

    def check_health(self) -> None:
        """Asked by Ray Serve now and then."""
        self._engine.queue()


def _settle(told: asyncio.Future[Reply], reply: Reply) -> None:
    if not told.done():
        told.set_result(reply)


@dataclass(frozen=True, slots=True)
class _Session:
    name: str


@dataclass(slots=True, eq=False)
class Asked:
    """A request on its way; see :class:`~magma_ros.serving.engine.Request`."""

    terms: Terms | None
    task: asyncio.Task[None] | None = None


class _Policy:
    """What the server is told of the policy."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self._numbers = itertools.count()

    def session(self) -> _Session:
        return _Session(f"client-{next(self._numbers)}")


class Replicas:
    """Hands requests to replicas; made by :func:`start_replicas`, on the server's event loop.

    Args:
        handle: Of the deployment in Ray Serve.
        metadata: Of the policy.
        time_limit: Time for requests that state none [s].
        clock: Time.
    """

    def __init__(
        self, handle: Any, metadata: Metadata, time_limit: float, clock: Clock | None = None
    ) -> None:
        self.policy = _Policy(metadata)
        self.counts = Counts()
        self._handle = handle
        self._time_limit = time_limit
        self._clock = clock or MonotonicClock()
        self._last = Queue()
        self._closing = False

    def submit(
        self, session: Any, message: Mapping[str, Any], received: float, done: Done
    ) -> Asked:
        """As :meth:`Engine.submit`, on the running event loop."""
        asked = Asked(read_terms(message))
        work = self._ask(asked, session.name, message, received, done)
        asked.task = asyncio.get_running_loop().create_task(work)
        return asked

    def cancel(self, request: Asked) -> None:
        """Forget a request whose client is gone."""
        if request.task is not None:
            request.task.cancel()

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._closing = True

    def queue(self, clients: int = 0) -> Queue:
        """What the replica that answered last told."""
        return self._last.model_copy(update={"clients": clients})

    def fairness(self) -> None:
        """Not known here: each replica shares out by itself."""
        return

    async def _ask(
        self,
        asked: Asked,
        client: str,
        message: Mapping[str, Any],
        received: float,
        done: Done,
    ) -> None:
        failure, busy = STOPPING if self._closing else "", False
        for _ in range(TRIES):
            if failure and self._closing:
                break
            spent = self._clock.now() - received
            left = self._of_use(asked.terms)
            if left is not None and spent >= left:
                busy = not failure
                failure = failure or "the deadline has passed; act on what is at hand"
                break
            try:
                reply = await self._hand_over(client, _later(message, asked.terms, spent), left)
            except MagmaError as error:
                failure = str(error)
                continue
            self._count(reply)
            done(reply)
            return
        self.counts.failed += 1
        done(Reply(error=failure, busy=busy, request=asked.terms or Terms(), queue=self._last))

    async def _hand_over(
        self, client: str, message: Mapping[str, Any], left: float | None
    ) -> Reply:
        """The reply of a replica.

        Raises:
            ReplicasError: It is lost.
        """
        from ray.exceptions import RayError
        from ray.serve.exceptions import RayServeException

        limit = PATIENCE * self._time_limit if left is None else max(left, 0.0) + self._time_limit
        try:
            answer = self._handle.answer.remote(client, dict(message))
            return read_reply(await asyncio.wait_for(answer, limit))
        except (RayError, RayServeException, TimeoutError) as error:
            raise ReplicasError(
                f"a replica was lost ({type(error).__name__}); act on what is at hand"
            ) from None

    def _of_use(self, terms: Terms | None) -> float | None:
        """Time from receipt within which an answer is of use, in time or late [s]; None: any."""
        if terms is None or terms.time_left is None:
            return None
        late = terms.time_left + self._time_limit if terms.useful is None else terms.useful
        return max(terms.time_left, late)

    def _count(self, reply: Reply) -> None:
        self._last = reply.queue
        if reply.error:
            self.counts.refused += 1
        else:
            self.counts.answered[reply.exit] = self.counts.answered.get(reply.exit, 0) + 1
            self.counts.unadmitted += not reply.admitted


def _later(message: Mapping[str, Any], terms: Terms | None, spent: float) -> Mapping[str, Any]:
    """The message with the time that is left after some was spent [s]."""
    found = {} if terms is None else {"time_left": terms.time_left, "useful": terms.useful}
    left = {name: value - spent for name, value in found.items() if value is not None}
    return {**message, "request": {**message["request"], **left}} if left else message


def start_replicas(recipe: EngineRecipe, replicas: str, address: str) -> Replicas:
    """Deploy replicas and wait until they answer.

    Args:
        recipe: Of their engines.
        replicas: How many, or ``auto`` for as many as the load demands.
        address: Of the Ray cluster: host:port, auto or local.

    Raises:
        ReplicasError: They do not come up.
    """
    import ray
    from ray import serve

    scale: dict[str, Any]
    if replicas == "auto":
        scale = {"autoscaling_config": {"min_replicas": 1, "target_ongoing_requests": 8}}
    else:
        scale = {"num_replicas": _number(replicas)}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        deployment = serve.deployment(max_ongoing_requests=256, health_check_period_s=1.0, **scale)(
            Replica
        )
        handle = serve.run(deployment.bind(recipe), name=NAME, route_prefix=None)
        metadata = handle.metadata.remote().result(timeout_s=60.0)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        said = (str(error).strip().splitlines() or ["no answer"])[-1]
        raise ReplicasError(f"the replicas do not start: {said}") from None
    return Replicas(handle, Metadata.model_validate(metadata), recipe.time_limit)


def stop_replicas() -> None:
    """End the deployment, and the cluster if it was started here; without a head, give up soon."""
    import ray
    from ray import serve

    def stop() -> None:
        serve.delete(NAME)
        ray.shutdown()

    # A cluster without its head answers no more, and Ray asks it for minutes.
    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    stopping.join(STOP)


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 1000:
        return int(text)
    raise ReplicasError(f"replicas must be 1 to 1000, or auto, not {text!r}")
