# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation asks of a world: the only thing that it knows about simulators.

A suite names tasks and makes worlds; a world plays one scene at a time. Both are structural: a
simulator satisfies them without importing this module, so one written elsewhere needs an adapter
and nothing in here. :class:`World` is all that an evaluation needs. The smaller protocols after it
are optional: what they report is left out of the result when a world has no such methods.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from magma_ros.motion import StreamConfig
from magma_ros.spaces import ActionSpace
from magma_ros.types import DepthView, FloatArray, ImageArray, Observation, Pose, RobotDescription

INSTANT = 1e-6
"""Two simulated times closer than this are the same [s]."""


class Control(Enum):
    """What is taken from the policy to see whether it uses the images and the instruction.

    The value is the heading shown to people.
    """

    NONE = "as it is"
    BLACKOUT = "cameras black"
    SWAPPED = "instruction names another object"


@dataclass(frozen=True, slots=True)
class Scene:
    """Which episode to play; the same scene is the same episode on every machine.

    Attributes:
        suite: Name of the suite, as :func:`~magma_ros.evaluation.suites.find_suite` takes it.
        task: Task of the suite.
        split: Variation of scene and instruction.
        seed: Seed of the layout and the instruction.
        control: What is taken from the policy.
    """

    suite: str
    task: str
    split: str
    seed: int
    control: Control = Control.NONE


@runtime_checkable
class World(Protocol):
    """A simulated robot in a scene; time passes only in :meth:`step`."""

    @property
    def time(self) -> float:
        """Simulated time since the last reset [s]."""
        ...

    def reset(self, task: str, split: str, seed: int) -> None:
        """Begin the episode of that task, split and seed, at time 0.

        Raises:
            MagmaError: There is no such task or split, or the simulator is not installed.
        """
        ...

    def observe(self) -> Observation:
        """What a policy is given now; its stamp is :attr:`time`."""
        ...

    def command(self, twist: FloatArray, gripper: float) -> None:
        """Set what the robot follows from now on.

        Args:
            twist: (6,) linear [m/s] then angular [rad/s] velocity of the end effector in the base
                frame. Components that the robot does not have are ignored.
            gripper: Target opening: 1 = open, 0 = closed.
        """
        ...

    def step(self, seconds: float) -> None:
        """Let simulated time pass [s].

        A world with a fixed time step may stop up to half a step early or late, as long as the
        differences do not add up.
        """
        ...

    def done(self) -> bool:
        """Whether the task has been done in this episode as its own instruction says."""
        ...

    def tool_position(self) -> FloatArray:
        """Measured position of the tool centre in the base frame, (3,) [m]."""
        ...

    def close(self) -> None:
        """Release the simulator; a second call does nothing."""
        ...


@runtime_checkable
class SwapsInstruction(Protocol):
    """A world whose instruction can name another object of the same scene instead."""

    def swapped_instruction(self) -> str:
        """The instruction that names the other object."""
        ...

    def swapped_done(self) -> bool | None:
        """Whether the task has been done to that other object in this episode.

        None where the world cannot tell; then it must not be done to the scene's own object.
        """
        ...


class FailureReason(Protocol):
    """Why an episode is no success; an ``Enum`` whose values are sentences has both."""

    @property
    def name(self) -> str:
        """Identifier, upper case with underscores."""
        ...

    @property
    def sentence(self) -> str:
        """The reason for people."""
        ...


@runtime_checkable
class ExplainsFailure(Protocol):
    """A world that knows why its task has not been done."""

    @property
    def closest(self) -> tuple[float, float]:
        """Least distance of the tool from what it must reach so far [m], and when that was [s]."""
        ...

    def failure(self) -> FailureReason | None:
        """Why the episode would be no success if it ended now; None when it is one."""
        ...


@runtime_checkable
class CountsContacts(Protocol):
    """A world that knows when the robot touches what it must not touch."""

    @property
    def contacts(self) -> int:
        """How often the robot, or what it held, began to touch an obstacle or a person."""
        ...

    @property
    def nearest(self) -> float:
        """How near they came to one so far [m]; inf where there is nothing to touch."""
        ...


@runtime_checkable
class SeesDepth(Protocol):
    """A world whose robot has a depth camera, and knows its own body."""

    @property
    def robot(self) -> RobotDescription:
        """Its body."""
        ...

    def depth_view(self, camera: str, width: int, height: int) -> DepthView:
        """What a camera sees now, in so many pixels."""
        ...

    def joint_positions(self) -> Mapping[str, float]:
        """Measured, by the names of the description [rad or m]."""
        ...

    def tool_pose(self) -> Pose:
        """Measured pose of the tool centre in the base frame."""
        ...

    def gripper_opening(self) -> float:
        """Measured, 0 (closed) to 1 (open)."""
        ...


@runtime_checkable
class KnowsMarks(Protocol):
    """A world that can tell where the marks of a trace really are in the images."""

    def trace_marks(self, *, swapped: bool) -> Mapping[str, FloatArray]:
        """Current image positions of the marks, by camera.

        Args:
            swapped: Whether the target is the object of the swapped instruction.

        Returns:
            Arrays of (2, 2): rows as in :data:`~magma_ros.types.TRACE_MARKS`, columns as in
            :attr:`~magma_ros.types.Trace.points`.
        """
        ...


@runtime_checkable
class Pictured(Protocol):
    """A world that can be shown to people."""

    def picture(self, width: int, height: int) -> ImageArray:
        """The whole scene, (height, width, 3) uint8 RGB."""
        ...


@runtime_checkable
class Demonstrates(Protocol):
    """A world with a scripted expert."""

    def expert_action(self) -> FloatArray:
        """The expert's next action, (7,), as in :data:`~magma_ros.spaces.ACTION_DIMS`."""
        ...


class Suite(Protocol):
    """A family of tasks of one simulator."""

    @property
    def tasks(self) -> Collection[str]:
        """Names of the tasks, in order."""
        ...

    @property
    def splits(self) -> Collection[str]:
        """Names of the variations of scene and instruction."""
        ...

    @property
    def step_period(self) -> float:
        """Duration of one step of an action chunk [s]; that of a policy is a multiple of it."""
        ...

    @property
    def execute(self) -> int:
        """Of these steps, how many to execute before the next observation by default."""
        ...

    @property
    def seed_limit(self) -> int | None:
        """Seeds from here upwards belong to training data; None when all are for evaluation."""
        ...

    def time_limit(self, task: str) -> float:
        """Simulated time after which an episode of the task is over [s]."""
        ...

    def failures(self) -> Collection[FailureReason]:
        """Everything that :meth:`ExplainsFailure.failure` may say; empty without explanations."""
        ...

    def definition(self) -> Any:
        """All that the suite's episodes depend on, as plain data: changed data, other episodes."""
        ...

    def make_world(self) -> World:
        """A world for episodes of this suite; nothing heavy is loaded before its reset."""
        ...


@runtime_checkable
class Benchmark(Protocol):
    """A suite whose tasks and trials others have laid down, so that results can be compared."""

    @property
    def trials(self) -> int:
        """Episodes a task, unless told otherwise."""
        ...

    @property
    def tiers(self) -> Mapping[str, Collection[str]]:
        """Its tasks by how hard they are; the average quoted is the mean of the tiers' means."""
        ...


@runtime_checkable
class OwnStream(Protocol):
    """A suite whose robot takes commands at another rate, or within other limits, than an arm."""

    @property
    def stream(self) -> StreamConfig:
        """How its commands are streamed while the policy thinks."""
        ...


@runtime_checkable
class OwnSpace(Protocol):
    """A suite whose robot moves in fewer ways than all of Magma's columns."""

    @property
    def space(self) -> ActionSpace:
        """Those that it has."""
        ...


@runtime_checkable
class NeedsExtra(Protocol):
    """A suite of this package that an extra of it is needed for."""

    @property
    def extra(self) -> str:
        """Name of the extra."""
        ...
