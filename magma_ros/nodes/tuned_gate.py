# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate that the parameters ask for, on top of what calibration found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from magma_ros.gate.adaptive import AdaptiveGate
from magma_ros.gate.gates import make_gate
from magma_ros.gate.interface import Gate
from magma_ros.nodes.settings import Setting, Settings
from magma_ros.types import Budget, ExitReading

GATE_OPTIONS = {
    "adaptive": ("tolerance", "threshold"),
    "entropy": ("threshold",),
    "fixed": ("depth",),
}
"""The parameters that each gate takes."""

GATE_SETTINGS = (
    Setting("gate", "adaptive", "Gate that decides when to act.", choices=tuple(GATE_OPTIONS)),
    Setting(
        "threshold",
        0.0,
        "Adaptive gate: probability of agreement demanded; entropy gate: largest entropy to act "
        "on; 0 for what calibration found (gate.yaml of the bundle), or else the gate's default.",
        0.0,
        1.0,
        live=True,
    ),
    Setting(
        "tolerance",
        0.05,
        "Disagreement of two exits that counts as agreement, in the normalised action range: for "
        "the adaptive gate of a bundle without gate.yaml, and for asking for help.",
        0.001,
        1.0,
        live=True,
    ),
    Setting("depth", 1, "Fixed gate: exit to act on.", 1, 64, live=True),
)


class TunedGate:
    """A gate whose parameters may change between decisions.

    Args:
        settings: Hold the parameters.
        bundle: Folder of the policy's bundle, whose ``gate.yaml`` is used if there is one.

    Raises:
        GateError: The ``gate.yaml`` is damaged or was made for another bundle.
    """

    def __init__(self, settings: Settings, bundle: Path) -> None:
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
