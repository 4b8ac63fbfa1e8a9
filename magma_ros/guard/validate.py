# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which commands may be listened to at all: finite, about this robot, and made just now.

The two checks differ in what follows. A malformed command shows that its sender is broken. An
untimely one shows that the way here is slow or that clocks differ; should no other come, the
watchdog notices the silence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from magma_ros.guard.joints import JointLimits
from magma_ros.guard.limits import Limits
from magma_ros.types import FloatArray, JointCommand, Source, TwistCommand

ABSURD = 100.0
"""Share of a speed limit beyond which a command is no haste but a fault of its sender."""


FARTHEST = 1e4
"""Position beyond which a target of a joint without limits is a fault of its sender [rad or m]."""


class Timing(NamedTuple):
    """What is allowed of a command's stamp.

    Attributes:
        max_age: Greatest age [s].
        future_tolerance: How far it may lie ahead of now [s].
    """

    max_age: float
    future_tolerance: float


def malformation(command: TwistCommand, frame: str, limits: Limits) -> str | None:
    """What is wrong with a command in itself, in one sentence, or None if nothing is.

    Args:
        command: The command to judge.
        frame: The only frame a twist may be expressed in.
        limits: The arm's, which a command may exceed, but not by any amount.
    """
    if command.source is Source.GUARD:
        return "only the policy and a person may send twists to the guard"
    who = f"the {command.source.value} twist"
    twist = np.asarray(command.twist)
    if twist.shape != (6,):
        return f"{who} must hold 6 numbers, but its shape is {twist.shape}"
    if not np.isfinite(twist).all():
        return f"{who} must be finite, but it is {twist.tolist()}"
    if command.frame_id != frame:
        return f"{who} must be in frame '{frame}', but it is in '{command.frame_id}'"
    if not np.isfinite(command.stamp):
        return f"{who} must carry a finite stamp, but it is {command.stamp}"
    return _absurdity(twist, who, limits)


def _absurdity(twist: FloatArray, who: str, limits: Limits) -> str | None:
    """Which speed is beyond all reason, in one sentence, or None."""
    for part, limit, unit in (
        (twist[:3], limits.linear_speed, "m/s"),
        (twist[3:], limits.angular_speed, "rad/s"),
    ):
        if (speed := float(np.abs(part).max())) > ABSURD * limit:
            return f"{who} asks for {speed:.3g} {unit}, where {limit:g} {unit} are allowed"
    return None


def joint_malformation(command: JointCommand, limits: JointLimits) -> str | None:
    """What is wrong with joint targets in themselves, in one sentence, or None if nothing is.

    Args:
        command: The targets, of the joints in any order.
        limits: The joints'; a target may lie beyond them, but not by any amount.
    """
    if command.source is Source.GUARD:
        return "only the policy and a person may send joint targets to the guard"
    who = f"the {command.source.value} joint command"
    if wrong := _misnamed(command.names, limits.names):
        return f"{who} {wrong}"
    count = len(limits.names)
    for what, values in (("positions", command.positions), ("velocities", command.velocities)):
        if values.shape != (count,) and not (what == "velocities" and values.shape == (0,)):
            return f"{who} must hold {count} {what}, but holds {values.size}"
        if not np.isfinite(values).all():
            return f"{who} must be finite, but its {what} are {values.tolist()}"
    if not np.isfinite(command.stamp):
        return f"{who} must carry a finite stamp, but it is {command.stamp}"
    return _farther_than_its_range(command, who, limits)


def _farther_than_its_range(command: JointCommand, who: str, limits: JointLimits) -> str | None:
    """Which target lies beyond a limit by more than its joint's whole range, or None.

    A joint without limits has the range from -:data:`FARTHEST` to :data:`FARTHEST`, and no more.
    """
    for name, position in zip(command.names, command.positions, strict=True):
        index = limits.names.index(name)
        low, high = max(limits.lower[index], -FARTHEST), min(limits.upper[index], FARTHEST)
        slack = high - low if high - low < FARTHEST else 0.0
        if max(low - position, position - high) > slack:
            return (
                f"{who} asks for {position:.3g} of {name}, which may go from {low:g} to {high:g}; "
                "send radians and metres"
            )
    return None


def _misnamed(names: tuple[str, ...], known: tuple[str, ...]) -> str:
    """What is wrong with the names of targets, as the end of a sentence, or empty."""
    if not names:
        return "must name its joints, so that none can be taken for another"
    if len(set(names)) != len(names):
        return f"names {next(name for name in names if names.count(name) > 1)} more than once"
    if unknown := [name for name in names if name not in known]:
        return f"names {', '.join(unknown)}, which this robot's joints.names has not"
    if missing := [name for name in known if name not in names]:
        return f"lacks {', '.join(missing)}, which this robot's joints.names has"
    return ""


def untimeliness(source: Source, age: float, timing: Timing, *, overtaken: bool) -> str:
    """What is wrong with a command's stamp, in one sentence, or empty.

    Args:
        source: Who sent it.
        age: How long ago it was made [s].
        timing: What is allowed.
        overtaken: Whether one with a newer stamp has been taken already.
    """
    who = f"the {source.value} command"
    if not age <= timing.max_age:
        allowed = f"{timing.max_age:.3f} s are allowed"
        return f"{who} is stale: it was stamped {age:.3f} s ago, and {allowed}"
    if -age > timing.future_tolerance:
        return f"{who} is stamped {-age:.3f} s in the future; synchronise the clocks"
    if overtaken:
        return f"{who} was overtaken by a newer one"
    return ""
