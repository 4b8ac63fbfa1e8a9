# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a joint controller of ros2_control reads joint commands as they are meant.

A forward command controller takes values without names, in the order of its own parameter
``joints``: in another order they would move other joints than those meant.
"""

from __future__ import annotations

from collections.abc import Sequence

from magma_ros.guard.joints import CommandInterface

_QUANTITIES = {
    CommandInterface.FORWARD_POSITION: "position",
    CommandInterface.FORWARD_VELOCITY: "velocity",
}


def misordering(
    controller: str,
    interface: CommandInterface,
    joints: Sequence[str] | None,
    quantity: str | None,
    names: Sequence[str],
) -> str:
    """Why the robot must not be driven through a controller, in one sentence, or empty.

    Args:
        controller: Its name.
        interface: How it is commanded.
        joints: Its parameter ``joints``, or None if it does not have one.
        quantity: Its parameter ``interface_name``, or None if it does not have one.
        names: The joints as they are commanded.
    """
    if not joints:
        return (
            f"{controller} does not say which joints it takes (its parameter joints is not set); "
            "if it is no controller of ros2_control, set joints.controller_check to false."
        )
    named = interface is CommandInterface.JOINT_TRAJECTORY
    same = sorted(joints) == sorted(names) if named else list(joints) == list(names)
    if not same:
        how = "" if named else ", and reads values in that order"
        return (
            f"{controller} takes the joints {', '.join(joints)}{how}, but joints.names in the "
            f"robot's file is {', '.join(names)}: make both the same."
        )
    wanted = _QUANTITIES.get(interface)
    if wanted is not None and quantity and quantity != wanted:
        return (
            f"{controller} takes each value for a {quantity} (its parameter interface_name), but "
            f"command_interface is {interface.value}: make both the same."
        )
    return ""
