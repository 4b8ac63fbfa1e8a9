# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread for thinking, beside the executor's thread for everything else."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from magma_ros.gate.handover import Handover, Provisional
from magma_ros.types import Budget, Clock, MagmaError, MonotonicClock, Observation, Reason, Verdict


class Thinker:
    """Thinks about one observation at a time; one that is offered meanwhile is never queued.

    A queue would make every later answer late. Whatever thinking raises becomes a verdict, so the
    thread outlives it. All methods are for one thread, the one that acts.

    Args:
        think: Called on the thinking thread. What it raises becomes a FAULT verdict.
        notify: Called there when there is something to act on. It should only wake the thread
            that acts, which then calls :meth:`take`.
        lead: How long before the deadline the answer in hand may be acted on [s]; whoever acts
            must call :meth:`take` at :attr:`due` by itself.
        log: Called there with the traceback of an unforeseen exception.
        clock: The clock on which deadlines lie.
    """

    def __init__(
        self,
        think: Callable[[Observation, Budget, Provisional], Verdict],
        notify: Callable[[], None],
        lead: float,
        log: Callable[[str], object] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        """Start the thread."""
        self._think = think
        self._notify = notify
        self._log = log
        self._clock = clock or MonotonicClock()
        self._handover = Handover(lead)
        self._asked: Observation | None = None  # until its answer is taken
        self._began = 0.0
        self._jobs: SimpleQueue[tuple[Observation, Budget] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="thinking", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing is being thought about, and the last answer has been taken."""
        return self._asked is None and not self._handover.busy

    @property
    def due(self) -> float:
        """From when on the answer in hand may be acted on [s], for the observation offered last."""
        return self._handover.due

    @property
    def alive(self) -> bool:
        """Whether the thread can still think."""
        return self._thread.is_alive()

    def busy_for(self) -> float:
        """How long the observation at hand has been thought about [s]; 0 if there is none."""
        return self._clock.now() - self._began if self._handover.busy else 0.0

    def offer(self, observation: Observation, budget: Budget) -> bool:
        """Hand over an observation; False, and no effect, unless :attr:`idle`."""
        if not self.idle:
            return False
        self._asked = observation
        self._began = self._clock.now()
        self._handover.begin(budget.deadline)
        self._jobs.put((observation, budget))
        return True

    def take(self, now: float) -> tuple[Observation, Verdict] | None:
        """An observation and what to act on, once; None while it is not due at ``now`` [s]."""
        verdict = self._handover.take(now)
        if verdict is None or self._asked is None:
            return None
        observation, self._asked = self._asked, None
        return observation, verdict

    def close(self, patience: float | None = None) -> bool:
        """End the thread after the observation at hand.

        Args:
            patience: How long to wait for it [s], or None for as long as it takes.

        Returns:
            Whether it has ended. A stage that hangs cannot be called back.
        """
        self._jobs.put(None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._handover.finish(self._answer(*job))
            self._tell()

    def _answer(self, observation: Observation, budget: Budget) -> Verdict:
        try:
            return self._think(observation, budget, self._provide)
        except BaseException as error:  # noqa: BLE001 - without this thread nothing would be planned
            if not isinstance(error, MagmaError):
                self._log_traceback()
            slack = budget.deadline - self._clock.now()
            return Verdict(None, Reason.FAULT, 0, (), slack, detail=_sentence(error))

    def _provide(self, verdict: Verdict) -> None:
        if self._handover.provide(verdict):
            self._tell()

    def _tell(self) -> None:
        try:
            self._notify()
        except Exception:  # noqa: BLE001 - the answer lies ready; whoever looks still finds it
            self._log_traceback()

    def _log_traceback(self) -> None:
        with suppress(Exception):  # a log that cannot be written is no reason to end thinking
            self._log(traceback.format_exc())


def _sentence(error: BaseException) -> str:
    """What went wrong, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, MagmaError):
        return text
    return f"Thinking failed with {type(error).__name__}{': ' if text else ''}{text}"
