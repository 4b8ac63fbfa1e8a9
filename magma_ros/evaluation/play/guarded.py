# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode with the guard between policy and arm, which slows down for what the eyes see.

Everything runs in simulated time and as late as on a robot: the guard is updated with every sample
of the command stream, and a depth image reaches it :attr:`Sight.delay` after it was taken.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from typing_extensions import override

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.world import INSTANT, Scene, SeesDepth
from magma_ros.guard import GripperCommand, Guard, GuardConfig, GuardOutput, Obstacles, PolicyHealth
from magma_ros.perception.body import Body
from magma_ros.perception.clearance import ClearanceConfig, ClearanceEstimator, RobotState
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.urdf import read_description
from magma_ros.types import FloatArray, Mode, Source, StopReason, TwistCommand, Verdict

FREELY = 0.98
"""Share of the driver's twist from which on the arm is not slowed."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How the robot sees obstacles.

    Attributes:
        camera: Which camera gives depth.
        size: Width and height of its depth image [px].
        rate: Depth images a second [Hz].
        delay: Time from the image to the guard's knowing what is in it [s].
        noise: Standard deviation of the measured depth [m].
        clearance: How clearance is measured.
        guarded: Links that are kept from obstacles; empty for all that move.
        held: Least and greatest opening of a gripper that holds something (1 = open).
    """

    camera: str = "front"
    size: tuple[int, int] = (320, 240)
    rate: float = 15.0
    delay: float = 0.04
    noise: float = 0.002
    clearance: ClearanceConfig = field(default_factory=ClearanceConfig)
    guarded: tuple[str, ...] = ()
    held: tuple[float, float] = (0.03, 0.9)


class Eyes:
    """Turns depth images of a world into what its guard hears, at a rate and with a delay.

    Args:
        world: Where they look.
        sight: How they see.
        frame: The guard's base frame.
        seed: Of the noise.
    """

    def __init__(self, world: SeesDepth, sight: Sight, frame: str, seed: int) -> None:
        self._world, self._sight, self._frame = world, sight, frame
        robot = world.robot
        body = Body(read_description(robot.urdf), robot.base, robot.tool, sight.guarded)
        self._estimator = ClearanceEstimator(sight.clearance, body)
        self._rng = np.random.default_rng(seed)
        self._due = 0.0
        self._coming: deque[Obstacles] = deque()

    def look(self, now: float) -> Obstacles | None:
        """Take an image if it is time, and return the measurement that is known by now."""
        if now > self._due - INSTANT:
            self._due += 1.0 / self._sight.rate
            self._coming.append(self._measure(now))
        known = None
        while self._coming and self._coming[0].stamp + self._sight.delay < now + INSTANT:
            known = self._coming.popleft()
        return known

    def _measure(self, now: float) -> Obstacles:
        sight, world = self._sight, self._world
        width, height = sight.size
        view = world.depth_view(sight.camera, width, height)
        noise = sight.noise * self._rng.standard_normal(view.depth.shape, np.float32)
        (fx, _, cx), (_, fy, cy) = view.matrix[:2]
        camera = Intrinsics(width, height, float(fx), float(fy), float(cx), float(cy))
        holding = sight.held[0] < world.gripper_opening() < sight.held[1]
        state = RobotState(world.joint_positions(), holding)
        reading = self._estimator.update(view.depth + noise, camera, view.pose, state, now)
        return Obstacles(now, self._frame, reading.vectors, reading.levers)


class GuardedEpisode(Episode):
    """An episode whose commands pass through a guard, which hands over by itself.

    Args:
        scene: Which episode to play.
        config: The guard's settings.
        sight: How the robot sees obstacles; None for a robot without eyes.

    Attributes:
        stops: How often the guard went to HOLD or STOPPED, by reason.
        driven: Time in which the policy drove and wanted to move [s].
        slowed: Of that, the time in which the arm was slowed or held [s].

    Raises:
        EvaluationError: The world has no eyes.
        MagmaError: As for :class:`~magma_ros.evaluation.play.episode.Episode`.
    """

    def __init__(self, scene: Scene, config: GuardConfig, sight: Sight | None) -> None:
        super().__init__(scene)
        if not isinstance(self.world, SeesDepth):
            self.world.close()
            raise EvaluationError(f"the worlds of suite {scene.suite} give no depth images")
        self._robot = self.world
        self._config = config
        self._guard = Guard(config)
        self._guard.activate(self.time)
        self._eyes = (
            None if sight is None else Eyes(self.world, sight, config.base_frame, scene.seed)
        )
        self._planned = -math.inf  # observation that the newest plan answers [s]
        self._mode = Mode.HOLD
        self.stops: Counter[StopReason] = Counter()
        self.driven = 0.0
        self.slowed = 0.0

    @property
    @override
    def over(self) -> bool:
        """Whether the task is done, the time is up, or the guard waits for a person."""
        return super().over or bool(self.stops)

    @override
    def record(self, verdict: Verdict) -> None:
        super().record(verdict)
        if verdict.chunk is not None:
            self._planned = verdict.chunk.stamp

    @override
    def follow(self, twist: FloatArray, gripper: float | None, until: float) -> FloatArray:
        """Let the guard decide what of a command the arm follows; what it sent, (6,)."""
        now = self.time
        self._report(now)
        self._guard.submit(TwistCommand(now, self._config.base_frame, twist, Source.POLICY), now)
        if gripper is not None:
            self._guard.submit_gripper(GripperCommand(now, gripper, Source.POLICY), now)
        self._guard.hand_back(now)
        output = self._guard.update(now)
        self._note(output, moving=bool(np.any(twist)), duration=until - now)
        super().follow(output.twist, output.gripper, until)
        return output.twist

    def _report(self, now: float) -> None:
        """Tell the guard all that it hears on a robot."""
        guard = self._guard
        guard.report_pose(self._robot.tool_pose(), now)
        guard.report_opening(self._robot.gripper_opening(), now, now)
        guard.report_health(PolicyHealth(now - self._planned), now)
        if self._eyes is not None:
            seen = self._eyes.look(now)
            if seen is not None:
                guard.report_clearance(seen, now)

    def _note(self, output: GuardOutput, *, moving: bool, duration: float) -> None:
        if self._mode is Mode.AUTO and output.mode is not Mode.AUTO and output.reason is not None:
            self.stops[output.reason] += 1
        self._mode = output.mode
        if output.mode is Mode.AUTO and moving:
            self.driven += duration
            self.slowed += duration if output.scale < FREELY else 0.0
