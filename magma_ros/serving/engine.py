# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the ways of many requests on one thread, in the order that the schedule says."""

from __future__ import annotations

import logging
import math
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference, deepest_allowed
from magma_ros.remote.messages import Queue, Reply, Terms, Timing, read_terms
from magma_ros.serving.forecasts import Doubt, Way, WayForecast
from magma_ros.serving.policy import ServedPolicy, Session
from magma_ros.serving.schedule import Job, Refusal, Schedule
from magma_ros.types import Budget, Clock, ExitReading, MagmaError, MonotonicClock, Reason

REPLY = 0.002
"""Time that is kept for packing and sending an answer [s]."""

STOPPING = "the server is being stopped; act on what is at hand"

_log = logging.getLogger(__name__)

Done = Callable[[Reply], None]


@dataclass(slots=True, eq=False)
class Request:
    """A message to be answered.

    Attributes:
        session: Of the client.
        message: What it sent.
        terms: What it asks; None where it asks nothing.
        job: Its place in the schedule.
        done: Called with the answer, once, on any thread; not at all after :meth:`Engine.cancel`.
        budget: Of the gate.
        inference: Once begun.
        reading: The answer in hand.
        started: When the first way began [s].
        busy: Time in the stages so far [s].
        stages: Of each stage that ran, its time [s].
    """

    session: Session
    message: Mapping[str, Any]
    terms: Terms | None
    job: Job
    done: Done
    budget: Budget
    inference: Inference | None = None
    reading: ExitReading | None = None
    started: float = math.nan
    busy: float = 0.0
    stages: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """What became of requests since the start.

    Attributes:
        answered: With actions, by exit.
        refused: For want of time or place.
        failed: Because the message or the policy was at fault.
        unadmitted: Answered although they could not be ready in the time that they stated.
        late: Answered after their deadline, those included.
    """

    answered: dict[int, int] = field(default_factory=dict)
    unadmitted: int = 0
    refused: int = 0
    failed: int = 0
    late: int = 0


class Engine:
    """Answers requests on a thread of its own, from :meth:`start` to :meth:`close`.

    Args:
        policy: What answers.
        time_limit: Time for requests that state none [s].
        latency: Forecasts the ways.
        clock: On which deadlines lie.
        most: Requests that may be at hand.
    """

    def __init__(
        self,
        policy: ServedPolicy,
        *,
        time_limit: float = 0.1,
        latency: LatencyModel | None = None,
        clock: Clock | None = None,
        most: int = 256,
    ) -> None:
        self.policy = policy
        self.counts = Counts()
        self._time_limit = time_limit
        self._clock = clock or MonotonicClock()
        self._ways = [Way.of(depth, stages) for depth, stages in enumerate(policy.ways, 1)]
        self._forecast = WayForecast(self._ways, latency or LatencyModel())
        self._schedule = Schedule(self._forecast, most=most)
        self._requests: dict[Job, Request] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._doubt = Doubt()
        self._thread = threading.Thread(target=self._loop, name="serving", daemon=True)

    def start(self, seconds: float = 1.0) -> None:
        """Measure the policy for ``seconds`` [s], then begin to answer.

        Raises:
            MagmaError: The policy fails.
        """
        began, passes = self._clock.now(), 0
        while passes < 3 or self._clock.now() - began < seconds:
            inference = self.policy.rehearse()
            for depth in range(1, len(self._ways) + 1):
                started = self._clock.now()
                reading = _run(inference, self._clock, [])
                if passes:  # the first is warm-up
                    self._forecast.observe(depth, self._clock.now() - started, reading.passes)
            passes += 1
        self._thread.start()

    def submit(
        self, session: Session, message: Mapping[str, Any], received: float, done: Done
    ) -> Request:
        """Ask for an answer.

        Args:
            session: Of the client; it must have no other request on its way.
            message: What it sent.
            received: When [s].
            done: Takes the answer, on any thread, before this returns if it is a refusal.

        Raises:
            WireError: The message asks in a way that is none.
        """
        terms = read_terms(message)
        request = self._request(session, message, terms, received, done)
        with self._changed:
            self._requests[request.job] = request
            if self._closing:
                refused = [Refusal(request.job, STOPPING)]
            else:
                now = self._clock.now()
                refused = self._schedule.offer(request.job, now)
                if refused and request.job.useful > now:
                    self._doubt.refused(now)
            answers = self._refusals(refused)
            self._changed.notify()
        _deliver(answers)
        return request

    def cancel(self, request: Request) -> None:
        """Forget a request whose client is gone."""
        with self._changed:
            self._schedule.leave(request.job)
            self._requests.pop(request.job, None)

    def close(self) -> None:
        """Refuse what waits, end after the way that runs."""
        with self._changed:
            self._closing = True
            jobs = self._schedule.drain()
            answers = self._refusals(Refusal(job, STOPPING) for job in jobs)
            self._changed.notify()
        _deliver(answers)
        if self._thread.is_alive():
            self._thread.join()

    def queue(self, clients: int = 0) -> Queue:
        """How busy the server is."""
        with self._changed:
            return self._queue(clients)

    def fairness(self) -> float:
        """Jain's index of the share of requests answered, over the robots that ask."""
        with self._changed:
            return self._schedule.served.index(self._clock.now())

    def _request(
        self,
        session: Session,
        message: Mapping[str, Any],
        terms: Terms | None,
        received: float,
        done: Done,
    ) -> Request:
        asked = terms or Terms()
        left = self._time_limit if asked.time_left is None else asked.time_left
        deadline = received + left - min(REPLY, 0.1 * max(left, 0.0))
        useful = left + self._time_limit if asked.useful is None else asked.useful
        budget = Budget(deadline, asked.risk, asked.energy, asked.deepest)
        job = Job(
            robot=asked.robot or f"client {id(session)}",
            arrived=received,
            deadline=deadline,
            deepest=deepest_allowed(budget, len(self._ways)),
            patient=asked.time_left is None,
            speculative=asked.speculative,
            useful=max(deadline, received + useful - REPLY),
        )
        return Request(session, message, terms, job, done, budget)

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._closing and not len(self._schedule):
                    due = self._doubt.due(self._clock.now())
                    if due <= 0.0:
                        break
                    self._changed.wait(None if due == math.inf else due)
                if self._closing:
                    return
                doubtful = not len(self._schedule)
                began = self._clock.now()
                turn = self._schedule.turn(began)
                answers = self._refusals(turn.refused)
                answers += [self._answer(job, began, Reason.DEADLINE) for job in turn.finished]
                request = None if turn.job is None else self._requests.get(turn.job)
            _deliver(answers)
            if request is not None:
                self._advance(request, began)
            elif doubtful:
                self._remeasure()

    def _remeasure(self) -> None:
        """Run the first way on a blank observation, as nobody waits."""
        began = self._clock.now()
        try:
            reading = _run(self.policy.rehearse(), self._clock, [])
        except MagmaError as error:
            _log.error("%s", error)
            self._doubt = Doubt()
            return
        with self._changed:
            now = self._clock.now()
            self._forecast.observe(1, now - began, reading.passes)
            self._doubt.measured(began, now)

    def _advance(self, request: Request, began: float) -> None:
        """Run one request's next way, and answer it if that is enough."""
        job, depth = request.job, request.job.exit + 1
        try:
            enough = self._run_way(request, began)
            failure = ""
        except Exception as error:  # noqa: BLE001 - a policy's fault must not end the others
            if not isinstance(error, MagmaError):
                _log.error("%s", traceback.format_exc())
            failure, enough = _sentence(error), True
        with self._changed:
            now = self._clock.now()
            request.busy += now - began
            if failure:
                self._schedule.leave(job)
                self._schedule.ran(job, now, enough=True)
                self.counts.failed += 1
                found = self._requests.pop(job, None)
                answers = [(found, self._sorry(found, failure))] if found else []
            else:
                passes = 1 if request.reading is None else request.reading.passes
                self._forecast.observe(depth, now - began, passes)
                if depth == 1:
                    (self._doubt.ran if job.admitted else self._doubt.measured)(began, now)
                finished = self._schedule.ran(job, now, enough=enough)
                answers = [self._answer(job, now, _reason(request, enough))] if finished else []
        _deliver(answers)

    def _run_way(self, request: Request, began: float) -> bool:
        """Whether the gate is content with what the way gives."""
        gate = request.session.gate
        if request.inference is None:
            request.started = began
            request.inference = request.session.begin(request.message, request.terms or Terms())
        request.reading = _run(request.inference, self._clock, request.stages)
        return gate.confident(request.reading, request.budget)

    def _answer(self, job: Job, now: float, reason: Reason) -> tuple[Request, Reply]:
        """The answer in hand; the request is no more."""
        request = self._requests.pop(job)
        reading = request.reading
        assert reading is not None
        gate = request.session.gate
        gate.acted(reading.chunk)  # what else it does is not told
        self.counts.answered[reading.depth] = self.counts.answered.get(reading.depth, 0) + 1
        self.counts.unadmitted += not job.admitted
        self.counts.late += now > job.deadline
        confidence = reading.confidence
        return request, Reply(
            actions=reading.chunk.actions,
            exit=reading.depth,
            exits=len(self._ways),
            admitted=job.admitted,
            probability=getattr(gate, "probability", None),
            entropy=_known(confidence.entropy),
            margin=_known(confidence.margin),
            disagreement=_known(confidence.disagreement),
            reason=reason.name,
            flops=reading.flops,
            weight_bytes=reading.weight_bytes,
            request=request.terms or Terms(),
            server_timing=self._timing(request, now),
            queue=self._queue(0),
        )

    def _refusals(self, refused: Iterable[Refusal]) -> list[tuple[Request, Reply]]:
        answers = []
        for job, sentence in refused:
            if (request := self._requests.pop(job, None)) is not None:
                self.counts.refused += 1
                answers.append((request, self._sorry(request, sentence, busy=sentence != STOPPING)))
        return answers

    def _sorry(self, request: Request, sentence: str, *, busy: bool = False) -> Reply:
        return Reply(
            error=sentence[:2000],
            busy=busy,
            request=request.terms or Terms(),
            server_timing=self._timing(request, self._clock.now()),
            queue=self._queue(0),
        )

    def _timing(self, request: Request, now: float) -> Timing:
        total = max(0.0, now - request.job.arrived)
        return Timing(
            infer_ms=1e3 * request.busy,
            queue_ms=1e3 * max(0.0, total - request.busy),
            total_ms=1e3 * total,
            stages_ms=tuple(1e3 * seconds for seconds in request.stages),
        )

    def _queue(self, clients: int) -> Queue:
        now = self._clock.now()
        ends: list[float] = []
        deepest, room = 1, 1.0 / max(1, self._schedule.served.active(now))
        for depth in range(1, len(self._ways) + 1):
            ends.append((ends[-1] if ends else 0.0) + self._forecast.tail(depth))
            if ends[-1] <= room * self._time_limit:
                deepest = depth
        return Queue(
            waiting=len(self._schedule),
            clients=clients,
            wait_ms=1e3 * self._schedule.wait(now),
            exits_ms=tuple(1e3 * end for end in ends),
            deepest=deepest,
        )


def _run(inference: Inference, clock: Clock, times: list[float]) -> ExitReading:
    """Run an inference to its next exit, and note how long each stage took [s]."""
    while inference.upcoming:
        began = clock.now()
        reading = inference.advance()
        times.append(max(0.0, clock.now() - began))
        if reading is not None:
            return reading
    raise MagmaError("the policy has no further exit")


def _reason(request: Request, enough: bool) -> Reason:  # noqa: FBT001
    depth, exits = request.job.exit, request.inference.exits if request.inference else 0
    if depth >= exits:
        return Reason.DEEPEST
    if not request.job.admitted:
        return Reason.DEADLINE
    return Reason.CONFIDENT if enough else Reason.CAPPED


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MagmaError) else f"the policy failed: {text or type(error)}"


def _deliver(answers: Iterable[tuple[Request, Reply]]) -> None:
    for request, reply in answers:
        try:
            request.done(reply)
        except Exception:  # noqa: BLE001 - one client's trouble is not another's
            _log.error("%s", traceback.format_exc())
