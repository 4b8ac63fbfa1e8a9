# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread for long work, beside the executor's thread for everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Worker(Generic[Job, Result]):
    """Works on one job at a time; a job offered meanwhile is refused, never queued.

    A queue would make every later answer late. ``work`` runs on the worker's thread and must not
    raise; ``notify`` is called there when a result waits, and should only wake the executor,
    whose callback then calls :meth:`take`.
    """

    def __init__(self, work: Callable[[Job], Result], notify: Callable[[], None]) -> None:
        """Start the thread."""
        self._work = work
        self._notify = notify
        self._condition = threading.Condition()
        self._job: Job | None = None
        self._result: Result | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="inference", daemon=True)
        self._thread.start()

    def offer(self, job: Job) -> bool:
        """Hand over ``job``; False, and no effect, while another is worked on."""
        with self._condition:
            if self._job is not None:
                return False
            self._job = job
            self._condition.notify()
            return True

    def take(self) -> Result | None:
        """The newest result, once; None when there is none."""
        with self._condition:
            result, self._result = self._result, None
            return result

    def close(self) -> None:
        """End the thread after the job at hand."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._job is not None or self._closing)
                job = self._job
                if self._closing or job is None:
                    return
            result = self._work(job)
            with self._condition:
                self._job, self._result = None, result
            self._notify()
