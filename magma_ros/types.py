# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What crosses the borders between rooms: frozen, typed, in SI units and REP-103 frames.

Every room (policy, gate, motion, guard, sim, nodes) uses these types and no others in its
interface, so this file describes what each room takes and returns.

Two clocks appear. A *stamp* is the time at which something was true, on the clock of the messages
(ROS time on a robot, simulated time in an ideal evaluation). A *deadline* lies on the monotonic
clock of the process that must meet it. Neither is ever read with ``time.time()``: a
:class:`Clock` is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from magma_ros.spaces import ActionSpace

FloatArray = npt.NDArray[np.floating]
ImageArray = npt.NDArray[np.uint8]
DepthArray = npt.NDArray[np.float32]
"""Distances along the optical axis, (H, W) [m]: inf where nothing is, nan where none was measured
(REP 118)."""

TRACE_MARKS = ("gripper", "target")
"""What a trace follows, in the order of :attr:`Trace.points`."""

TRACE_GRID = 256
"""Cells of Magma's grid across an image, in width and in height alike."""


class MagmaError(Exception):
    """Base of every error a user can cause; its text is one sentence that names the remedy."""


class Answer(NamedTuple):
    """How a request was met.

    Attributes:
        accepted: Whether it was granted.
        sentence: Why, or why not and what to do, in one sentence.
    """

    accepted: bool
    sentence: str


class Clock(Protocol):
    """A source of time that can be replaced: monotonic, simulated, or stepped by a test."""

    def now(self) -> float:
        """Seconds since an arbitrary origin; never decreases."""
        ...

    def sleep_until(self, when: float) -> None:
        """Return once :meth:`now` has reached ``when`` [s]; at once if it has already."""
        ...


class MonotonicClock:
    """The process's monotonic clock, for deadlines on a real machine."""

    def now(self) -> float:
        """Seconds on ``time.monotonic``."""
        return time.monotonic()

    def sleep_until(self, when: float) -> None:
        """Sleep until ``when`` [s] on ``time.monotonic``."""
        if (left := when - self.now()) > 0.0:
            time.sleep(left)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Inputs of a policy: images, proprioception, instruction, and the place that it names.

    Attributes:
        stamp: Time at which the oldest of the images was taken [s].
        images: RGB images by camera name, each (H, W, 3) uint8.
        proprioception: Measured robot state, (P,), in the order of ``fields``.
        fields: Names of the entries of ``proprioception``, for example ``ee_x`` [m] or
            ``gripper_opening`` (1 = open, 0 = closed).
        instruction: The task in plain language.
        point: Where what the instruction names by a mark was seen when it was given, or None
            where it names none: column and row on the :data:`TRACE_GRID` grid, 0 at the left and
            upper edge of the image.
        depths: Depth images by camera name, each (H, W) float32 [m] (REP 118).
        anchor: Where the robot was then, for actions that start from there: the end effector's
            pose, or (N,) positions of the action space's joints [rad or m].
    """

    stamp: float
    images: Mapping[str, ImageArray]
    proprioception: FloatArray
    fields: tuple[str, ...]
    instruction: str
    point: tuple[float, float] | None = None
    depths: Mapping[str, DepthArray] = field(default_factory=dict)
    anchor: Pose | FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ActionChunk:
    """A short plan: what the robot does in each of the next K steps.

    Attributes:
        stamp: Time of the observation that the plan answers [s]; step k covers
            ``[stamp + k * step_period, stamp + (k + 1) * step_period)``.
        step_period: Duration of one step [s].
        actions: (K, D), in the units of ``space``.
        depth: Exit that produced the plan, 1 for the shallowest.
        space: What the columns of ``actions`` mean.
    """

    stamp: float
    step_period: float
    actions: FloatArray
    depth: int
    space: ActionSpace

    def __len__(self) -> int:
        """The number of steps K."""
        return int(self.actions.shape[0])


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure an exit is of its chunk; smaller is surer, except for ``margin``.

    Attributes:
        disagreement: Root mean square difference to the previous exit's chunk, each dimension
            measured in units of its normalised range [-1, 1]; ``inf`` at the first exit, which
            has nothing to agree with (DeeR-VLA's criterion, arXiv 2411.02359, in action units).
        entropy: Mean entropy of the bin distributions, divided by that of the uniform one, 0..1;
            nan where the exit has none.
        margin: Mean probability lead of what is decoded over everything else, 0..1; nan likewise.
    """

    disagreement: float
    entropy: float
    margin: float


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Where the marks will be seen next: Magma's Trace-of-Mark, arXiv 2502.13130.

    Attributes:
        camera: Camera whose image the points lie in.
        times: (H,) times after the observation [s], increasing.
        points: (H, 2, 2), the second axis in the order of :data:`TRACE_MARKS`: columns and rows
            on the :data:`TRACE_GRID` grid, 0 at the left and upper edge of the image. A mark that
            leaves the picture lies outside 0 to 256.
    """

    camera: str
    times: FloatArray
    points: FloatArray

    def paths(self, width: int, height: int) -> dict[str, FloatArray]:
        """The path of each mark in an image of ``width`` x ``height`` pixels, (H, 2) each."""
        points = self.points * np.array([width, height]) / TRACE_GRID
        return {mark: points[:, column] for column, mark in enumerate(TRACE_MARKS)}


@dataclass(frozen=True, slots=True, eq=False)
class ExitReading:
    """What one exit proposes, how sure it is, and what it has cost so far.

    Attributes:
        chunk: The proposed plan, in SI units.
        confidence: The figures a gate may judge it by.
        depth: Exit index, 1 for the shallowest.
        flops: Floating-point operations spent since the observation came in.
        weight_bytes: Bytes of weights read since the observation came in.
        trace: Where this exit expects the marks to go, or None if it draws no trace.
        passes: Passes that decoding its action took; 1 where nothing is decoded.
        instruction: What the policy was told; empty for nothing.
    """

    chunk: ActionChunk
    confidence: Confidence
    depth: int
    flops: int
    weight_bytes: int
    trace: Trace | None = None
    passes: int = 1
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one decision may cost.

    Attributes:
        deadline: Latest useful moment on the monotonic clock [s].
        risk: 0 (free space, slow) to 1 (close to contact, fast): raises what the gate demands.
        energy: 1 (full battery) to 0 (empty): lowers how deep the gate will go.
        deepest: Deepest exit allowed, or None for no cap.
    """

    deadline: float
    risk: float = 0.0
    energy: float = 1.0
    deepest: int | None = None


class Reason(Enum):
    """Why the gate stopped thinking; the value is the sentence shown to people."""

    CONFIDENT = "Thinking deeper would hardly change the action, or what becomes of it."
    DEADLINE = "The next stage would not finish before the deadline."
    OVERRUN = "The deadline struck while the next stage was still running."
    DEEPEST = "The deepest exit was reached."
    CAPPED = "The budget allows no deeper exit."
    NO_TIME = "The deadline had passed before thinking began."
    FAULT = "The policy failed on this observation."
    UNANSWERED = "The policy elsewhere has not answered, and there is none here."

    @property
    def sentence(self) -> str:
        """The reason as a sentence."""
        return self.value


class Origin(Enum):
    """Where a plan was made; the value is the sentence shown to people."""

    HERE = "The plan was made by the robot's own policy."
    FAR = "The plan was made by a policy elsewhere, about the newest observation."
    FAR_LATE = "The plan was made by a policy elsewhere, about an earlier observation."

    @property
    def sentence(self) -> str:
        """The origin as a sentence."""
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The gate's answer for one observation.

    Attributes:
        chunk: The plan to follow, or None when there is none (NO_TIME, FAULT).
        reason: Why thinking stopped there.
        depth: Exit that the chunk came from; 0 without a chunk.
        stage_times: Measured duration of each stage that ran [s].
        slack: Time left to the deadline when the verdict fell [s]; negative means late.
        flops: Floating-point operations spent.
        weight_bytes: Bytes of weights read.
        confidence: Figures of the chosen exit, or None without a chunk.
        detail: For FAULT, what went wrong, in one sentence.
        trace: That of the deepest exit read so far that draws one, or None.
        passes: Passes that decoding the chunk took; 1 where nothing is decoded.
        origin: Where the chunk was made. One from elsewhere counts as that of the deepest exit.
        anchor: Where the robot was at an earlier observation that the chunk answers; see
            :attr:`Observation.anchor`. None if it answers the newest.
    """

    chunk: ActionChunk | None
    reason: Reason
    depth: int
    stage_times: tuple[float, ...]
    slack: float
    flops: int = 0
    weight_bytes: int = 0
    confidence: Confidence | None = None
    detail: str = ""
    trace: Trace | None = None
    passes: int = 1
    origin: Origin = Origin.HERE
    anchor: Pose | FloatArray | None = None


class Source(Enum):
    """Who a command came from; every recorded command carries one."""

    POLICY = "policy"
    TELEOP = "teleop"
    GUARD = "guard"


@dataclass(frozen=True, slots=True, eq=False)
class TwistCommand:
    """A velocity asked of the end effector.

    Attributes:
        stamp: Time the command was made [s].
        frame_id: Frame the twist is expressed in; the guard accepts only its base frame.
        twist: (6,) linear [m/s] then angular [rad/s] velocity.
        source: Who asks.
    """

    stamp: float
    frame_id: str
    twist: FloatArray
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class JointCommand:
    """Positions asked of joints.

    Attributes:
        stamp: Time the command was made [s].
        names: Of the joints, in any order.
        positions: (N,) where each is to go [rad or m].
        velocities: (N,) how fast it is to be there [rad/s or m/s]; empty where each is to rest.
        source: Who asks.
    """

    stamp: float
    names: tuple[str, ...]
    positions: FloatArray
    velocities: FloatArray
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Pose of the end effector in the base frame.

    Attributes:
        stamp: Time of the measurement [s].
        position: (3,) [m].
        quaternion: (4,) x y z w, unit length.
    """

    stamp: float
    position: FloatArray
    quaternion: FloatArray = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))


@dataclass(frozen=True, slots=True, eq=False)
class DepthView:
    """A depth image and where it was taken.

    Attributes:
        depth: (H, W) along the optical axis [m].
        matrix: The camera's intrinsic matrix, (3, 3) [px].
        pose: (4, 4) from its optical frame (REP 103) to the base frame.
    """

    depth: DepthArray
    matrix: FloatArray
    pose: FloatArray


@dataclass(frozen=True, slots=True)
class RobotDescription:
    """The body of a robot.

    Attributes:
        urdf: Its description, as text.
        base: Link whose frame is the base frame.
        tool: Link at the tool centre.
    """

    urdf: str
    base: str
    tool: str


class Mode(Enum):
    """Who drives the arm."""

    AUTO = "The policy drives."
    TELEOP = "A person drives."
    HOLD = "The arm holds still and waits for a person."
    STOPPED = "Stopped: nothing moves before a reset."

    @property
    def sentence(self) -> str:
        """The mode as a sentence."""
        return self.value


class StopReason(Enum):
    """Why the arm is in HOLD or STOPPED; latched until it is left by an explicit act."""

    STARTUP = "The guard has just started; hand back or take over to begin."
    READY = "Nothing stands in the way; hand back or take over to go on."
    POLICY_SILENT = "The policy has sent no command, or nothing about its health, for too long."
    PLAN_SILENT = "The policy has made no plan for too long."
    INPUT_SILENT = "The policy lacks a camera, the robot's state or an instruction."
    POLICY_FAULT = "The policy reports a fault."
    INVALID_COMMAND = "A command was not one that this robot can sensibly be given."
    HELP_REQUESTED = "The policy is unsure and asks for help."
    OPERATOR_HOLD = "A person asked the arm to hold."
    OPERATOR_STOP = "A person pressed stop."
    TELEOP_SILENT = "The person driving has sent no command for too long."
    STATE_SILENT = "The robot has not told where it is for too long."
    CLEARANCE_SILENT = "The clearance sensor has reported nothing usable for too long."
    POSITION_MISMATCH = "The arm does not move as it is told to."
    FOREIGN_SOURCE = "Another node publishes where only one may."
    CONTROLLER_SETTINGS = "The robot's controller would misread the commands."
    E_STOP = "The emergency stop is pressed."
    E_STOP_SILENT = "The emergency stop has been silent for too long."
    GUARD_FAULT = "The guard itself has failed."

    @property
    def sentence(self) -> str:
        """The reason as a sentence."""
        return self.value
