# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated robot behind the topics of a real one; its physics never waits for anyone."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from magma_ros.agent.meter import Meter
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.diagnosis import PERIOD, Diagnosis
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, GripperJoint
from magma_ros.nodes.limits import JOINT_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.settings import Setting
from magma_ros.nodes.sim_cameras import SIM_CAMERA_SETTINGS, SimCameras
from magma_ros.nodes.sim_expert import SHOW_EXPERT, SimExpert
from magma_ros.nodes.sim_joints import SimJoints
from magma_ros.policy.marks import named_marks
from magma_ros.types import FloatArray, Source

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time

    from magma_ros.sim.simulation import Simulation


class SimNode(ManagedNode):
    """Steps the physics by the wall clock, obeys twists, publishes cameras and robot state."""

    SETTINGS = (
        Setting("suite", "tabletop", "Task suite, a file below sim/suites."),
        Setting("task", "place", "Task of the suite."),
        Setting("split", "seen", "Variation of scene and instruction: seen or shift."),
        Setting(
            "seed",
            0,
            "Seed of the scene; a change counts from the next reset.",
            0,
            2**31 - 1,
            live=True,
        ),
        Setting("instruction", "", "Instruction instead of the task's own; empty for that."),
        Setting("publish_clock", False, "Stamp with simulated time and publish /clock."),
        Setting("state_rate", 50.0, "Rate of physics, joint states and poses [Hz].", 10.0, 240.0),
        Setting("command_timeout", 0.1, "Age after which a twist counts as zero [s].", 0.01, 2.0),
        Setting(
            "diagnostics.late_tick",
            2.0,
            "Time between two steps that one in twenty may exceed without a warning, in periods.",
            1.0,
            100.0,
        ),
        Setting(
            "time_limit",
            30.0,
            "Time for the task from its first motion [s], 0 for no end.",
            0.0,
            3600.0,
        ),
        Setting("base_frame", "base_link", "Frame of poses and twists."),
        Setting("ee_frame", "tool0", "Frame of the end effector."),
        *JOINT_SETTINGS,
        SHOW_EXPERT,
        *SIM_CAMERA_SETTINGS,
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters; the scene is built on configure."""
        super().__init__("sim")
        self._simulation: Simulation | None = None

    @property
    def _world(self) -> Simulation:
        assert self._simulation is not None, "used only between setup and teardown"
        return self._simulation

    def setup(self) -> None:
        """Build the scene and open the topics."""
        self._gripper = GripperJoint.from_settings(self.settings)
        self._build_scene()
        self._open_outputs()
        self._joints = SimJoints.of(self, self._world)
        if self._joints is None:
            self.create_subscription(TwistStamped, names.ROBOT_TWIST, self._on_twist, qos.STATE)
        self.create_subscription(JointState, names.ROBOT_GRIPPER, self._on_gripper, qos.STATE)
        self.create_service(Trigger, "~/reset", self._on_reset)

    def start(self) -> None:
        """Let time run."""
        self._last_tick = time.monotonic()
        period = 1.0 / self.settings["state_rate"]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ticks = Meter()
        self._timers = [
            self.create_timer(period, self._tick, clock=steady),
            self.create_timer(PERIOD, self._publish_diagnostics, clock=steady),
        ]
        self._tell_task()

    def stop(self) -> None:
        """Freeze time."""
        for timer in self._timers:
            self.destroy_timer(timer)

    def teardown(self) -> None:
        """Close the physics server."""
        if self._simulation is not None:
            self._simulation.close()
            self._simulation = None

    def _build_scene(self) -> None:
        from magma_ros.sim.simulation import Simulation  # pybullet is an extra

        self.teardown()
        self._simulation = Simulation(
            self.settings["task"],
            suite=self.settings["suite"],
            split=self.settings["split"],
            seed=self.settings["seed"],
        )
        self._twist: FloatArray = np.zeros(6)
        self._twist_time = 0.0
        self._opening = 1.0
        self._moved_at: float | None = None
        self._outcome: str | None = None
        self._touched = 0

    def _open_outputs(self) -> None:
        pub = self.create_publisher
        self._cameras = SimCameras(self, self.settings, self._world)
        self._joint_publisher = pub(JointState, names.JOINT_STATES, qos.STATE)
        self._pose_publisher = pub(PoseStamped, names.EE_POSE, qos.STATE)
        self._tf_publisher = pub(TFMessage, names.TF, qos.EVENTS)
        self._instruction_publisher = pub(String, names.INSTRUCTION, qos.LATCHED)
        self._task_publisher = pub(DiagnosticStatus, names.TASK_STATUS, qos.LATCHED)
        self._clock_publisher = pub(ClockMessage, "/clock", qos.IMAGES)
        self._diagnosis = Diagnosis(self)
        self._expert: SimExpert | None = None
        if self.settings[SHOW_EXPERT.name]:
            self._expert = SimExpert(self, self._gripper, self.settings["base_frame"])
        self._cameras.begin(self._world, self._stamp())

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.GUARD).twist
        if not np.isfinite(twist).all():
            raise convert.MessageError("the robot's twist is not finite")
        self._twist = twist
        self._twist_time = time.monotonic()
        if self._moved_at is None and np.any(self._twist):
            self._moved_at = self._world.time

    def _on_gripper(self, message: JointState) -> None:
        opening = self._gripper.opening(message)
        if opening is not None:
            self._opening = opening

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._build_scene()
        if self._joints is not None:
            self._joints.restart()
        self._cameras.begin(self._world, self._stamp())
        self._tell_task()
        response.success, response.message = True, "The scene is as its seed makes it."
        return response

    def _tell_task(self) -> None:
        """Say what is to be done in this scene."""
        text = self.settings["instruction"] or self._world.instruction
        self._wanted = about(self._world, text)
        self._instruction_publisher.publish(String(data=text))
        self._publish_task("RUNNING", f"Task {self._world.task_name}: {text}")

    def _tick(self) -> None:
        """Catch up with the wall clock, then show the world as it now is."""
        now = time.monotonic()
        # A stall longer than this is a suspended machine, not physics worth simulating.
        elapsed = min(now - self._last_tick, 0.25)
        self._last_tick = now
        self._ticks.note(now)
        fresh = now - self._twist_time < self.settings["command_timeout"]
        if self._joints is None:
            self._world.command(self._twist if fresh else np.zeros(6), self._opening)
        elif self._joints.drive(self._world, self._opening, elapsed) and self._moved_at is None:
            self._moved_at = self._world.time
        self._world.step(elapsed)
        stamp = self._stamp()
        self._publish_state(stamp)
        if self._expert is not None:
            self._expert.publish(self._world, stamp)
        self._cameras.publish(self._world, now, stamp)
        self._judge()

    def _stamp(self) -> Time:
        if not self.settings["publish_clock"]:
            return self.get_clock().now().to_msg()
        stamp = convert.to_stamp(self._world.time)
        self._clock_publisher.publish(ClockMessage(clock=stamp))
        return stamp

    def _publish_state(self, stamp: Time) -> None:
        sim, frame = self._world, self.settings["base_frame"]
        self._joint_publisher.publish(
            convert.joint_states_message(
                sim.joint_names, sim.joint_positions(), sim.joint_velocities(), stamp
            )
        )
        tool = sim.ee_pose()
        pose = convert.pose_to_message(tool, frame, stamp)
        self._pose_publisher.publish(pose)
        transform = convert.transform_message(
            tool.position, tool.quaternion, pose.header, self.settings["ee_frame"]
        )
        self._tf_publisher.publish(TFMessage(transforms=[transform]))

    def _publish_diagnostics(self) -> None:
        now = time.monotonic()
        period, interval = 1.0 / self.settings["state_rate"], self._ticks.p95(now)
        late = interval > self.settings["diagnostics.late_tick"] * period
        words = f"The physics comes up to {1e3 * interval:.0f} ms apart; the machine is too busy."
        values = {
            "rate_hz": self._ticks.rate(now),
            "period_p95_ms": 1e3 * interval,
            "command_age_s": now - self._twist_time if self._twist_time else math.inf,
        }
        sentence = "The physics keeps its rate."
        check = self._diagnosis.check("sim: physics", sentence, {words: late}, values)
        self._diagnosis.publish(check)

    def _judge(self) -> None:
        if self._outcome is None and self._world.contacts > self._touched:
            self._touched = self._world.contacts
            self._publish_task("RUNNING", f"The arm touched an obstacle ({self._touched} so far).")
        if self._outcome is not None or self._moved_at is None:
            return
        elapsed = self._world.time - self._moved_at
        if self._world.served(self._wanted):
            self._publish_task("SUCCEEDED", f"Done after {elapsed:.1f} s.", elapsed)
        elif 0.0 < self.settings["time_limit"] < elapsed:
            self._publish_task("TIMED_OUT", f"Not done after {elapsed:.1f} s.", elapsed)

    def _publish_task(self, state: str, text: str, elapsed: float = 0.0) -> None:
        self._outcome = None if state == "RUNNING" else state
        level = DiagnosticStatus.WARN if state == "TIMED_OUT" else DiagnosticStatus.OK
        values = {
            "state": state,
            "task": self._world.task_name,
            "suite": self.settings["suite"],
            "seed": self.settings["seed"],
            "elapsed": elapsed,
            "contacts": self._world.contacts,
        }
        self._task_publisher.publish(convert.status_message(level, "task", text, values))
        self.get_logger().info(text)


def about(world: Simulation, instruction: str) -> str:
    """Which thing an instruction is about: the scene's target, or what the named mark is on.

    At the start things are numbered from left to right in the picture of the first camera.
    """
    order = world.from_left(next(iter(world.cameras)))
    numbers = named_marks(instruction)
    marked = order[numbers[0] - 1 : numbers[0]] if len(numbers) == 1 else ()
    return next((name for name in marked if name in world.object_names), world.target_name)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``sim_node``."""
    return run(SimNode, args)
