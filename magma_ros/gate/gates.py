# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every gate by its name."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

from magma_ros.gate.adaptive import AdaptiveGate
from magma_ros.gate.baselines import (
    CoinGate,
    ConsistencyGate,
    DrawnGate,
    EntropyGate,
    FixedDepth,
    OracleGate,
)
from magma_ros.gate.gate_file import GateFile, find_gate_file
from magma_ros.gate.interface import Gate, GateError
from magma_ros.gate.regret import RegretGate

__all__ = [
    "GATES",
    "AdaptiveGate",
    "CoinGate",
    "ConsistencyGate",
    "DrawnGate",
    "EntropyGate",
    "FixedDepth",
    "Gate",
    "GateError",
    "OracleGate",
    "RegretGate",
    "is_calibrated",
    "make_gate",
]

GATES: dict[str, Callable[..., Gate]] = {
    gate.name: gate
    for gate in (
        AdaptiveGate,
        CoinGate,
        ConsistencyGate,
        DrawnGate,
        EntropyGate,
        FixedDepth,
        OracleGate,
        RegretGate,
    )
}
"""Every gate by its name."""


def make_gate(name: str, *, bundle: Path | None = None, **options: Any) -> Gate:
    """Make the gate called ``name`` with ``options`` as its attributes.

    Args:
        name: One of :data:`GATES`.
        bundle: Folder of the policy's bundle. If it holds a ``gate.yaml``, that supplies the
            attributes that calibration found and ``options`` does not name.
        options: Attributes of the gate.

    Raises:
        GateError: There is no such gate, an option is missing, unknown or out of range, or the
            ``gate.yaml`` is damaged or was made for another bundle.
    """
    if name not in GATES:
        raise GateError(f"there is no gate '{name}'; choose one of {', '.join(sorted(GATES))}")
    takes = signature(GATES[name]).parameters
    file = None if bundle is None else find_gate_file(bundle)
    found = {} if file is None else _found(file)
    known = {key: value for key, value in found.items() if key in takes}
    if name == RegretGate.name and "regret" not in known | options:
        raise GateError(
            f"gate '{name}' needs models of regret, which its bundle has not; run magma "
            "calibrate, then magma calibrate --budget"
        )
    try:
        # Only the model and the threshold belong together: neither means anything without the
        # other.
        return GATES[name](**((known if is_calibrated(name) else {}) | options))
    except TypeError:
        given = ", ".join(options) or "nothing"
        raise GateError(f"gate '{name}' takes {', '.join(takes)}, but was given {given}") from None


def is_calibrated(name: str) -> bool:
    """Whether a ``gate.yaml`` decides how the gate called ``name`` judges."""
    return not {"model", "regret"}.isdisjoint(signature(GATES[name]).parameters)


def _found(file: GateFile) -> dict[str, Any]:
    """The attributes of gates that calibration found."""
    rule = file.regret
    found = {} if rule is None else {"regret": file.regret_model(), "price": rule.price}
    return {
        "model": file.agreement_model(),
        "threshold": file.threshold,
        "epsilon": file.guarantee.epsilon,
        **found,
    }
