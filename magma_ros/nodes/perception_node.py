# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth in, the distance to obstacles out: eyes for the guard and for the policy's risk."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from rclpy.clock import Clock, ClockType

from magma_ros.agent.meter import Meter
from magma_ros.agent.watch import Watch
from magma_ros.nodes import convert, names
from magma_ros.nodes.clearance_input import VECTOR
from magma_ros.nodes.clouds import columns_from_message
from magma_ros.nodes.diagnosis import PERIOD, Diagnosis
from magma_ros.nodes.images import depth_from_message
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.marks import Marks
from magma_ros.nodes.perception_inputs import PerceptionInputs, Sight
from magma_ros.nodes.perception_outputs import PerceptionOutputs
from magma_ros.nodes.perception_settings import PERCEPTION_SETTINGS, clearance_config
from magma_ros.nodes.robot_description import RobotDescription
from magma_ros.perception.body import Body
from magma_ros.perception.clearance import ClearanceEstimator, ClearanceReading
from magma_ros.perception.depth import in_metres
from magma_ros.perception.joints import JointHistory
from magma_ros.types import MagmaError

TICK = 0.01
"""Time between two looks for a picture to measure by [s]."""

WATCH_PERIOD = 0.25
"""Time between two looks for what is missing [s]."""


PROTRUDES = (
    "What the gripper holds touches something, or reaches beyond body.held_radius and is an "
    "obstacle to the arm: open the gripper, or raise body.held_radius."
)


class Measured(NamedTuple):
    """A reading, or why there is none.

    Attributes:
        sight: The picture.
        reading: What it shows, or None.
        why: Why it shows nothing, in a sentence, or empty.
        took: How long that took [s].
    """

    sight: Sight
    reading: ClearanceReading | None
    why: str
    took: float


class PerceptionNode(ManagedNode):
    """Measures by the newest picture in one thread of its own, and publishes what it finds.

    While anything that it needs is missing it publishes no clearance, says why, and so leaves the
    guard to do what its parameters say of a silent sensor.
    """

    SETTINGS = PERCEPTION_SETTINGS

    def __init__(self) -> None:
        """Declare parameters."""
        super().__init__("perception")
        self._inputs: PerceptionInputs | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._job: Future[Measured] | None = None
        self._finished = self.create_guard_condition(self._on_measured)

    # Lifecycle

    def setup(self) -> None:
        """Open the topics; the robot's body may come with one of them."""
        settings = self.settings
        self._config = clearance_config(settings)
        self._estimator: ClearanceEstimator | None = None
        self._inputs = PerceptionInputs(self)
        self._description = RobotDescription(self, self._on_body)
        self._outputs = PerceptionOutputs(
            self, settings["base_frame"], self._config, 1.0 / settings["marker_rate"]
        )
        self._marks = Marks(self)
        self._diagnosis = Diagnosis(self)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="perception")
        self._watch = Watch()
        self._readings, self._durations, self._ages = Meter(), Meter(), Meter()
        self._newest: ClearanceReading | None = None

    def start(self) -> None:
        """Begin to look."""
        self._next = -math.inf
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [
            self.create_timer(TICK, self._look, clock=steady),
            self.create_timer(WATCH_PERIOD, self._find_problems, clock=steady),
            self.create_timer(PERIOD, self._publish_diagnostics, clock=steady),
        ]

    def stop(self) -> None:
        """Look no more."""
        for timer in self._timers:
            self.destroy_timer(timer)
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def teardown(self) -> None:
        """End the thread and close what is not a topic."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def _on_body(self, body: Body) -> None:
        assert self._inputs is not None
        self._estimator = ClearanceEstimator(self._config, body)
        self._inputs.joints = JointHistory(body.joints)
        self.get_logger().info(f"keeps {', '.join(body.guarded)} from obstacles")

    # Measuring

    def _look(self) -> None:
        """Begin to measure by the newest picture, unless the last one is still in work."""
        now = time.monotonic()
        if self._job is not None or self._estimator is None or now < self._next:
            return
        assert self._inputs is not None
        assert self._pool is not None
        if (sight := self._inputs.take(self._now())) is None:
            return
        share = len(self._inputs.sources) * self.settings["max_rate"]
        self._next = now + 0.9 / share  # a camera at just that rate must not lose every other
        self._job = self._pool.submit(_measured, self._estimator, sight)
        self._job.add_done_callback(lambda _: self._finished.trigger())

    def _on_measured(self) -> None:
        if self._job is None or not self._job.done() or self._inputs is None:
            return
        job, self._job = self._job, None
        sight, reading, why, took = job.result()
        now = time.monotonic()
        sight.source.obstacle = why
        self._durations.note(now, took)
        if reading is None or self._problems():
            return
        self._newest = reading
        self._readings.note(now)
        self._ages.note(now, self._now() - reading.stamp)
        self._outputs.publish(reading, now)
        self._mark(sight)

    def _mark(self, sight: Sight) -> None:
        """Number the things that a picture shows on the table, if it is time for that."""
        marks, estimator = self._marks, self._estimator
        if sight.source.name != marks.camera or sight.intrinsics is None or estimator is None:
            return
        if not marks.wants_depth:
            return
        try:
            depth = in_metres(depth_from_message(sight.message))
            body = estimator.body.solids(estimator.body.poses(sight.state.joints))
            covers = partial(body.holds, padding=self._config.padding)
            matrix = sight.intrinsics.matrix
            marks.see_depth(depth, matrix, sight.camera_pose, sight.stamp, covers)
        except Exception as error:  # noqa: BLE001 - one picture must not end the node
            self.get_logger().error(f"nothing is marked: {error!r}", throttle_duration_sec=10.0)

    # What is wrong

    def _problems(self) -> dict[str, str]:
        assert self._inputs is not None
        if self._description.problem:
            return {names.DESCRIPTION: self._description.problem}
        return self._inputs.problems(self._now())

    def _find_problems(self) -> None:
        problems, steady = self._problems(), time.monotonic()
        if self._watch.standstill(self._now(), steady):
            problems = {"clock": "the clock stands still; is /clock published?"}
        for _, why in self._watch.update(problems, steady):
            self.get_logger().warning(f"obstacles are not seen: {why}")

    def _publish_diagnostics(self) -> None:
        assert self._inputs is not None
        now, check = time.monotonic(), self._diagnosis.check
        problems = self._watch.lasting
        inputs = check(
            "perception: inputs",
            "All inputs are alive.",
            dict.fromkeys(problems.values(), True),
            {f"{name}_problem": why for name, why in problems.items()},
        )
        rate, age = self._readings.rate(now), self._ages.p95(now)
        least, most = self.settings["diagnostics.rate"], self.settings["diagnostics.age"]
        distance = self._newest.distance if self._newest is not None else math.nan
        clearance = check(
            "perception: clearance",
            f"The nearest obstacle is {distance:.3f} m away."
            if math.isfinite(distance)
            else "Nothing is within reach.",
            {
                "Obstacles are not seen; see perception: inputs.": bool(problems),
                f"Obstacles are measured {rate:.1f} times a second.": rate < least,
                f"Measurements are up to {1e3 * age:.0f} ms old.": age > most,
                PROTRUDES: self._newest is not None and self._newest.protrudes,
            },
            {
                "rate_hz": rate,
                "age_p95_ms": 1e3 * age,
                "duration_p95_ms": 1e3 * self._durations.p95(now),
                "skipped": sum(source.skipped for source in self._inputs.sources),
                "nearest_m": distance,
                "points": len(self._newest.points) if self._newest is not None else 0,
                "measured_share": self._newest.valid if self._newest is not None else math.nan,
            },
        )
        unmarked, values = self._marks.status()
        marks = check(
            "perception: marks", "Things are numbered.", {unmarked: bool(unmarked)}, values
        )
        self._diagnosis.publish(inputs, clearance, marks)

    def _now(self) -> float:
        return convert.seconds(self.get_clock().now().to_msg())


def _measured(estimator: ClearanceEstimator, sight: Sight) -> Measured:
    """What a picture shows; never raises, since nobody would hear of it in a thread."""
    began = time.perf_counter()
    reading, why = None, ""
    try:
        if sight.intrinsics is None:
            points = columns_from_message(sight.message, VECTOR)
            reading = estimator.update_cloud(points, sight.camera_pose, sight.state, sight.stamp)
        else:
            reading = estimator.update(
                depth_from_message(sight.message),
                sight.intrinsics,
                sight.camera_pose,
                sight.state,
                sight.stamp,
            )
    except MagmaError as error:
        why = f"{sight.source.name!r}: {error}"
    except Exception as error:  # noqa: BLE001 - one picture must not end the thread
        why = f"{sight.source.name!r} could not be measured: {error!r}"
    return Measured(sight, reading, why, time.perf_counter() - began)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``perception_node``."""
    return run(PerceptionNode, args)
