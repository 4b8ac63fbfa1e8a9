# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where thinking leaves its answers and acting takes them: when the deadline strikes at the latest.

A stage that runs cannot be called back, and now and then one outlasts every forecast. So before
each stage the answer in hand is left here. If the deadline strikes while the stage still runs, that
answer is acted on, and what the stage comes to is dropped. A decision can be late only if not even
the first exit was there in time.

Neither side can miss the other: whoever acts looks once the deadline strikes, and a look in vain is
remembered together with the answer's place. So an answer either lies there when the look comes, or
finds that the look has been, and then whoever leaves it must say so. No clock is read on the side
that thinks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from magma_ros.types import Verdict

Provisional = Callable[[Verdict], None]
"""Takes the verdict to act on should the deadline strike during the next stage."""


class Handover:
    """One observation at a time, between the thread that thinks and the one that acts.

    Args:
        lead: How long before the deadline the answer in hand is given out [s]; what it takes to
            act on it, or how far apart the looks for it are.
    """

    def __init__(self, lead: float = 0.0) -> None:
        self._lead = lead
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._busy = False
        self._served = True
        self._awaited = False  # whether a look at the deadline or later has been in vain
        self._in_hand: Verdict | None = None

    @property
    def busy(self) -> bool:
        """Whether an observation is still being thought about, its answer taken or not."""
        return self._busy

    @property
    def due(self) -> float:
        """From when on the answer in hand may be acted on [s]."""
        return self._deadline - self._lead

    def begin(self, deadline: float) -> None:
        """Start on an observation that must be acted on by ``deadline`` [s]."""
        with self._lock:
            self._deadline = deadline
            self._busy, self._served, self._awaited, self._in_hand = True, False, False, None

    def provide(self, verdict: Verdict) -> bool:
        """Leave what is to be acted on should the deadline strike during the next stage.

        Returns:
            Whether whoever acts must be told, because it has looked already and in vain.
        """
        with self._lock:
            self._in_hand = verdict
            return self._awaited and not self._served

    def finish(self, verdict: Verdict) -> None:
        """Leave the final decision; whoever acts must be notified of it."""
        with self._lock:
            self._busy, self._in_hand = False, verdict

    def take(self, now: float) -> Verdict | None:
        """What to act on now, once for each observation; None while it is not due.

        The final decision is given out as soon as it is there. The answer in hand is given out when
        the deadline strikes; its slack is then what is left of the lead. Whoever acts must look at
        :attr:`due` or later at least once, and whenever it is told to.
        """
        with self._lock:
            if self._served or (self._busy and now < self.due):
                return None
            if self._in_hand is None:
                self._awaited = True
                return None
            verdict, self._served = self._in_hand, True
            return replace(verdict, slack=self._deadline - now) if self._busy else verdict
