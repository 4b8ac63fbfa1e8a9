# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes the messages of a recording one by one, and keeps what an episode is made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from magma_ros.episodes import topics
from magma_ros.episodes.events import Event
from magma_ros.episodes.frames import Frames
from magma_ros.episodes.grippers import more_grippers
from magma_ros.episodes.messages import Bag, DecodeError, Message
from magma_ros.types import FloatArray

LARGEST = 1e6
"""What no position, velocity or joint reaches in SI units; beyond it a number is damage."""


class Collector:
    """Decodes messages one by one, and keeps what is needed of them.

    Args:
        bag: The recording.
        namespace: What stands before the relative names.
        cameras: Topics of the cameras, by their names.

    Attributes:
        places: The full name of each relative one.
        found: By full name, when a message was heard [s] and what it held: of a picture its stamp,
            of anything else its stamp and its content.
        offsets: By full name, how much later than its stamp each message was heard [s].
        events: What happened.
        labels: What was said on ``episode/label``.
        task: The newest state of the task.
        point_camera: The camera that a named place lies in.
        frames: Transforms, which are only read where no pose was recorded.
        base_frame: Frame of the twists sent to the robot.
        damaged: Messages that could not be used, by full name.
    """

    def __init__(self, bag: Bag, namespace: str, cameras: Mapping[str, str]) -> None:
        self.found: dict[str, list[tuple[float, Any]]] = defaultdict(list)
        self.offsets: dict[str, list[float]] = defaultdict(list)
        self.events: list[Event] = []
        self.labels: list[str] = []
        self.task = ""
        self.point_camera = ""
        self.frames = Frames()
        self.base_frame = ""
        self.damaged: Counter[str] = Counter()
        self._cameras = set(cameras.values())
        take: dict[str, Callable[[Message, Any], None]] = {
            topics.EE_POSE: self._pose,
            topics.JOINT_STATES: self._joints,
            topics.ROBOT_TWIST: self._twist,
            topics.ROBOT_TRAJECTORY: self._trajectory,
            topics.ROBOT_POSITIONS: self._numbers,
            topics.ROBOT_VELOCITIES: self._numbers,
            topics.ROBOT_GRIPPER: self._joints,
            topics.INSTRUCTION: self._text,
            topics.GUARD_INSTRUCTION: self._text,
            topics.INSTRUCTION_POINT: self._point,
            topics.GUARD_MODE: self._mode,
            topics.POLICY_STATUS: self._status,
            topics.POLICY_HELP: self._help,
            topics.TASK_STATUS: self._task,
            topics.EPISODE_LABEL: self._label,
        }
        take |= {topics.gripper(name): self._joints for name in more_grippers(bag.facts)}
        place = partial(topics.place, bag.types, namespace, facts=bag.facts)
        if place(topics.EE_POSE) not in bag.types:
            take |= {topics.TF: self._transforms, topics.TF_STATIC: self._transforms}
        self.places = {name: place(name) for name in take}
        self._take = {self.places[name]: use for name, use in take.items()}

    @property
    def wanted(self) -> list[str]:
        """Full names of the topics to read."""
        return [*self._cameras, *self._take]

    def add(self, message: Message) -> None:
        """Take one message; a damaged one is counted."""
        self.offsets[message.topic].append(message.logged - message.sent)
        if message.topic in self._cameras:
            self.found[message.topic].append((message.logged, message.sent))
            return
        try:
            self._take[message.topic](message, message.decode())
        except (DecodeError, AttributeError, ValueError, TypeError):
            self.damaged[message.topic] += 1

    def _keep(self, message: Message, value: Any) -> None:
        self.found[message.topic].append((message.logged, (message.sent, value)))

    def _pose(self, message: Message, decoded: Any) -> None:
        p, q = decoded.pose.position, decoded.pose.orientation
        values = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])
        if not _usable(values) or np.linalg.norm(values[3:]) < 0.5:
            raise ValueError
        self._keep(message, values)

    def _twist(self, message: Message, decoded: Any) -> None:
        self.base_frame = str(decoded.header.frame_id)
        v, w = decoded.twist.linear, decoded.twist.angular
        values = np.array([v.x, v.y, v.z, w.x, w.y, w.z])
        if not _usable(values):
            raise ValueError
        self._keep(message, values)

    def _transforms(self, message: Message, decoded: Any) -> None:
        self.found[message.topic].append((message.logged, (message.sent, None)))
        for transform in decoded.transforms:
            self.frames.add(transform)

    def _joints(self, message: Message, decoded: Any) -> None:
        pairs = zip(decoded.name, map(float, decoded.position), strict=False)
        self._keep(message, {name: p for name, p in pairs if abs(p) < LARGEST})

    def _trajectory(self, message: Message, decoded: Any) -> None:
        (point,) = decoded.points  # which the guard sends; a longer one is a plan
        pairs = zip(decoded.joint_names, map(float, point.positions), strict=True)
        self._keep(message, {name: p for name, p in pairs if abs(p) < LARGEST})

    def _numbers(self, message: Message, decoded: Any) -> None:
        values = np.array(decoded.data, float)
        if not _usable(values):
            raise ValueError
        self._keep(message, values)

    def _text(self, message: Message, decoded: Any) -> None:
        self._keep(message, str(decoded.data))
        if message.topic == self.places[topics.INSTRUCTION]:
            self.events.append(Event(message.logged, "instruction", str(decoded.data)))

    def _point(self, message: Message, decoded: Any) -> None:
        self._keep(message, (message.logged, float(decoded.point.x), float(decoded.point.y)))
        self.point_camera = str(decoded.header.frame_id).removesuffix("_camera_optical")

    def _mode(self, message: Message, decoded: Any) -> None:
        values = {pair.key: pair.value for pair in decoded.values}
        mode, reason = values.get("mode", ""), values.get("reason", "")
        before = self.found[message.topic][-1][1][1] if self.found[message.topic] else None
        self._keep(message, (mode, values.get("source", ""), reason))
        if before is None or (before[0], before[2]) != (mode, reason):
            text = f"{mode} ({reason}): {decoded.message}" if reason else mode
            self.events.append(Event(message.logged, "mode", text))

    def _status(self, message: Message, decoded: Any) -> None:
        values = {pair.key: pair.value for pair in decoded.values}
        self._keep(message, int(values.get("depth", 0)))

    def _help(self, message: Message, decoded: Any) -> None:
        self.events.append(Event(message.logged, "help", str(decoded.data)))

    def _task(self, message: Message, decoded: Any) -> None:
        self.task = {pair.key: pair.value for pair in decoded.values}.get("state", "")
        self.events.append(Event(message.logged, "task", f"{self.task}: {decoded.message}"))

    def _label(self, message: Message, decoded: Any) -> None:
        self.labels.append(str(decoded.data))
        self.events.append(Event(message.logged, "label", str(decoded.data)))


def _usable(values: FloatArray) -> bool:
    return bool((np.abs(values) < LARGEST).all())  # which nan is not
