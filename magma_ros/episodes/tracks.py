# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sorts the messages of a recording into what was measured, told and done, each over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from magma_ros.episodes import resample, topics
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.collector import Collector
from magma_ros.episodes.events import Event, Outcome, labelled
from magma_ros.episodes.grippers import GripperEnds, GripperTrack, gripper_tracks
from magma_ros.episodes.joints import JointTracks, joint_tracks
from magma_ros.episodes.labels import read_label
from magma_ros.episodes.messages import Bag
from magma_ros.episodes.series import Series, Steps
from magma_ros.spaces import GRIPPER_NAME
from magma_ros.types import FloatArray

CLOCK_TOLERANCE = 1.0
"""How far a topic's stamps may be from when they were heard, at the median, to be believed [s]."""

EE_FRAME = "tool0"
"""The end effector's frame where the recorder noted none."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A camera's pictures, still in the recording.

    Attributes:
        topic: Full name.
        times: (N,) when they were taken [s], increasing.
        positions: (N,) their numbers among the topic's messages.
    """

    topic: str
    times: FloatArray
    positions: resample.IntArray


@dataclass(slots=True, eq=False)
class Tracks:
    """What :func:`collect` found.

    Attributes:
        cameras: By name.
        poses: (N, 7) position [m] and quaternion x y z w of the end effector in the base frame.
        grippers: Of each gripper by its name, the first one first.
        twists: (N, 6) what the guard sent [m/s, rad/s].
        joints: Of a robot that is commanded joint by joint; None of one that is led by twists.
        instructions: What the robot was told.
        points: When a place was named (nan for none) [s], and column and row.
        point_camera: The camera that it lies in.
        modes: The guard's mode.
        sources: Who drove, in the guard's words.
        depths: Exit of each plan.
        outcome: What became of it.
        events: What happened.
        warnings: What is missing or doubtful.
    """

    cameras: Mapping[str, Camera]
    poses: Series
    grippers: Mapping[str, GripperTrack]
    twists: Series
    joints: JointTracks | None
    instructions: Steps[str]
    points: Steps[tuple[float, float, float]]
    point_camera: str
    modes: Steps[str]
    sources: Steps[str]
    depths: Steps[int]
    outcome: Outcome
    events: Sequence[Event]
    warnings: list[str] = field(default_factory=list)

    @property
    def commands(self) -> Series:
        """What the guard sent to the arm."""
        return self.twists if self.joints is None else self.joints.sent

    def spans(self) -> dict[str, tuple[float, float]]:
        """From when to when each camera and the robot's state were heard [s], by their names.

        Only without either does the span of the commands count.
        """
        found = {f"camera {name}": c.times for name, c in self.cameras.items()}
        found |= {"ee_pose": self.poses.times}
        for name, gripper in self.grippers.items():
            about = "the gripper" if name == GRIPPER_NAME else f"the gripper {name}"
            found[about] = gripper.openings.times
        if self.joints is not None:
            found |= {f"joint {name}": s.times for name, s in self.joints.measured.items()}
        if not any(len(times) for times in found.values()):
            found = {"commands": self.commands.times}
        return {name: (float(t[0]), float(t[-1])) for name, t in found.items() if len(t)}

    def points_at(self, ticks: FloatArray) -> FloatArray:
        """(T, 2) the place named by the instruction of each tick; nan for none."""
        told = Steps([(t, t) for t, _ in self.instructions.samples], -math.inf).at(ticks)
        rows = self.points.at(ticks)
        named = [
            (x, y) if since >= begun else (math.nan, math.nan)
            for (since, x, y), begun in zip(rows, told, strict=True)
        ]
        return np.array(named, np.float32).reshape(len(ticks), 2)


def collect(bag: Bag, namespace: str, gripper: GripperEnds | None = None) -> Tracks:
    """Read all that an episode is made of; pictures are only looked up.

    Args:
        bag: The recording.
        namespace: What stands before the relative names.
        gripper: The gripper's joint and ends; None for what the recorder noted.

    Raises:
        EpisodeError: The file is damaged.
    """
    cameras = topics.find_cameras(bag.types, namespace)
    collector = Collector(bag, namespace, cameras)
    for message in bag.messages(collector.wanted):
        collector.add(message)
    warnings = [
        f"{count} messages on {topic} are damaged or no possible numbers, and left out"
        for topic, count in collector.damaged.items()
    ]
    return _sorted_out(bag, collector, cameras, gripper, warnings)


def _sorted_out(
    bag: Bag,
    collector: Collector,
    cameras: Mapping[str, str],
    gripper: GripperEnds | None,
    warnings: list[str],
) -> Tracks:
    stamped = _Stamped(collector, warnings)
    found = {name: stamped.samples(name) for name in _NUMBERS}
    joints = joint_tracks(bag.types, bag.facts, collector.places, stamped.samples)
    poses = found[topics.EE_POSE]
    if not poses and joints is None:
        poses = _poses_of_frames(collector, bag.facts, warnings)
    steps = {name: stamped.heard(name) for name in _STEPS}
    told = steps[topics.INSTRUCTION] or steps[topics.GUARD_INSTRUCTION]
    modes = steps[topics.GUARD_MODE]
    tracks = Tracks(
        cameras={name: stamped.camera(topic) for name, topic in cameras.items()},
        poses=Series.of(poses, 7),
        grippers=gripper_tracks(bag.facts, gripper, stamped.samples, warnings),
        twists=Series.of(found[topics.ROBOT_TWIST], 6),
        joints=joints,
        instructions=Steps(told, ""),
        points=Steps(steps[topics.INSTRUCTION_POINT], (-math.inf, math.nan, math.nan)),
        point_camera=collector.point_camera,
        modes=Steps([(time, mode) for time, (mode, _, _) in modes], ""),
        sources=Steps([(time, source) for time, (_, source, _) in modes], ""),
        depths=Steps(steps[topics.POLICY_STATUS], 0),
        outcome=read_label(bag.path, labelled(Outcome(collector.task), collector.labels)),
        events=sorted(collector.events, key=lambda event: event.time),
        warnings=warnings,
    )
    warnings.extend(_missing(tracks))
    return tracks


_NUMBERS = (topics.EE_POSE, topics.ROBOT_TWIST)
_STEPS = (
    topics.INSTRUCTION,
    topics.GUARD_INSTRUCTION,
    topics.INSTRUCTION_POINT,
    topics.GUARD_MODE,
    topics.POLICY_STATUS,
)


class _Stamped:
    """Gives samples their times: their stamps, or when they were heard if those are no use."""

    def __init__(self, collector: Collector, warnings: list[str]) -> None:
        self._collector = collector
        self._wrong = set()
        for topic, offsets in collector.offsets.items():
            if abs(median := float(np.median(offsets))) > CLOCK_TOLERANCE:
                self._wrong.add(topic)
                warnings.append(
                    f"the stamps of {topic} are {median:.1f} s from the recorder's clock, so the "
                    "times at which it was heard are used"
                )

    def samples(self, name: str) -> list[tuple[float, Any]]:
        """Time [s] and value, in the order of the file."""
        topic = self._collector.places[name]
        heard = self._collector.found[topic]
        if topic in self._wrong:
            return [(logged, value) for logged, (_, value) in heard]
        return [sample for _, sample in heard]

    def heard(self, name: str) -> list[tuple[float, Any]]:
        """When each was heard [s], and the value: for what has no stamp of its own."""
        found = self._collector.found[self._collector.places[name]]
        return [(logged, value) for logged, (_, value) in found]

    def camera(self, topic: str) -> Camera:
        """The times and numbers of a camera's pictures, in the order in which they were taken."""
        pairs = self._collector.found[topic]
        column = 0 if topic in self._wrong else 1
        times, positions = np.unique(
            np.array([pair[column] for pair in pairs], float), return_index=True
        )
        return Camera(topic, times, positions.astype(np.int64))


def _poses_of_frames(
    collector: Collector, facts: Mapping[str, str], warnings: list[str]
) -> list[tuple[float, Any]]:
    """The end effector's poses by the transforms, where nobody published them."""
    base = facts.get("base_frame") or collector.base_frame
    end = facts.get("ee_frame") or EE_FRAME
    try:
        return collector.frames.between(base, end)
    except EpisodeError as error:
        warnings.append(f"no ee_pose was recorded, and {error}")
        return []


def _missing(tracks: Tracks) -> list[str]:
    rest = "zero" if tracks.joints is None else "where its joints were"
    absent = {
        "no camera was recorded, so there are no pictures": not tracks.cameras,
        "the gripper's joint was not recorded, so its opening is not known": not all(
            len(gripper.openings.times) for gripper in tracks.grippers.values()
        ),
        f"no command to the robot was recorded, so every action is {rest}": not len(
            tracks.commands.times
        ),
        "guard/mode was not recorded, so it is not known who drove": not tracks.modes.samples,
        "no instruction was recorded": not tracks.instructions.samples,
    }
    return [sentence for sentence, is_so in absent.items() if is_so]
