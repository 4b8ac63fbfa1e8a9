# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate that the parameters ask for, on top of what calibration found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from magma_ros.gate.adaptive import AdaptiveGate
from magma_ros.gate.gates import make_gate
from magma_ros.gate.interface import Gate
from magma_ros.gate.regret import RegretGate
from magma_ros.types import ActionChunk, Budget, ExitReading

GATE_OPTIONS = {
    "adaptive": ("tolerance", "threshold"),
    "entropy": ("threshold",),
    "fixed": ("depth",),
    "regret": ("price",),
}
"""The parameters that each gate takes."""


class Values(Protocol):
    """Parameters whose values may change between two reads."""

    def __getitem__(self, name: str) -> Any:
        """The current value of parameter ``name``."""
        ...


class TunedGate:
    """A gate whose parameters may change between decisions.

    Args:
        settings: The current value of each parameter, by its name.
        bundle: Folder of the policy's bundle, whose ``gate.yaml`` is used if there is one.

    Raises:
        GateError: The ``gate.yaml`` is damaged or was made for another bundle.
    """

    def __init__(self, settings: Values, bundle: Path) -> None:
        self._settings = settings
        self.name: str = settings["gate"]
        self._options = self._wanted()
        needed = {"depth": settings["depth"]} if self.name == "fixed" else {}
        # Every gate is a dataclass, which its protocol cannot say.
        self._untuned: Any = make_gate(self.name, bundle=bundle, **needed)
        self._gate = self._tuned()
        self._probabilities: dict[int, float] = {}

    @property
    def sentence(self) -> str:
        """By what the gate judges."""
        gate = self._gate
        if isinstance(gate, RegretGate):
            return f"gate by regret: acts where depth gains less than {gate.price:.3g} of a success"
        if not isinstance(gate, AdaptiveGate):
            return f"gate {gate!r}"
        if gate.model is not None:
            return f"adaptive gate, calibrated: acts at a probability of {gate.threshold:g}"
        return (
            f"adaptive gate, not calibrated: acts when exits agree to {gate.tolerance:g}; "
            "magma calibrate would make it a probability"
        )

    def tune(self) -> None:
        """Follow the parameters; to be called between two decisions."""
        if (wanted := self._wanted()) != self._options:
            self._options = wanted
            self._gate = self._tuned()

    def reset(self) -> None:
        """Forget what was learnt from earlier observations; between two decisions."""
        self._gate.reset()

    def acted(self, chunk: ActionChunk | None) -> None:
        """Learn what the robot follows since the last observation; between two decisions."""
        self._gate.acted(chunk)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether thinking deeper than ``reading`` is not worth it."""
        answer = self._gate.confident(reading, budget)
        probability = getattr(self._gate, "probability", None)
        self._probabilities[reading.depth] = math.nan if probability is None else probability
        return answer

    def probability(self, depth: int) -> float:
        """That the exit at ``depth``, read last, agrees with full depth; nan if none was given."""
        return self._probabilities.get(depth, math.nan)

    def _wanted(self) -> dict[str, Any]:
        """The options that the user has given."""
        options = {name: self._settings[name] for name in GATE_OPTIONS[self.name]}
        return {name: value for name, value in options.items() if value}

    def _tuned(self) -> Gate:
        gate: Gate = replace(self._untuned, **self._options)
        return gate
