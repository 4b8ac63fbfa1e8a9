# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Passes a simulated robot's cameras and state on, with faults, and records what becomes of it.

What the simulator publishes below ``wire/`` reaches the others only through here. The same node
hears every command to the robot, where the arm really is, and what an operator would be told.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image, JointState

from magma_ros.evaluation.bench.faults import STILL
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.companion import Companion
from magma_ros.types import FloatArray, Source

CAMERAS = ("front", "wrist")
CLOCK = "/clock"
SPEED_WINDOW = 0.04
"""Time over which the arm's speed is measured [s]."""

Change = Callable[[Any], list[Any]]
"""What becomes of a message on its way: any number of messages."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that an operator can see.

    Attributes:
        when: When it was heard [s, monotonic].
        level: Of the diagnostic status.
        text: What it says.
        mode: The guard's mode, or empty when another node speaks.
    """

    when: float
    level: int
    text: str
    mode: str = ""


class FaultWire(Companion):
    """A node in this process that passes messages on, makes faults, and keeps what it hears.

    Attributes:
        changes: By topic, what becomes of its messages on their way.
    """

    def __init__(self) -> None:
        super().__init__("fault_wire")
        self.changes: dict[str, Change] = {}
        self._lock = threading.Lock()
        self._commands: list[tuple[float, float]] = []
        self._twists: list[tuple[float, FloatArray]] = []
        self._places: list[tuple[float, FloatArray]] = []
        self._said: list[Said] = []
        self._known: dict[str, str] = {}
        self._pass_on()
        self._listen()
        self.begin()

    # What is asked of it

    @property
    def mode(self) -> str:
        """The guard's mode as last heard."""
        with self._lock:
            return next((said.mode for said in reversed(self._said) if said.mode), "")

    def take_twists(self) -> list[tuple[float, FloatArray]]:
        """Stamp [s] and twist (6,) of each command since the last call."""
        with self._lock:
            taken, self._twists = self._twists, []
        return taken

    def moving(self) -> bool:
        """Whether the newest command moves the arm, and it moves."""
        with self._lock:
            commanded = bool(self._commands) and self._commands[-1][1] > STILL
        return commanded and self._speed_at(time.monotonic()) > 2.0 * STILL

    def command_zero(self, since: float) -> float:
        """Time from ``since`` to the first zero command followed by zeros only; ``inf``: none."""
        with self._lock:
            heard = [(when, size) for when, size in self._commands if when >= since]
        zero = math.inf
        for when, size in heard:
            zero = math.inf if size > 0.0 else min(zero, when - since)
        return zero

    def arm_still(self, since: float) -> float:
        """Time from ``since`` until the arm was last measured moving [s]; ``inf``: it still is."""
        with self._lock:
            places = [place for place in self._places if place[0] >= since - SPEED_WINDOW]
        last = 0.0
        for when, _ in places:
            if when >= since and _speed(places, when) > STILL:
                last = when - since
        ended = not places or places[-1][0] - since - last < 2.0 * SPEED_WINDOW
        return math.inf if last and ended else last

    def told(self, since: float) -> Said | None:
        """The first thing an operator was told after ``since``: of the guard if it spoke."""
        with self._lock:
            said = [each for each in self._said if each.when >= since and each.level]
        return next((each for each in said if each.mode), said[0] if said else None)

    def said_of(self, words: str, since: float) -> Said | None:
        """The first warning after ``since`` that contains ``words``."""
        with self._lock:
            return next((s for s in self._said if s.when >= since and words in s.text), None)

    # Passing on

    def _pass_on(self) -> None:
        for camera in CAMERAS:
            self._pass(Image, names.camera_topic(camera), qos.IMAGES)
        self._pass(Image, names.depth_topic("front"), qos.IMAGES)
        self._pass(JointState, names.JOINT_STATES, qos.STATE)
        self._pass(PoseStamped, names.EE_POSE, qos.STATE, self._on_pose)
        self._pass(ClockMessage, CLOCK, qos.IMAGES)

    def _pass(
        self, kind: Any, topic: str, profile: Any, also: Callable[[Any], None] | None = None
    ) -> None:
        publisher = self.node.create_publisher(kind, topic, profile)

        def on_message(message: Any) -> None:
            if also is not None:
                also(message)
            for changed in self.changes.get(topic, _unchanged)(message):
                publisher.publish(changed)

        self.node.create_subscription(kind, f"wire/{topic.lstrip('/')}", on_message, profile)

    # Listening

    def _listen(self) -> None:
        hear = self.node.create_subscription
        hear(TwistStamped, names.ROBOT_TWIST, self._on_twist, qos.EVENTS)
        hear(DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED)
        hear(DiagnosticArray, names.DIAGNOSTICS, self._on_diagnostics, qos.EVENTS)

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD).twist
        with self._lock:
            self._commands.append((time.monotonic(), float(np.max(np.abs(twist)))))
            self._twists.append((convert.seconds(message.header.stamp), twist))

    def _on_pose(self, message: PoseStamped) -> None:
        position = convert.pose_from_message(message).position
        with self._lock:
            self._places.append((time.monotonic(), np.asarray(position)))

    def _on_mode(self, message: DiagnosticStatus) -> None:
        mode = convert.status_value(message, "mode")
        self._note(Said(time.monotonic(), int(message.level[0]), message.message, mode))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            known = self._known.get(status.name)
            self._known[status.name] = status.message
            if known != status.message:
                text = f"{status.name}: {status.message}"
                self._note(Said(time.monotonic(), int(status.level[0]), text))

    def _note(self, said: Said) -> None:
        with self._lock:
            self._said.append(said)

    def _speed_at(self, now: float) -> float:
        with self._lock:
            return _speed(self._places[-20:], now)


def _unchanged(message: Any) -> list[Any]:
    return [message]


def _speed(places: list[tuple[float, FloatArray]], now: float) -> float:
    """Mean speed over the window that ends at ``now`` [m/s]."""
    recent = [place for place in places if now - 1.5 * SPEED_WINDOW <= place[0] <= now]
    if len(recent) < 2 or recent[-1][0] - recent[0][0] < 0.01:
        return 0.0
    way = float(np.linalg.norm(recent[-1][1] - recent[0][1]))
    return way / (recent[-1][0] - recent[0][0])
