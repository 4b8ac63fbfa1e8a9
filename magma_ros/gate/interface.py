# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every gate is: a judge of whether an exit's action is good enough to act on.

A gate judges only whether thinking deeper is *worth it*; whether it *fits* is settled by the loop.
"""

from __future__ import annotations

from typing import Protocol

from magma_ros.types import ActionChunk, Budget, ExitReading, MagmaError

RISK_TIGHTENING = 0.75
"""Share of a gate's tolerance that full risk takes away."""


class GateError(MagmaError):
    """A gate was asked for that does not exist or cannot work."""


class Gate(Protocol):
    """Decides whether an exit's action may be taken."""

    @property
    def name(self) -> str:
        """What the gate is called in parameters and reports."""
        ...

    def reset(self) -> None:
        """Forget what was learnt from earlier observations, as a new episode begins."""
        ...

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn what the robot follows since the last observation.

        Called between two observations by whoever acts, because only there is it known what became
        of a verdict: it may have been cut short, refused by the command stream, or made while
        somebody else drove. The same may be passed again.

        Args:
            chunk: The plan that is followed, or None if none is.
        """
        ...

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether thinking deeper than ``reading`` is not worth it.

        Called for every exit that is read, in order, and with nothing left out.
        """
        ...


class Memoryless:
    """A gate that judges each reading by itself."""

    def reset(self) -> None:
        """Nothing is remembered between observations."""

    def acted(self, chunk: ActionChunk | None) -> None:
        """What was acted on makes no difference."""


def tightened(limit: float, risk: float) -> float:
    """What is left of a tolerance under ``risk``, 0 to 1."""
    return limit * (1.0 - RISK_TIGHTENING * risk)


def require_share(name: str, value: float) -> None:
    """Refuse a setting of a gate that is not above 0 and at most 1.

    Raises:
        GateError: It is not.
    """
    if not 0.0 < value <= 1.0:
        raise GateError(f"the {name} of a gate must lie above 0 and be at most 1, not {value:g}")
