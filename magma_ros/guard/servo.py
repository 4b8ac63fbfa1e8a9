# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether MoveIt Servo reads twists as they are meant.

Servo's ``command_in_type`` is ``unitless`` by default: it then takes a twist for a joystick's
position of -1 to 1 and multiplies it by a scale. With ``speed_units`` it takes m/s and rad/s.
"""

from __future__ import annotations

from dataclasses import dataclass

UNITS = "speed_units"

PREFIX = "moveit_servo."
"""Group of Servo's parameters, from Humble to Lyrical."""


@dataclass(frozen=True, slots=True)
class ServoSettings:
    """MoveIt Servo's parameters about its input; None for one that it does not have.

    Attributes:
        command_in_type: ``speed_units`` or ``unitless``.
        incoming_command_timeout: Time for which the last twist is carried out without another [s];
            0 for ever.
    """

    command_in_type: str | None
    incoming_command_timeout: float | None


def misreading(settings: ServoSettings, period: float, command_hold: float) -> str:
    """Why the arm must not be driven through a Servo with ``settings``, or empty.

    Args:
        settings: Servo's parameters.
        period: Time between two commands [s].
        command_hold: Longest time for which a twist is assumed to be carried out [s].

    Returns:
        One sentence that names what is wrong and what to set.
    """
    if (kind := settings.command_in_type) is None:
        return (
            f"MoveIt Servo does not say how it reads twists ({PREFIX}command_in_type is not set); "
            "if another controller has its name, set servo_check to false."
        )
    if kind != UNITS:
        return (
            f"MoveIt Servo does not read twists as m/s and rad/s ({PREFIX}command_in_type is "
            f"{kind}): set it to {UNITS} and start Servo anew."
        )
    return _mistimed(settings.incoming_command_timeout, period, command_hold)


def _mistimed(timeout: float | None, period: float, command_hold: float) -> str:
    if timeout is None or 2.0 * period <= timeout <= command_hold:
        return ""
    name = f"MoveIt Servo's {PREFIX}incoming_command_timeout"
    if timeout <= 0.0:
        return f"{name} is 0, so the last twist would be carried out for ever: set it to 0.1."
    if timeout < 2.0 * period:
        return f"{name} of {timeout:g} s is shorter than two commands: set it to 0.1."
    return (
        f"{name} of {timeout:g} s is longer than the guard's command_hold of {command_hold:g} s: "
        "set both to the same."
    )
