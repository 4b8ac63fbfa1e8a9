# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a console knows of a robot and may ask of it; page, motion link and terminal use no more.

The console node implements :class:`Robot` over ROS. All of it may be called from any thread. Ages
are in seconds at the moment of asking, ``inf`` for what was never heard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from magma_ros.types import Answer, FloatArray, Mode

JOG_LIFETIME = 0.2
"""Time for which a jog counts if no other comes, from when the operator wished it [s]."""

PRESENCE = 1.0
"""Time after a jog or a release for which the operator counts as being there [s]."""


class Verb(Enum):
    """What an operator can ask of the guard; the values are the names of its services."""

    TAKE_OVER = "take_over"
    HAND_BACK = "hand_back"
    HOLD = "hold"
    STOP = "stop"
    RESET = "reset"


class JogFrame(Enum):
    """The frame that an operator's twist is meant in (REP 103: x forward, y left, z up)."""

    BASE = "base"
    TOOL = "tool"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class GuardView:
    """What the guard last said.

    Attributes:
        mode: Who drives, or None before the guard was heard.
        reason: Name of the reason for HOLD or STOPPED, or empty.
        sentence: Mode and reason as people read them.
        source: Who the present command comes from, such as ``policy``.
        scale: Share of the driver's twist that is let through, 0 to 1.
        detail: Why it is scaled down, or who caused the stop.
        age: Of the guard's newest message of any kind [s].
        speed: Linear speed of the newest command to the robot [m/s].
        speed_limit: Its greatest linear speed [m/s], ``nan`` while not known.
    """

    mode: Mode | None = None
    reason: str = ""
    sentence: str = ""
    source: str = ""
    scale: float = 1.0
    detail: str = ""
    age: float = math.inf
    speed: float = 0.0
    speed_limit: float = math.nan


@dataclass(frozen=True, slots=True)
class PolicyView:
    """What the policy last said; ``nan`` and 0 stand for what it has not said.

    Attributes:
        depth: Exit that the newest plan came from.
        exits: Exits of the policy.
        reason: Why the gate stopped thinking, a name such as ``CONFIDENT``.
        slack: Time that was left to the deadline [s].
        plans: Plans since the console began to listen.
        late: How many of them were late.
        doubt: Probability that the plan differs from that of full depth, 0 to 1.
        plan_age: Time since the observation that the newest plan answers [s].
        waiting_for: What it waits for, or empty.
        fault: What is wrong with it, or empty.
        help: Why it asks for a person, or empty.
        age: Of its newest message [s].
    """

    depth: int = 0
    exits: int = 0
    reason: str = ""
    slack: float = math.nan
    plans: int = 0
    late: int = 0
    doubt: float = math.nan
    plan_age: float = math.inf
    waiting_for: str = ""
    fault: str = ""
    help: str = ""
    age: float = math.inf


@dataclass(frozen=True, slots=True)
class RecorderView:
    """What the recorder last said.

    Attributes:
        recording: Whether an episode is being written.
        path: Its file, or that of the last one.
        messages: Messages in it.
        problem: Why it cannot record, or what was lost, or empty.
        label: ``good``, ``bad`` or empty, as the operator last labelled it.
        age: Of its newest message [s].
    """

    recording: bool = False
    path: str = ""
    messages: int = 0
    problem: str = ""
    label: str = ""
    age: float = math.inf


@dataclass(frozen=True, slots=True)
class Mark:
    """One numbered thing in a camera's picture (Magma's Set-of-Mark, arXiv 2502.13130).

    Attributes:
        number: From 1.
        camera: Whose picture it is in.
        point: Column and row where its number stands, 0 to 256 across the picture.
        outline: (N, 2) corners, likewise.
    """

    number: int
    camera: str
    point: tuple[float, float]
    outline: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class CameraView:
    """The state of one camera.

    Attributes:
        name: Its name.
        age: Of its newest picture [s].
        rate: Pictures in the last seconds, per second [Hz].
        width: Of its pictures [px].
        height: Of its pictures [px].
        paths: What the policy intends in this picture, by mark (``gripper``, ``target``): points
            as column and row, 0 to 1 across the picture.
        intended_age: Of ``paths`` [s].
    """

    name: str
    age: float = math.inf
    rate: float = 0.0
    width: int = 0
    height: int = 0
    paths: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    intended_age: float = math.inf


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One entry of /diagnostics.

    Attributes:
        name: ``node: check``.
        level: ``OK``, ``WARN``, ``ERROR`` or ``STALE``.
        message: What it says.
        values: Figures by name.
        age: Since it was heard [s].
    """

    name: str
    level: str
    message: str
    values: Mapping[str, str]
    age: float


@dataclass(frozen=True, slots=True)
class RobotView:
    """Everything a console shows, at one moment.

    Attributes:
        guard: The guard.
        policy: The policy.
        recorder: The recorder.
        instruction: What the robot is told to do.
        cameras: The cameras, in the order in which they are shown.
        marks: What can be pointed at.
        diagnostics: /diagnostics, the worst first.
        position: (3,) of the end effector in the base frame [m], or None.
        opening: Of the gripper, 1 open to 0 closed, ``nan`` while not known.
        state_age: Of the end effector's pose [s].
        clearance: Distance to the nearest obstacle [m], ``nan`` without a sensor.
        jog_frames: Frames that can be jogged in now.
    """

    guard: GuardView = field(default_factory=GuardView)
    policy: PolicyView = field(default_factory=PolicyView)
    recorder: RecorderView = field(default_factory=RecorderView)
    instruction: str = ""
    cameras: tuple[CameraView, ...] = ()
    marks: tuple[Mark, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    position: tuple[float, float, float] | None = None
    opening: float = math.nan
    state_age: float = math.inf
    clearance: float = math.nan
    jog_frames: tuple[JogFrame, ...] = (JogFrame.BASE,)


@dataclass(frozen=True, slots=True, eq=False)
class Jog:
    """How an operator wants the arm to move right now.

    Attributes:
        frame: The frame of ``twist``.
        twist: (6,) linear [m/s] then angular [rad/s] velocity.
        gripper: Opening to move to, 1 open to 0 closed, or None to leave it.
        lifetime: How long to move so unless the next one comes [s]; less than
            :data:`JOG_LIFETIME` by the time that this one was on its way.
    """

    frame: JogFrame
    twist: FloatArray
    gripper: float | None = None
    lifetime: float = JOG_LIFETIME


class Robot(Protocol):
    """A robot as seen from a console."""

    def view(self) -> RobotView:
        """What is known now; cheap."""
        ...

    def picture(self, camera: str, after: float = -math.inf) -> tuple[bytes, float] | None:
        """The newest JPEG of a camera and when it was heard [s, monotonic]; None if not newer."""
        ...

    def request(self, verb: Verb) -> Answer:
        """Ask the guard; blocks for at most a second, and says so when nobody answers."""
        ...

    def instruct(self, instruction: str) -> Answer:
        """Tell the robot what to do."""
        ...

    def record(self, *, on: bool) -> Answer:
        """Begin or end an episode; blocks for seconds if the recorder waits for its disk."""
        ...

    def label(self, verdict: str, note: str = "") -> Answer:
        """Label the episode being recorded, or else the last one: ``good``, ``bad`` or a note."""
        ...

    def jog(self, jog: Jog) -> None:
        """Hold the dead-man and move so, until the next call or ``jog.lifetime`` has passed.

        The arm follows only after this robot's own ``request(Verb.TAKE_OVER)`` was granted.
        """
        ...

    def release(self) -> None:
        """Let go of the dead-man: zero motion, at once; cheap, and harmless if nothing is held.

        Call it again and again while an operator is there and holds no key: after
        :data:`PRESENCE` without a call the guard is told nothing more, and soon holds because the
        person driving has fallen silent.
        """
        ...

    def leave(self) -> None:
        """Let go as with :meth:`release`, and tell the guard nothing more: the operator is gone.

        The guard then says that nothing is heard of the person driving, until the next call of
        :meth:`jog` or :meth:`release`.
        """
        ...
