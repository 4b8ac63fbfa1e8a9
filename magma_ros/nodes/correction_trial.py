# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a person at the console, who corrects a policy as the simulator's expert would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from magma_ros.console.operator import Operator
from magma_ros.console.robot import Verb
from magma_ros.episodes.events import BAD
from magma_ros.evaluation.bench.corrections import Move, Patience, shares
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.companion import Companion, until
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.types import Answer, FloatArray, Source

PERIOD = 0.04
"""Time between two looks at what the expert does [s], as between two frames of motion."""

PATIENCE = 20.0
"""Longest wait for what is asked [s]."""

SHORTEST = 0.3
"""Time of driving below which a take-over shows nothing, as the policy was just done [s]."""

FRESH = 0.3
"""Age beyond which the expert's twist is followed no more [s]."""


class ShownScene(Companion):
    """Sets scenes, and hears what the expert would do in them and what becomes of the task.

    Args:
        gripper: The robot's gripper.
    """

    def __init__(self, gripper: GripperJoint) -> None:
        super().__init__("stand_in")
        self._gripper = gripper
        self._lock = threading.Lock()
        self._twist: FloatArray = np.zeros(6)
        self._heard = 0.0
        self._opening = 1.0
        self._status: dict[str, dict[str, str]] = {}
        hear = self.node.create_subscription
        hear(TwistStamped, names.EXPERT_TWIST, self._on_twist, qos.STATE)
        hear(JointState, names.EXPERT_GRIPPER, self._on_gripper, qos.STATE)
        for topic in (names.TASK_STATUS, names.GUARD_MODE, names.RECORDER_STATUS):
            hear(DiagnosticStatus, topic, self._keeper(topic), qos.LATCHED)
        self.begin()

    def reset(self, seed: int) -> None:
        """Begin the scene of a seed.

        Raises:
            TimeoutError: The simulator does not.
        """
        wanted = Parameter("seed", value=seed).to_parameter_msg()
        request = SetParameters.Request(parameters=[wanted])
        kept = self.call(names.SIM_SET_PARAMETERS, PATIENCE, kind=SetParameters, request=request)
        if kept is None or not all(result.successful for result in kept.results):
            raise TimeoutError(f"the simulator does not take the seed {seed}")
        begun = self.call(names.SIM_RESET, PATIENCE)
        there = {"state": "RUNNING", "seed": str(seed)}.items()
        if begun is None or not until(
            lambda: there <= self._values(names.TASK_STATUS).items(), PATIENCE
        ):
            raise TimeoutError(f"the simulator does not begin the scene of seed {seed}")

    @property
    def task(self) -> str:
        """State of the task: RUNNING, SUCCEEDED or TIMED_OUT."""
        return self._values(names.TASK_STATUS).get("state", "")

    @property
    def mode(self) -> str:
        """The guard's mode."""
        return self._values(names.GUARD_MODE).get("mode", "")

    def closed_episode(self) -> Path:
        """The folder of the episode that was just closed.

        Raises:
            TimeoutError: It is still open.
        """
        if not until(lambda: self._recorder("recording") == "False", PATIENCE):
            raise TimeoutError("the recorder does not close its episode")
        return Path(self._recorder("path")).parent

    def shown(self) -> tuple[FloatArray, float] | None:
        """Twist (6,) [m/s, rad/s] and opening that the expert would send now; None: it is late."""
        with self._lock:
            if time.monotonic() - self._heard > FRESH:
                return None
            return self._twist.copy(), self._opening

    def _recorder(self, key: str) -> str:
        return self._values(names.RECORDER_STATUS).get(key, "")

    def _values(self, topic: str) -> dict[str, str]:
        with self._lock:
            return self._status.get(topic, {})

    def _keeper(self, topic: str) -> Callable[[DiagnosticStatus], None]:
        def keep(message: DiagnosticStatus) -> None:
            with self._lock:
                self._status[topic] = convert.status_values(message)

        return keep

    def _on_twist(self, message: TwistStamped) -> None:
        twist = convert.twist_from_message(message, Source.TELEOP).twist
        with self._lock:
            self._twist, self._heard = twist, time.monotonic()

    def _on_gripper(self, message: JointState) -> None:
        opening = self._gripper.opening(message)
        if opening is not None:
            with self._lock:
                self._opening = opening


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a scene.

    Attributes:
        done: Whether the task was done.
        taken: Whether the stand-in took over and showed something.
        episode: Folder of its recording.
    """

    done: bool
    taken: bool
    episode: Path


class CorrectionTrial:
    """Lets the policy try, and takes over at the console where it is not done in time.

    Args:
        scene: Where the expert is heard.
        operator: The stand-in's connection to the console; it holds the lease.
        patience: How long it waits.
    """

    def __init__(self, scene: ShownScene, operator: Operator, patience: Patience) -> None:
        self._scene, self._operator, self._patience = scene, operator, patience

    def play(self, seed: int) -> Played:
        """Play the scene of a seed, from its beginning to the end of its recording.

        Raises:
            TimeoutError: Something that was asked was not done.
        """
        scene, operator = self._scene, self._operator
        self._ask(lambda: operator.record(on=False))
        scene.reset(seed)
        self._ask(lambda: operator.record(on=True))
        taken = self._drive() >= SHORTEST
        operator.let_go()
        self._let_drive(Verb.HOLD, "HOLD")
        done = scene.task == "SUCCEEDED"
        if taken:
            # What the policy did before it was helped is no example, though the task was done.
            result = "done" if done else "not done"
            note = f"taken over after {self._patience.policy:g} s, then {result}"
            self._ask(lambda: operator.label(BAD, note))
        self._ask(lambda: operator.record(on=False))
        return Played(done, taken, scene.closed_episode())

    def _drive(self) -> float:
        """Watch, then drive; for how long [s]. Nobody drives while the guard is in HOLD."""
        watched = driven = 0.0
        while (move := self._patience.move(self._scene.task, watched, driven)) is not Move.END:
            driving = move is Move.DRIVE
            self._let_drive(*((Verb.TAKE_OVER, "TELEOP") if driving else (Verb.HAND_BACK, "AUTO")))
            began = time.monotonic()
            if driving:
                self._follow()
            time.sleep(PERIOD)
            watched += 0.0 if driving else time.monotonic() - began
            driven += time.monotonic() - began if driving else 0.0
        return driven

    def _follow(self) -> None:
        """Hold what the expert would send."""
        shown = self._scene.shown()
        if shown is None:
            self._operator.let_go()
            return
        twist, opening = shown
        self._operator.hold(shares(twist, *self._operator.top_speeds), opening)

    def _let_drive(self, verb: Verb, mode: str) -> None:
        """Ask the guard until it is in a mode."""
        end, said = time.monotonic() + PATIENCE, "nothing"
        while self._scene.mode != mode:
            if time.monotonic() > end:
                raise TimeoutError(f"mode {mode} was not reached; the guard said: {said}")
            said = self._operator.request(verb).sentence
            until(lambda: self._scene.mode == mode, 0.3)

    def _ask(self, ask: Callable[[], Answer]) -> None:
        end = time.monotonic() + PATIENCE
        while not (answer := ask()).accepted:
            if time.monotonic() > end:
                raise TimeoutError(answer.sentence)
            time.sleep(0.2)
