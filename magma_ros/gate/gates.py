# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is this action good enough to act on? One interface, and the rules to compare.

A gate judges only whether thinking deeper is *worth it*; whether it *fits* is settled by the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import ClassVar, Protocol

from magma_ros.types import Budget, ExitReading, MagmaError

RISK_TIGHTENING = 0.75
"""Share of a gate's tolerance that full risk takes away."""


class GateError(MagmaError):
    """A gate was asked for that does not exist or cannot work."""


class Gate(Protocol):
    """Decides whether an exit's action may be taken."""

    @property
    def name(self) -> str:
        """Name under which :func:`make_gate` finds it."""
        ...

    def reset(self) -> None:
        """Forget what was learnt from earlier observations, as a new episode begins."""
        ...

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether thinking deeper than ``reading`` is not worth it."""
        ...


class _Memoryless:
    """A gate that judges each reading by itself."""

    def reset(self) -> None:
        """Nothing is remembered between observations."""


@dataclass(frozen=True, slots=True)
class AdaptiveGate(_Memoryless):
    """Confident once two exits in a row agree (DeeR-VLA's criterion, arXiv 2411.02359).

    Attributes:
        tolerance: Largest disagreement accepted without risk, in units of the normalised action
            range [-1, 1]; risk lowers it to ``tolerance * (1 - 0.75 * risk)``.
    """

    name: ClassVar[str] = "adaptive"
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        _require_share("tolerance", self.tolerance)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit agrees closely enough with the one before it."""
        return reading.confidence.disagreement <= _tightened(self.tolerance, budget.risk)


@dataclass(frozen=True, slots=True)
class EntropyGate(_Memoryless):
    """Confident once the bin distributions are sharp (BranchyNet's criterion, arXiv 1709.01686).

    Attributes:
        threshold: Largest mean entropy accepted without risk, as a share of the uniform
            distribution's; risk lowers it to ``threshold * (1 - 0.75 * risk)``.
    """

    name: ClassVar[str] = "entropy"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        _require_share("threshold", self.threshold)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit's distributions are sharp enough."""
        return reading.confidence.entropy <= _tightened(self.threshold, budget.risk)


@dataclass(frozen=True, slots=True)
class FixedDepth(_Memoryless):
    """Confident at one depth, whatever it sees: the baseline.

    Attributes:
        depth: Exit to act on, 1 for the shallowest.
    """

    name: ClassVar[str] = "fixed"
    depth: int

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise GateError(f"the depth of a fixed gate must be 1 or more, not {self.depth}")

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the depth is reached."""
        del budget  # a baseline that the budget could move would be none
        return reading.depth >= self.depth


GATES: dict[str, Callable[..., Gate]] = {
    gate.name: gate for gate in (AdaptiveGate, EntropyGate, FixedDepth)
}
"""Every gate by its name."""


def make_gate(name: str, **options: float) -> Gate:
    """Make the gate called ``name`` with ``options`` as its attributes.

    Raises:
        GateError: There is no such gate, or an option is missing, unknown or out of range.
    """
    if name not in GATES:
        raise GateError(f"there is no gate '{name}'; choose one of {', '.join(sorted(GATES))}")
    try:
        return GATES[name](**options)
    except TypeError:
        takes = ", ".join(signature(GATES[name]).parameters)
        given = ", ".join(options) or "nothing"
        raise GateError(f"gate '{name}' takes {takes}, but was given {given}") from None


def _tightened(limit: float, risk: float) -> float:
    return limit * (1.0 - RISK_TIGHTENING * risk)


def _require_share(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise GateError(f"the {name} of a gate must lie above 0 and be at most 1, not {value:g}")
