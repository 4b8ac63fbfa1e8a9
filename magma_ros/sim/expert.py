# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scripted expert for every kind of task, for imitation learning.

Its action is a smooth function of what is in the scene at this instant: no memory, no thresholds,
no two equally good targets. Phases (align, descend, close, lift, carry, let go) are blends of
sigmoids, so nearby observations get nearby actions and a network can learn them; and because the
phase is read off the scene, the expert recovers from any disturbance by itself. The distances in
the sigmoids [m] follow from the sizes: objects 4 cm high and as wide
across the fingers, pads 1 cm thick that reach 1 cm below the tool centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from magma_ros.sim.simulation import ENV_STEP, Simulation

Vector = npt.NDArray[np.float64]
Blended = TypeVar("Blended", float, npt.NDArray[np.float64])

UP = np.array([0.0, 0.0, 1.0])
STILL = np.zeros(3)

STEP_LENGTH = 0.03
"""Longest displacement per axis in one environment step [m]."""
STEP_TURN = 0.3
"""Largest turn in one environment step [rad]."""
GAIN = 0.7
"""Share of a small distance covered in one step; below 1 so that it settles without overshoot."""

CLEARANCE = 0.075
"""Height of the tool above an object's centre at which it may travel over objects [m]."""
LIFT_HEIGHT = 0.15
"""Height the tool lifts a picked object to [m]; above what the task asks."""
PUSH_HEIGHT = 0.022
"""Height of the tool above the table while pushing [m]."""
STANDOFF = 0.062
"""Distance behind an object's centre where a push begins [m]: beyond half a brick and the pads."""
PULLED = 0.095
"""How far the expert pulls a drawer [m]; beyond what the task asks."""
PULL_LEAD = 0.04
"""How far before the handle the target of a pull lies: sets the speed of pulling [m]."""
PUSH_LEAD = 0.023
"""How far before the tool the target of a push lies: sets the speed of pushing [m]."""


@dataclass(frozen=True, slots=True)
class Drop:
    """How to carry a held object to a goal and let go of it there.

    Attributes:
        carry: Height of the tool above the table while carrying [m].
        high: Height of the tool above which it carries sideways [m].
        over: Distance from above the goal within which the object is lowered [m].
        there: Distance from above the goal within which the tool lets go [m].
        lower: Height that the object's centre is lowered to [m].
        release: Height of the object's centre below which the tool lets go [m].
    """

    carry: float
    high: float
    over: float
    there: float
    lower: float
    release: float


IN_TRAY = Drop(carry=0.10, high=0.065, over=0.03, there=0.024, lower=0.028, release=0.04)
ON_OBJECT = Drop(carry=0.14, high=0.115, over=0.014, there=0.012, lower=0.06, release=0.067)


class Expert:
    """The scripted expert.

    Args:
        target_name: Object to serve, or None for the one that the instruction names.
    """

    def __init__(self, target_name: str | None = None) -> None:
        self._target_name = target_name

    def act(self, simulation: Simulation) -> Vector:
        """The action for the coming environment step, (7,) as in ``spaces.ACTION_DIMS``."""
        name = self._target_name or simulation.target_name
        return _EXPERTS[simulation.task.kind](simulation, name)


def _reach(simulation: Simulation, name: str) -> Vector:
    """Straight to the goal above the object; its speed is ignored, because no image shows it."""
    world = simulation.world
    goal = simulation.task.goal(world, name)
    return _action(world.tool_position(), goal, turn=0.0, gripper=1.0)


def _catch(simulation: Simulation, name: str) -> Vector:
    """Grasp, and go along with the object."""
    tool, item, turn, _, gripper = _grasp(simulation, name)
    drift = simulation.world.ground_velocity(item)
    slow = 1.0 - _caution(tool, item)
    return _action(tool, _approach(tool, item), turn, gripper, slow=slow, drift=drift)


def _open_drawer(simulation: Simulation, name: str) -> Vector:
    """Grasp the handle; once held, along with it in the direction in which the drawer opens."""
    world = simulation.world
    tool, handle, turn, held, gripper = _grasp(simulation, name)
    left = _above(PULLED - world.opening(name), 0.005)
    pull = handle + PULL_LEAD * left * world.pull_direction()
    target = _blend(held, pull, _approach(tool, handle))
    return _action(tool, target, turn, gripper, slow=1.0 - (1.0 - held) * _caution(tool, handle))


def _pick(simulation: Simulation, name: str) -> Vector:
    """Grasp; once held, up."""
    tool, item, turn, held, gripper = _grasp(simulation, name)
    lift = np.array([*item[:2], LIFT_HEIGHT])
    target = _blend(held, lift, _approach(tool, item))
    slow = 1.0 - (1.0 - held) * _caution(tool, item)
    drift = (1.0 - held) * simulation.world.ground_velocity(item)
    return _action(tool, target, turn, gripper, slow=slow, drift=drift)


def _place(simulation: Simulation, name: str) -> Vector:
    """Into the tray."""
    return _put(simulation, name, simulation.world.tray_position, IN_TRAY)


def _stack(simulation: Simulation, name: str) -> Vector:
    """Onto the object below."""
    world = simulation.world
    return _put(simulation, name, world.position(world.base_name), ON_OBJECT)


def _put(simulation: Simulation, name: str, goal: Vector, drop: Drop) -> Vector:
    """Grasp; once held, carry over the goal and lower; once there, let go and leave upwards."""
    tool, item, turn, held, gripper = _grasp(simulation, name)
    away = float(np.linalg.norm(item[:2] - goal[:2]))
    there = _above(drop.there - away, 0.003) * _above(drop.release - item[2], 0.003)
    over = _above(drop.over - away, 0.2 * drop.over)
    high = _above(tool[2] - drop.high, 0.006)

    carry_xy = tool[:2] + (high + over - high * over) * (goal[:2] - item[:2])
    lowered = tool[2] + drop.lower - item[2]
    carry = np.array([*carry_xy, drop.carry + over * (lowered - drop.carry)])
    leave = tool + 0.08 * _above(simulation.gripper_opening() - 0.82, 0.03) * UP
    target = _blend(there, leave, _blend(held, carry, _approach(tool, item)))
    caution = (1.0 - held) * (1.0 - there) * _caution(tool, item)
    return _action(
        tool, target, turn * (1.0 - there), _blend(there, 1.0, gripper), slow=1.0 - caution
    )


def _push(simulation: Simulation, name: str) -> Vector:
    """Over the object to its far side, down, and through it towards the zone; at the end, up."""
    world = simulation.world
    tool, item = world.tool_position(), world.position(name)
    way = world.zone_position[:2] - item[:2]
    left = float(np.linalg.norm(way))
    ahead = way / np.hypot(left, 0.005)
    aside = np.array([-ahead[1], ahead[0]])
    offset = tool[:2] - item[:2]
    along, across = float(offset @ ahead), float(offset @ aside)

    # To go down, the tool must clear the object; once down, it may touch it.
    low = _above(0.05 - tool[2], 0.004)
    behind = _above(-along - 0.049 + 0.034 * low, 0.002) * _above(0.018 - abs(across), 0.002)
    pushing = behind * _above(0.04 - tool[2], 0.003)
    arrived = _above(0.012 - left, 0.003)

    back = item[:2] - STANDOFF * ahead
    through = tool[:2] + PUSH_LEAD * ahead - 0.6 * across * aside
    target_xy = _blend(arrived, tool[:2], _blend(pushing, through, back))
    target_z = _blend(arrived, LIFT_HEIGHT, PUSH_HEIGHT + CLEARANCE * (1.0 - behind))
    near = np.exp(-np.sum((tool[:2] - back) ** 2) / 0.015**2)
    caution = (1.0 - pushing) * (1.0 - near) * _above(0.07 - tool[2], 0.006)
    target = np.array([*target_xy, target_z])
    turn, drift = -world.arm.tool_yaw(), (1.0 - arrived) * world.ground_velocity(item)
    return _action(tool, target, turn, gripper=0.0, slow=1.0 - caution, drift=drift)


def _grasp(simulation: Simulation, name: str) -> tuple[Vector, Vector, float, float, float]:
    """What every grasp needs: tool, item, turn to go [rad], how surely held 0..1, gripper."""
    world = simulation.world
    tool, item = world.tool_position(), world.position(name)
    beside, above = float(np.linalg.norm(tool[:2] - item[:2])), abs(tool[2] - item[2])
    around = _above(0.014 - beside, 0.002) * _above(0.012 - above, 0.0015)
    within = _above(0.026 - beside, 0.002) * _above(0.026 - above, 0.002)
    excess = simulation.gripper_opening() - world.grasp_width(name) / (
        2.0 * world.arm.spec.finger_travel
    )
    held = within * _above(0.22 - excess, 0.02) * _above(excess + 0.1, 0.012)
    turn = world.grasp_yaw(name) - world.arm.tool_yaw()
    return tool, item, turn * (1.0 - held), held, (1.0 - around) * (1.0 - held)


def _approach(tool: Vector, item: Vector) -> Vector:
    """Where to grasp: high above while still beside the object, at its centre when over it."""
    beside = float(np.linalg.norm(tool[:2] - item[:2]))
    return item + CLEARANCE * _above(beside - 0.012, 0.003) * UP


def _caution(tool: Vector, item: Vector) -> float:
    """How much of the sideways speed to give up: most of it while low and beside the object."""
    low = _above(0.06 - (tool[2] - item[2]), 0.005)
    beside = _above(float(np.linalg.norm(tool[:2] - item[:2])) - 0.02, 0.003)
    return 0.9 * low * beside


def _blend(share: float, one: Blended, other: Blended) -> Blended:
    """``one`` to the given share, ``other`` for the rest."""
    return other + share * (one - other)


def _above(value: float, width: float) -> float:
    """A smooth step: 0 for values well below zero, 1 well above, over a few ``width``."""
    return float(expit(value / width))


def _action(
    tool: Vector,
    target: Vector,
    turn: float,
    gripper: float,
    *,
    slow: float = 1.0,
    drift: Vector = STILL,
) -> Vector:
    """One step towards a target: proportional when near, of limited length when far.

    What drifts [m/s] is met where it will be at the end of the step.
    """
    way = target - tool
    way[:2] *= slow
    step = GAIN * way / np.hypot(1.0, GAIN * np.linalg.norm(way) / STEP_LENGTH)
    yaw = GAIN * turn / np.hypot(1.0, GAIN * turn / STEP_TURN)
    step = np.clip(step + drift * ENV_STEP, -STEP_LENGTH, STEP_LENGTH)
    return np.array([*step, 0.0, 0.0, yaw, gripper])


_EXPERTS: dict[str, Callable[[Simulation, str], Vector]] = {
    "reach": _reach,
    "push": _push,
    "pick": _pick,
    "place": _place,
    "stack": _stack,
    "open-drawer": _open_drawer,
    "catch": _catch,
}
