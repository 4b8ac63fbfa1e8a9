# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which twists may be listened to at all: finite, in the base frame, and made just now.

The two checks differ in what follows. A malformed command shows that its sender is broken. An
untimely one shows that the way here is slow or that clocks differ; should no other come, the
watchdog notices the silence.
"""

from __future__ import annotations

import numpy as np

from magma_ros.types import Source, TwistCommand


def malformation(command: TwistCommand, frame: str) -> str | None:
    """What is wrong with a command in itself, in one sentence, or None if nothing is.

    Args:
        command: The command to judge.
        frame: The only frame a twist may be expressed in.
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
    return None


def untimeliness(
    command: TwistCommand, now: float, *, newest: float, max_age: float, future_tolerance: float
) -> str | None:
    """What is wrong with a command's stamp, in one sentence, or None if nothing is.

    Args:
        command: A well-formed command.
        now: The time on the clock of its stamp [s].
        newest: Stamp of the last command taken from the same source [s].
        max_age: Greatest age of its stamp [s].
        future_tolerance: How far its stamp may lie ahead of ``now`` [s].
    """
    who = f"the {command.source.value} twist"
    age = now - command.stamp
    if age > max_age:
        return f"{who} is stale: it was stamped {age:.3f} s ago, and {max_age:.3f} s are allowed"
    if -age > future_tolerance:
        return f"{who} is stamped {-age:.3f} s in the future; synchronise the clocks"
    if command.stamp < newest:
        return f"{who} was overtaken by a newer one"
    return None
