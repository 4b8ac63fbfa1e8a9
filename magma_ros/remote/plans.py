# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks what a policy elsewhere answers as one checks a stranger, and makes a plan of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from magma_ros.gate.far import FarPlan
from magma_ros.policy.action_contract import ActionContract
from magma_ros.remote.error import RemoteError
from magma_ros.types import ActionChunk, Confidence, FloatArray, Observation

LONGEST = 1000
"""Steps of a plan beyond which it is no plan."""

REACH = 4.0
"""How many times further than the training data's range from its middle a plan may go: further out,
its numbers are in other units, or they are normalised."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the plans of a policy elsewhere must be.

    Attributes:
        action: What their columns mean.
        depth: Exit that they count as: one behind the deepest exit here.
        key: Where they are in an answer.
        normalised: Whether the policy gives shares of the range of ``action`` from -1 to 1, and not
            the dimensions' own units.
        bundle: SHA-256 of the ``bundle.yaml`` here, or empty without one.
        same: Whether the policy elsewhere is that bundle, so that its exits are those here.
    """

    action: ActionContract
    depth: int
    key: str = "actions"
    normalised: bool = False
    bundle: str = ""
    same: bool = False


def plan_from(answer: Mapping[str, Any], observation: Observation, expected: Expected) -> FarPlan:
    """The plan in an answer.

    Args:
        answer: What the server sent.
        observation: What it was asked about.
        expected: What the plan must be.

    Raises:
        RemoteError: It is not a finite plan in the robot's action space; the sentence says why.
    """
    actions = _steps(answer, expected)
    contract = expected.action
    if expected.normalised:
        actions = contract.unnormalise(actions)
    _require_reach(actions, contract)
    limits = contract.space.low, contract.space.high
    if np.isfinite(limits).any():
        actions = np.clip(actions, *limits)
    chunk = ActionChunk(
        observation.stamp, contract.step_period, actions, expected.depth, contract.space
    )
    return FarPlan(chunk, _confidence(answer), observation.anchor, _exit(answer, expected))


def _steps(answer: Mapping[str, Any], expected: Expected) -> FloatArray:
    """The numbers of a plan, (K, D)."""
    found, space = answer.get(expected.key), expected.action.space
    if found is None:
        keys = ", ".join(sorted(map(str, answer))[:8]) or "nothing"
        raise RemoteError(
            f"the policy elsewhere answers without {expected.key!r} (it answers {keys}); name its "
            "plan in keys.actions of remote.yaml"
        )
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise RemoteError(f"{expected.key!r} of the policy elsewhere is not an array of numbers")
    if found.ndim != 2 or not 1 <= len(found) <= LONGEST or found.shape[1] != len(space):
        shape = " x ".join(map(str, found.shape)) or "one number"
        raise RemoteError(
            f"the policy elsewhere plans {shape}, but a plan of this robot is steps x "
            f"{len(space)} ({', '.join(space.names)}); take a policy of its action space, or state "
            "that of the policy in remote.yaml"
        )
    actions: FloatArray = found.astype(np.float64)
    if not np.isfinite(actions).all():
        step, column = np.argwhere(~np.isfinite(actions))[0]
        raise RemoteError(
            f"the policy elsewhere plans {actions[step, column]} for {space.names[column]} in step "
            f"{step}; a plan must be finite"
        )
    return actions


def _require_reach(actions: FloatArray, contract: ActionContract) -> None:
    """Refuse numbers that cannot be in the units of the action space."""
    if not contract.normalised:
        return
    low, high, mask = map(np.array, (contract.q01, contract.q99, contract.mask))
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    beyond = mask & (np.abs(actions - middle) > REACH * half)
    if beyond.any():
        step, column = np.argwhere(beyond)[0]
        dimension = contract.space.dimensions[column]
        raise RemoteError(
            f"the policy elsewhere plans {actions[step, column]:.3g} {dimension.unit} for "
            f"{dimension.name} in step {step}, but actions lie between {low[column]:g} and "
            f"{high[column]:g}; are they normalised, or in other units? See remote.yaml"
        )


def _exit(answer: Mapping[str, Any], expected: Expected) -> int | None:
    """Exit of the policy here that an answer came from; None of another policy."""
    found = answer.get("exit")
    known = expected.same and isinstance(found, int) and not isinstance(found, bool)
    return found if known else None


def _confidence(answer: Mapping[str, Any]) -> Confidence:
    """What the policy says of itself; not finite where it says nothing that can be read."""
    return Confidence(
        _number(answer.get("disagreement"), math.inf),
        _number(answer.get("entropy"), math.nan),
        _number(answer.get("margin"), math.nan),
    )


def _number(value: object, otherwise: float) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return otherwise
