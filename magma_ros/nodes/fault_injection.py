# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How each fault of ``magma bench faults`` is made, in real processes and on real messages."""

from __future__ import annotations

import copy
import math
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped

from magma_ros.console.operator import Operator, OperatorError
from magma_ros.console.robot import Verb
from magma_ros.console.stalling_proxy import StallingProxy
from magma_ros.evaluation.bench.faults import Fault, Outcome, Trial
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.fault_wire import CAMERAS, CLOCK, Change, FaultWire, Said

SHIFT = 5.0
"""By how much stamps are wrong [s]."""

JUMP = 3.0
"""By how much the clock jumps back [s]."""

FLOOD = 10
"""How often each message comes in a flood."""

PLAYED_SPEED = 0.05
"""Speed of the arm where the bench plays the policy [m/s]."""

JOG = (0.0, 0.15, 0.0, 0.0, 0.0, 0.0)
"""What a person holds: shares of the top speeds."""

PLAYED_PERIOD = 0.02
"""Time between two twists where the bench plays the policy [s]."""


class Processes(Protocol):
    """The processes of the robot."""

    def pid(self, executable: str) -> int:
        """The newest process of an executable."""
        ...

    def signal(self, executable: str, number: signal.Signals) -> None:
        """Send a signal to one process."""
        ...

    def terminate(self) -> None:
        """Ask all to end."""
        ...

    def launcher_words(self) -> str:
        """What the launcher last said about its own end, or empty."""
        ...


@dataclass
class Scene:
    """A robot, and what it takes to disturb it.

    Attributes:
        wire: Through which its messages go.
        robot: Its processes.
        console_port: Where the console is.
        policy: What plays the policy, if the bench does.
        proxy: Between the first operator and the console.
        operators: People at the console, played by the bench.
        heard: What people were told elsewhere than by the guard and in diagnostics.
    """

    wire: FaultWire
    robot: Processes
    console_port: int = 0
    policy: PlayedPolicy | None = None
    proxy: StallingProxy | None = None
    operators: list[Operator] = field(default_factory=list)
    heard: list[Said] = field(default_factory=list)

    def close(self) -> None:
        """End what the bench plays."""
        if self.policy is not None:
            self.policy.close()
        if self.proxy is not None:
            self.proxy.close()
        for operator in self.operators:
            operator.close()

    def trial(self, fault: Fault, began: float) -> Trial:
        """What followed a fault made at ``began`` [s, monotonic]."""
        wire = self.wire
        said = next(iter(self.heard), None) or wire.told(began)
        still = wire.arm_still(began)
        if fault.outcome is Outcome.GOES_ON and wire.moving():
            still = math.inf
        return Trial(
            fault.name,
            command_zero=wire.command_zero(began),
            arm_still=still,
            told=math.inf if said is None else said.when - began,
            sentence="" if said is None else " ".join(filter(None, (said.mode, said.text))),
        )


class PlayedPolicy:
    """Plays a policy that is well: twists and health at their rates.

    Attributes:
        twist: (6,) what it asks for [m/s, rad/s].
    """

    def __init__(self, wire: FaultWire) -> None:
        self.twist = np.array([0.0, PLAYED_SPEED, 0.0, 0.0, 0.0, 0.0])
        self._node = wire.node
        self._twists = self._node.create_publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
        self._health = self._node.create_publisher(DiagnosticStatus, names.POLICY_HEALTH, qos.STATE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Fall silent."""
        self._ended.set()
        self._thread.join()

    def _play(self) -> None:
        values = {"plan_age_s": 0.05, "fault": "", "waiting_for": "", "lacking": ""}
        while not self._ended.wait(PLAYED_PERIOD):
            stamp = self._node.get_clock().now().to_msg()
            self._twists.publish(convert.twist_to_message(self.twist, "base_link", stamp))
            self._health.publish(convert.status_message(DiagnosticStatus.OK, "policy", "", values))


def drive(driver: str, scene: Scene, patience: float) -> None:
    """Let the arm move: by the policy, by one that the bench plays, or by a person.

    Raises:
        TimeoutError: It does not within ``patience`` [s].
    """
    end = time.monotonic() + patience
    if driver == "person":
        _take_over(scene, end)
        return
    if driver == "bench":
        scene.policy = PlayedPolicy(scene.wire)
    said = "no guard answers"
    while scene.wire.mode != "AUTO":
        answer = scene.wire.call(names.GUARD_HAND_BACK)
        said = said if answer is None else answer.message
        if time.monotonic() > end:
            raise TimeoutError(f"the arm was not handed over: {said}")
        time.sleep(0.1)
    while not scene.wire.moving():
        if time.monotonic() > end:
            raise TimeoutError("the arm did not move")
        time.sleep(0.01)


def _take_over(scene: Scene, end: float) -> None:
    scene.proxy = StallingProxy(scene.console_port)
    while not scene.operators:
        try:
            scene.operators.append(Operator(f"http://127.0.0.1:{scene.proxy.port}", "Ada"))
        except OperatorError:
            if time.monotonic() > end:
                raise TimeoutError("the console does not answer") from None
            time.sleep(0.2)
    operator = scene.operators[0]
    answers = operator.take_lease(), operator.request(Verb.TAKE_OVER)
    while not all(answer.accepted for answer in answers):
        if time.monotonic() > end:
            raise TimeoutError(f"nobody could take over: {answers}")
        time.sleep(0.2)
        answers = operator.take_lease(), operator.request(Verb.TAKE_OVER)
    operator.hold(JOG)
    while not scene.wire.moving():
        if time.monotonic() > end:
            raise TimeoutError("the arm does not follow the operator")
        time.sleep(0.01)


# What becomes of messages


def _nothing(_: Any) -> list[Any]:
    return []


def _shifted(by: float) -> Change:
    """Stamps moved by ``by`` [s]."""

    def change(message: Any) -> list[Any]:
        message = copy.copy(message)
        stamp = message.clock if hasattr(message, "clock") else message.header.stamp
        moved = convert.to_stamp(convert.seconds(stamp) + by)
        stamp.sec, stamp.nanosec = moved.sec, moved.nanosec
        return [message]

    return change


def _frozen() -> Change:
    """The first picture again and again, under the newest stamp."""
    first: list[Any] = []

    def change(message: Any) -> list[Any]:
        first.append(message.data)
        message.data = first[0]
        return [message]

    return change


def _black(message: Any) -> list[Any]:
    message.data = bytes(len(message.data))
    return [message]


def _flood(message: Any) -> list[Any]:
    return [message] * FLOOD


def _on_cameras(make: Callable[[], Change]) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        scene.wire.changes |= {names.camera_topic(camera): make() for camera in CAMERAS}

    return inject


def _on_topic(topic: str, change: Change) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        scene.wire.changes[topic] = change

    return inject


def _signal(executable: str, number: signal.Signals) -> Callable[[Scene], None]:
    return lambda scene: scene.robot.signal(executable, number)


def _say(component: float) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        assert scene.policy is not None
        scene.policy.twist = np.array([0.0, component, 0.0, 0.0, 0.0, 0.0])

    return inject


def _foreign(topic: str) -> Callable[[Scene], None]:
    """Another publisher, which says zero."""

    def inject(scene: Scene) -> None:
        node = scene.wire.node
        publisher = node.create_publisher(TwistStamped, topic, qos.STATE)
        stamp = node.get_clock().now().to_msg()
        publisher.publish(convert.twist_to_message(np.zeros(6), "base_link", stamp))

    return inject


def _jump_back(scene: Scene) -> None:
    topics = [CLOCK, names.JOINT_STATES, names.EE_POSE, *map(names.camera_topic, CAMERAS)]
    scene.wire.changes |= {topic: _shifted(-JUMP) for topic in topics}


def _flood_all(scene: Scene) -> None:
    topics = [names.JOINT_STATES, names.EE_POSE, *map(names.camera_topic, CAMERAS)]
    scene.wire.changes |= dict.fromkeys(topics, _flood)


def _fill_disk(scene: Scene) -> None:
    """Let the recorder's file grow no more, as on a full disk."""
    pid = scene.robot.pid("recorder_node")
    opened = [file.resolve() for file in Path(f"/proc/{pid}/fd").iterdir()]
    size = max(file.stat().st_size for file in opened if file.suffix == ".mcap")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


def _terminate(scene: Scene) -> None:
    scene.robot.terminate()
    end = time.monotonic() + 2.0
    while not (words := scene.robot.launcher_words()) and time.monotonic() < end:
        time.sleep(0.005)
    if words:
        scene.heard.append(Said(time.monotonic(), 1, f"launch: {words}"))


def _second_operator(scene: Scene) -> None:
    second = Operator(f"http://127.0.0.1:{scene.console_port}", "Bob")
    scene.operators.append(second)
    second.hold([-share for share in JOG])
    answer = second.request(Verb.TAKE_OVER)
    scene.heard.append(Said(time.monotonic(), 1, f"to the second operator: {answer.sentence}"))


def _lose_page(scene: Scene) -> None:
    assert scene.proxy is not None
    scene.proxy.close()


def _stall_page(scene: Scene) -> None:
    assert scene.proxy is not None
    scene.proxy.stall()


INJECTIONS: dict[str, Callable[[Scene], None]] = {
    "policy-killed": _signal("policy_node", signal.SIGKILL),
    "policy-hung": _signal("policy_node", signal.SIGSTOP),
    "guard-killed": _signal("guard_node", signal.SIGKILL),
    "guard-hung": _signal("guard_node", signal.SIGSTOP),
    "camera-silent": _on_cameras(lambda: _nothing),
    "camera-frozen": _on_cameras(_frozen),
    "camera-black": _on_cameras(lambda: _black),
    "stamps-stale": _on_cameras(lambda: _shifted(-SHIFT)),
    "stamps-future": _on_cameras(lambda: _shifted(SHIFT)),
    "joints-lost": _on_topic(names.JOINT_STATES, _nothing),
    "pose-lost": _on_topic(names.EE_POSE, _nothing),
    "depth-lost": _on_topic(names.depth_topic("front"), _nothing),
    "clock-back": _jump_back,
    "twist-nan": _say(math.nan),
    "twist-infinite": _say(math.inf),
    "twist-huge": _say(1e6),
    "foreign-policy": _foreign(names.POLICY_TWIST),
    "foreign-robot": _foreign(names.ROBOT_TWIST),
    "console-killed": _signal("console_node", signal.SIGKILL),
    "console-hung": _signal("console_node", signal.SIGSTOP),
    "page-lost": _lose_page,
    "page-stalled": _stall_page,
    "two-operators": _second_operator,
    "flood": _flood_all,
    "disk-full": _fill_disk,
    "terminated": _terminate,
}
"""How each fault is made."""
