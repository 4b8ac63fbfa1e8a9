# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the topics say, as a console knows it; no more than this is shown to an operator."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState, Range
from std_msgs.msg import String
from visualization_msgs.msg import ImageMarker, Marker, MarkerArray

from magma_ros.console.robot import (
    Diagnostic,
    GuardView,
    Mark,
    RecorderView,
    RobotView,
)
from magma_ros.nodes import convert
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.types import Mode, Pose, Source, StopReason

LEVELS = {
    DiagnosticStatus.OK: "OK",
    DiagnosticStatus.WARN: "WARN",
    DiagnosticStatus.ERROR: "ERROR",
    DiagnosticStatus.STALE: "STALE",
}

WORST_FIRST = ("ERROR", "STALE", "WARN", "OK")

STALE_AFTER = 5.0
"""Silence after which an entry of /diagnostics counts as stale [s]; most come once a second."""

FORGOTTEN_AFTER = 60.0
"""Silence after which an entry of /diagnostics is dropped [s]."""

COMMAND_PATIENCE = 0.3
"""Silence after which the robot counts as told nothing [s]."""

SENSOR_PATIENCE = 2.0
"""Silence after which a clearance or marks are not shown any more [s]."""

MOST_DIAGNOSTICS, MOST_MARKS, MOST_POINTS, MOST_VALUES = 200, 99, 200, 60
LONGEST_TEXT = 500

Path = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Intention:
    """What the policy intends in one picture: paths by mark, in pixels, and when it said so [s]."""

    paths: Mapping[str, Path]
    heard: float


class ConsoleView:
    """Hears messages on one thread, and tells any thread what is known.

    Args:
        gripper: The gripper's joint.
        speed_limit: Greatest linear speed of the robot [m/s].
        clock: A steady clock [s].
    """

    def __init__(
        self,
        gripper: GripperJoint,
        speed_limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gripper = gripper
        self._clock = clock
        self._lock = threading.Lock()
        self._view = RobotView(guard=GuardView(speed_limit=speed_limit))
        self._times: dict[str, float] = {}
        self._health_age = math.inf
        self._help = ""
        self._diagnostics: dict[str, tuple[Diagnostic, float]] = {}
        self._intended: dict[str, Intention] = {}

    @property
    def mode(self) -> Mode | None:
        """Who drives, as the guard last said."""
        return self._view.guard.mode

    def now(self) -> RobotView:
        """Everything but the cameras and the frames, at this moment."""
        with self._lock:
            view, now, diagnostics = self._view, self._clock(), [*self._diagnostics.values()]
        guard, policy = view.guard, view.policy
        moving = self._age("twist", now) <= COMMAND_PATIENCE
        plan_age = self._health_age + self._age("health", now)
        asks = guard.reason == StopReason.HELP_REQUESTED.name
        seen = self._age("clearance", now) <= SENSOR_PATIENCE
        return replace(
            view,
            guard=replace(
                guard,
                age=min(self._age("mode", now), self._age("twist", now)),
                speed=guard.speed if moving else 0.0,
            ),
            policy=replace(
                policy,
                plan_age=plan_age,
                help=(self._help or guard.detail or guard.sentence) if asks else "",
                age=min(self._age("health", now), self._age("status", now)),
            ),
            recorder=replace(view.recorder, age=self._age("recorder", now)),
            marks=view.marks if self._age("marks", now) <= SENSOR_PATIENCE else (),
            diagnostics=_judged(diagnostics, now),
            state_age=self._age("pose", now),
            clearance=view.clearance if seen else math.nan,
        )

    def intended(self, frame: str, width: int, height: int) -> tuple[dict[str, Path], float]:
        """What the policy intends in a picture, 0 to 1 across it, and the age of that [s].

        Args:
            frame: Frame of the camera.
            width: Of its pictures [px].
            height: Of its pictures [px].
        """
        intention = self._intended.get(frame)
        if intention is None or not width or not height:
            return {}, math.inf
        scaled = {
            mark: tuple((x / width, y / height) for x, y in path)
            for mark, path in intention.paths.items()
        }
        return scaled, self._clock() - intention.heard

    # What is heard

    def on_mode(self, message: DiagnosticStatus) -> None:
        """The guard's mode."""
        name = convert.status_value(message, "mode")
        if name not in Mode.__members__:
            raise convert.MessageError(f"the guard says {name[:40]!r}, which is not a mode")
        values = convert.status_values(message)
        scale = convert.status_number(message, "scale")
        with self._told("mode"):
            guard = replace(
                self._view.guard,
                mode=Mode[name],
                reason=plain(values.get("reason", "")),
                sentence=plain(message.message),
                source=plain(values.get("source", "")),
                scale=scale if math.isfinite(scale) else 1.0,
                detail=plain(values.get("detail", "")),
            )
            self._view = replace(self._view, guard=guard)

    def on_twist(self, message: TwistStamped) -> None:
        """What the guard sends to the robot."""
        twist = convert.twist_from_message(message, Source.GUARD).twist
        if not np.isfinite(twist).all():
            raise convert.MessageError("the robot's twist is not finite")
        speed = math.hypot(*twist[:3])
        with self._told("twist"):
            self._view = replace(self._view, guard=replace(self._view.guard, speed=speed))

    def on_plan(self, message: DiagnosticStatus) -> None:
        """What became of one observation."""
        number = convert.status_number
        slack = 1e-3 * number(message, "slack_ms")
        values = convert.status_values(message)
        depth = convert.status_whole(message, "depth")
        exits = convert.status_whole(message, "exits") if "exits" in values else 0
        doubt = 1.0 - number(message, "probability")
        with self._told("status"):
            before = self._view.policy
            policy = replace(
                before,
                depth=depth,
                exits=exits,
                reason=plain(values.get("reason", "")),
                slack=slack,
                plans=before.plans + 1,
                late=before.late + (slack < 0.0),
                doubt=doubt,
            )
            self._view = replace(self._view, policy=policy)

    def on_health(self, message: DiagnosticStatus) -> None:
        """Whether the policy can be followed."""
        age = convert.status_number(message, "plan_age_s")
        values = convert.status_values(message)
        with self._told("health"):
            self._health_age = math.inf if math.isnan(age) else max(0.0, age)
            policy = replace(
                self._view.policy,
                waiting_for=plain(values.get("waiting_for", "")),
                fault=plain(values.get("fault", "")),
            )
            self._view = replace(self._view, policy=policy)

    def on_help(self, message: String) -> None:
        """Why the policy asks for a person."""
        with self._told("help"):
            self._help = plain(message.data)

    def on_trace(self, message: ImageMarker) -> None:
        """Where the policy expects a mark to go."""
        mark, path = convert.path_from_marker(message)
        points = tuple((float(x), float(y)) for x, y in path[:MOST_POINTS])
        frame, now = plain(message.header.frame_id), self._clock()
        with self._told("trace"):
            before = self._intended.get(frame)
            paths = {**(before.paths if before else {}), mark: points}
            self._intended = {**self._intended, frame: Intention(paths, now)}
            if len(self._intended) > MOST_MARKS:  # only a flood of frames can come to this
                self._intended = {frame: self._intended[frame]}

    def on_recorder(self, message: DiagnosticStatus) -> None:
        """What the recorder is doing."""
        values = convert.status_values(message)
        problem = "" if message.level == DiagnosticStatus.OK else message.message
        with self._told("recorder"):
            recorder = RecorderView(
                recording=values.get("recording") == "True",
                path=plain(values.get("path", "")),
                messages=convert.status_whole(message, "messages"),
                problem=plain(problem),
                label=plain(values.get("label", "")),
            )
            self._view = replace(self._view, recorder=recorder)

    def on_instruction(self, message: String) -> None:
        """What the robot is told to do."""
        with self._told("instruction"):
            self._view = replace(self._view, instruction=plain(message.data))

    def on_pose(self, pose: Pose) -> None:
        """Where the end effector is."""
        x, y, z = (float(part) for part in pose.position)
        with self._told("pose"):
            self._view = replace(self._view, position=(x, y, z))

    def on_joints(self, message: JointState) -> None:
        """How open the gripper is."""
        if (opening := self._gripper.opening(message)) is not None:
            with self._told("joints"):
                self._view = replace(self._view, opening=opening)

    def on_clearance(self, message: Range) -> None:
        """How near the nearest obstacle is."""
        distance = convert.clearance_from_message(message)
        with self._told("clearance"):
            self._view = replace(self._view, clearance=max(0.0, distance))

    def on_marks(self, message: MarkerArray) -> None:
        """What can be pointed at; each message tells of all."""
        marks = tuple(mark for m in message.markers[:MOST_MARKS] if (mark := _mark(m)) is not None)
        with self._told("marks"):
            self._view = replace(self._view, marks=marks)

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """How a node is."""
        now = self._clock()
        with self._told("diagnostics"):
            for status in message.status:
                entry = _diagnostic(status)
                self._diagnostics[entry.name] = (entry, now)
            known = sorted(self._diagnostics.items(), key=lambda item: -item[1][1])
            self._diagnostics = {
                name: (entry, heard)
                for name, (entry, heard) in known[:MOST_DIAGNOSTICS]
                if now - heard < FORGOTTEN_AFTER
            }

    def _told(self, what: str) -> threading.Lock:
        """Note when ``what`` was heard, and give the lock under which the view may be changed."""
        self._times[what] = self._clock()
        return self._lock

    def _age(self, what: str, now: float) -> float:
        return now - self._times.get(what, -math.inf)


def plain(text: str) -> str:
    """A text from outside as one line of printable characters, no longer than can be shown."""
    line = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])
    return " ".join(line.split())


def _mark(message: Marker) -> Mark | None:
    at = message.pose.position
    outline = tuple((float(p.x), float(p.y)) for p in message.points[:MOST_POINTS])
    if message.action != Marker.ADD or not np.isfinite([(at.x, at.y), *outline]).all():
        return None
    return Mark(int(message.id), plain(message.ns), (float(at.x), float(at.y)), outline)


def _diagnostic(status: DiagnosticStatus) -> Diagnostic:
    values = {plain(pair.key): plain(pair.value) for pair in status.values[:MOST_VALUES]}
    level = LEVELS.get(status.level, "STALE")
    return Diagnostic(plain(status.name), level, plain(status.message), values, 0.0)


def _judged(entries: list[tuple[Diagnostic, float]], now: float) -> tuple[Diagnostic, ...]:
    """The entries with their ages, the worst first."""
    aged = [
        replace(entry, age=now - heard, level="STALE" if now - heard > STALE_AFTER else entry.level)
        for entry, heard in entries
    ]
    return tuple(sorted(aged, key=lambda e: (WORST_FIRST.index(e.level), e.name)))
