# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot as a console sees it, over ROS: what is heard, what is asked, and what is sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState, Range
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import ImageMarker, MarkerArray

from magma_ros.console.robot import Jog, RobotView, Verb
from magma_ros.nodes import names, qos
from magma_ros.nodes.console_cameras import ConsoleCameras
from magma_ros.nodes.console_frames import JogFrames
from magma_ros.nodes.console_teleop import ConsoleTeleop
from magma_ros.nodes.console_view import ConsoleView, plain
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.pose_input import PoseInput
from magma_ros.nodes.subscriptions import subscribe_latched, subscribe_newest
from magma_ros.types import Answer, Pose

ANSWER_TIME = 1.0
"""Longest wait for an answer [s]."""

RECORDER_TIME = 3.5
"""The same where the recorder waits for its disk [s]; the page waits for four seconds."""

POSE_AGE = 0.5
"""Age beyond which a pose is refused [s]."""

LONGEST_INSTRUCTION = 400
VERDICTS = ("good", "bad")

SERVICES = {
    Verb.TAKE_OVER: names.GUARD_TAKE_OVER,
    Verb.HAND_BACK: names.GUARD_HAND_BACK,
    Verb.HOLD: names.GUARD_HOLD,
    Verb.STOP: names.GUARD_STOP,
    Verb.RESET: names.GUARD_RESET,
}

Result = TypeVar("Result")


class RosRobot:
    """Implements :class:`magma_ros.console.robot.Robot`; a node makes one when it is configured.

    Whatever makes or drops publishers runs on the executor's thread, as rclpy wants it; callers
    wait for it, but never longer than :data:`ANSWER_TIME`, or :data:`RECORDER_TIME` for a disk.

    Args:
        node: Node with :data:`~magma_ros.nodes.console_settings.CONSOLE_SETTINGS`.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        gripper = GripperJoint.from_settings(node.settings)
        self._view = ConsoleView(gripper, float(node.settings["limits.linear_speed"]))
        self._cameras = ConsoleCameras(node, self._view)
        self._frames = JogFrames(node, self._cameras.first_frame)
        self._teleop = ConsoleTeleop(node, self._frames, gripper, lambda: self._view.mode)
        self._guard = {verb: node.create_client(Trigger, name) for verb, name in SERVICES.items()}
        self._recorder = node.create_client(SetBool, names.RECORDER_RECORD)
        self._label = node.create_publisher(String, names.EPISODE_LABEL, qos.EVENTS)
        self._instruction: Any = None  # made with the first instruction: it would latch an old one
        self._pose = PoseInput(node, POSE_AGE, self._on_pose, self._refuse)
        self._subscribe()

    def close(self) -> None:
        """Let go of the robot; what is left are topics, which the node closes."""
        self._teleop.close()
        self._cameras.close()
        self._pose.close()

    def let_go(self) -> None:
        """Release, and drive no more until the next take-over."""
        self._teleop.end()

    # What a console may know

    def view(self) -> RobotView:
        """What is known now."""
        now = time.monotonic()
        return replace(
            self._view.now(), cameras=self._cameras.views(), jog_frames=self._frames.known(now)
        )

    def picture(self, camera: str, after: float = -math.inf) -> tuple[bytes, float] | None:
        """The newest JPEG of a camera and when it was heard [s, monotonic]; None if not newer."""
        return self._cameras.jpeg(camera, after)

    # What a console may ask

    def request(self, verb: Verb) -> Answer:
        """Ask the guard, and become the one who drives by hand if it grants that."""
        began = time.monotonic()
        deadline = began + ANSWER_TIME
        if verb is Verb.TAKE_OVER and (others := self._on_executor(self._teleop.others, deadline)):
            return Answer(accepted=False, sentence=others)
        answer = self._ask(self._guard[verb], Trigger.Request(), "guard", began)
        if answer.accepted and verb is Verb.TAKE_OVER:
            self._on_executor(self._teleop.begin, deadline + ANSWER_TIME)
        return answer

    def instruct(self, instruction: str) -> Answer:
        """Tell the robot what to do."""
        words = plain(instruction)
        if not words:
            return Answer(accepted=False, sentence="The instruction is empty; write what to do.")
        if len(words) > LONGEST_INSTRUCTION:
            return Answer(
                accepted=False,
                sentence=f"The instruction is longer than {LONGEST_INSTRUCTION} characters.",
            )
        sent = self._on_executor(lambda: self._instruct(words), time.monotonic() + ANSWER_TIME)
        if not sent:
            return Answer(accepted=False, sentence="The console is busy; try again.")
        return Answer(accepted=True, sentence=f"The robot is told: {words}")

    def record(self, *, on: bool) -> Answer:
        """Begin or end an episode."""
        request = SetBool.Request(data=on)
        return self._ask(self._recorder, request, "recorder", time.monotonic(), RECORDER_TIME)

    def label(self, verdict: str, note: str = "") -> Answer:
        """Label the episode being recorded, or else the last one."""
        if verdict and verdict not in VERDICTS:
            return Answer(accepted=False, sentence="An episode is labelled good or bad.")
        note = plain(note)
        labels = [text for text in (verdict, f"note: {note}" if note else "") if text]
        if not labels:
            return Answer(accepted=False, sentence="Say good, bad, or a note.")
        if self._view.now().recorder.age == math.inf:
            return Answer(
                accepted=False, sentence="No recorder is running, so nothing is labelled."
            )
        for text in labels:
            self._label.publish(String(data=text))
        return Answer(accepted=True, sentence=f"Labelled: {', '.join(labels)}.")

    def jog(self, jog: Jog) -> None:
        """Hold the dead-man and move so."""
        self._teleop.jog(jog)

    def release(self) -> None:
        """Let go of the dead-man."""
        self._teleop.release()

    def leave(self) -> None:
        """Let go, and tell the guard nothing more."""
        self._teleop.leave()

    # How

    def _ask(
        self, client: Any, request: Any, who: str, began: float, patience: float = ANSWER_TIME
    ) -> Answer:
        if not client.service_is_ready():
            return Answer(
                accepted=False,
                sentence=f"There is no {who}: nobody serves {client.srv_name}. Start it, then ask "
                "again.",
            )
        arrived = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: arrived.set())
        if not arrived.wait(max(0.0, began + patience - time.monotonic())):
            client.remove_pending_request(future)
            return Answer(
                accepted=False,
                sentence=f"The {who} has not answered on {client.srv_name} within "
                f"{patience:g} s; it may hang. Use the emergency stop if the arm moves.",
            )
        try:
            response = future.result()
        except Exception as error:  # noqa: BLE001 - a call that fails must be told, not end a page
            return Answer(accepted=False, sentence=f"The {who} could not be asked: {error}")
        if response is None:  # the call was cancelled: the node is closing
            return Answer(accepted=False, sentence="The console is ending.")
        return Answer(bool(response.success), plain(response.message))

    def _on_executor(self, act: Callable[[], Result], deadline: float) -> Result | None:
        """What ``act`` gives on the executor's thread, or None if that has no time for it."""
        if (executor := self._node.executor) is None:
            return None
        done = threading.Event()
        task = executor.create_task(act)
        task.add_done_callback(lambda _: done.set())
        if not done.wait(max(0.0, deadline - time.monotonic())):
            task.cancel()
            return None
        result: Result = task.result()
        return result

    def _instruct(self, words: str) -> bool:
        if self._instruction is None:
            self._instruction = self._node.create_publisher(String, names.INSTRUCTION, qos.LATCHED)
        self._instruction.publish(String(data=words))
        return True

    def _subscribe(self) -> None:
        node, view = self._node, self._view
        subscribe = node.create_subscription
        told = (names.INSTRUCTION, names.GUARD_INSTRUCTION)
        subscribe_newest(node, String, told, view.on_instruction)
        subscribe_latched(node, DiagnosticStatus, names.GUARD_MODE, self._on_mode)
        subscribe_latched(node, DiagnosticStatus, names.RECORDER_STATUS, view.on_recorder)
        for topic in names.TOOL_TWISTS:
            subscribe(TwistStamped, topic, view.on_twist, qos.STATE)
        subscribe(DiagnosticStatus, names.POLICY_STATUS, view.on_plan, qos.EVENTS)
        subscribe(DiagnosticStatus, names.POLICY_HEALTH, view.on_health, qos.STATE)
        subscribe(String, names.POLICY_HELP, view.on_help, qos.EVENTS)
        subscribe(ImageMarker, names.POLICY_TRACE, view.on_trace, qos.EVENTS)
        subscribe(JointState, names.JOINT_STATES, view.on_joints, qos.SENSOR_STATE)
        subscribe(Range, names.CLEARANCE, view.on_clearance, qos.SENSOR_STATE)
        subscribe(MarkerArray, names.MARKS, view.on_marks, qos.SENSOR_STATE)
        subscribe(DiagnosticArray, names.DIAGNOSTICS, view.on_diagnostics, qos.EVENTS)

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self._view.on_mode(message)
        self._teleop.on_mode()

    def _on_pose(self, pose: Pose) -> None:
        self._view.on_pose(pose)
        self._frames.on_pose(pose, time.monotonic())

    def _refuse(self, sentence: str) -> None:
        self._node.get_logger().warning(sentence, throttle_duration_sec=10.0)
