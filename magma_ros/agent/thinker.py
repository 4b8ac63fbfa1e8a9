# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread for thinking, beside the executor's thread for everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from magma_ros.gate.handover import Handover, Provisional
from magma_ros.types import Budget, Observation, Verdict


class Thinker:
    """Thinks about one observation at a time; one that is offered meanwhile is never queued.

    A queue would make every later answer late. All methods are for one thread, the one that acts.

    Args:
        think: Called on the thinking thread; must not raise.
        notify: Called there when there is something to act on. It should only wake the thread
            that acts, which then calls :meth:`take`.
        lead: How long before the deadline the answer in hand may be acted on [s]; whoever acts
            must call :meth:`take` at that moment by itself.
    """

    def __init__(
        self,
        think: Callable[[Observation, Budget, Provisional], Verdict],
        notify: Callable[[], None],
        lead: float,
    ) -> None:
        """Start the thread."""
        self._think = think
        self._notify = notify
        self._lead = lead
        self._handover = Handover(lead)
        self._asked: Observation | None = None  # until its answer is taken
        self._jobs: SimpleQueue[tuple[Observation, Budget] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="thinking", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether nothing is being thought about, and the last answer has been taken."""
        return self._asked is None and not self._handover.busy

    def offer(self, observation: Observation, budget: Budget) -> bool:
        """Hand over an observation; False, and no effect, unless :attr:`idle`."""
        if not self.idle:
            return False
        self._asked = observation
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

    def close(self) -> None:
        """End the thread after the observation at hand."""
        self._jobs.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._handover.finish(self._think(*job, self._hold))
            self._notify()

    def _hold(self, verdict: Verdict) -> None:
        self._handover.provide(verdict)
        if verdict.slack <= self._lead:  # whoever acts has looked already, and in vain
            self._notify()
