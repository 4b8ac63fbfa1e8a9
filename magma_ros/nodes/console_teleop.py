# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of the console's operator: twist, dead-man and gripper, only while that person drives.

The guard refuses two publishers of these topics, so the console has none while its operator merely
watches, and drops them as soon as the guard says that nobody drives by hand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from magma_ros.console.held import Held, turned
from magma_ros.console.robot import Jog
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.console_frames import JogFrames
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.types import FloatArray, Mode

RATE = 50.0
"""Rate of an operator's commands [Hz]."""

GRANTED_FOR = 2.0
"""Time within which the guard must report TELEOP after it has granted a take-over [s]."""


class _Outputs(NamedTuple):
    twist: Any
    enable: Any
    gripper: Any


class ConsoleTeleop:
    """Sends what an operator holds; :meth:`jog` and :meth:`release` may come from any thread.

    Args:
        node: Node to publish with.
        frames: What a twist's frame means now.
        gripper: The gripper's joint.
        mode: Tells who drives.
        clock: A steady clock [s].
    """

    def __init__(
        self,
        node: ManagedNode,
        frames: JogFrames,
        gripper: GripperJoint,
        mode: Callable[[], Mode | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._frames, self._gripper = node, frames, gripper
        self._mode, self._clock = mode, clock
        self._base = str(node.settings["base_frame"])
        self._lock = threading.Lock()
        self._held = Held()
        self._outputs: _Outputs | None = None
        self._granted = 0.0
        self._confirmed = False  # whether the guard has said TELEOP since it granted it
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(1.0 / RATE, self._tick, clock=steady)
        self._timer.cancel()

    # From any thread

    def jog(self, jog: Jog) -> None:
        """Hold the dead-man and move so; what is no finite twist (6,) is a release."""
        if jog.twist.shape != (6,) or not np.isfinite(jog.twist).all():
            self.release()
            return
        with self._lock:
            self._held.hold(jog, self._clock())

    def release(self) -> None:
        """Let go of the dead-man, and say so before this returns."""
        with self._lock:
            moved = self._held.at(self._clock()) is not None
            self._held.release(self._clock())
            if moved:
                self._publish_rest()

    def leave(self) -> None:
        """Let go of the dead-man, say so before this returns, and then fall silent."""
        with self._lock:
            here = self._held.present(self._clock())
            self._held.leave()
            if here:
                self._publish_rest()

    # On the executor's thread

    def others(self) -> str:
        """Who else sends commands by hand, in a sentence, or empty."""
        for topic in (names.TELEOP_TWIST, names.TELEOP_GRIPPER, names.TELEOP_ENABLE):
            full = self._node.resolve_topic_name(topic)
            own = self._node.get_fully_qualified_name() if self._outputs is not None else None
            who = [
                f"{info.node_namespace.rstrip('/')}/{info.node_name}"
                for info in self._node.get_publishers_info_by_topic(full)
            ]
            if own in who:
                who.remove(own)
            if who:
                return (
                    f"{' and '.join(sorted(who))} may already drive by hand on {full}; end it "
                    "first (a process that was killed is forgotten within ten seconds)."
                )
        return ""

    def begin(self) -> None:
        """Become the one who drives by hand; the guard has just granted it."""
        with self._lock:
            self._granted = self._clock()
            self._confirmed = self._mode() is Mode.TELEOP
            self._held.release(self._granted)
            if self._outputs is None:
                publisher = self._node.create_publisher
                self._outputs = _Outputs(
                    publisher(TwistStamped, names.TELEOP_TWIST, qos.STATE),
                    publisher(Bool, names.TELEOP_ENABLE, qos.STATE),
                    publisher(JointState, names.TELEOP_GRIPPER, qos.STATE),
                )
        self._timer.reset()

    def end(self) -> None:
        """Let go and drive no more."""
        self._timer.cancel()
        with self._lock:
            self._held.leave()
            if self._outputs is not None:
                self._publish_rest()
                for publisher in self._outputs:
                    self._node.destroy_publisher(publisher)
                self._outputs = None

    def close(self) -> None:
        """Drive no more, for good."""
        self.end()
        self._node.destroy_timer(self._timer)

    def on_mode(self) -> None:
        """The guard has said who drives."""
        if self._mode() is Mode.TELEOP:
            self._confirmed = True
        elif self._confirmed:
            self.end()

    def _tick(self) -> None:
        if not self._confirmed and self._clock() - self._granted > GRANTED_FOR:
            self.end()
            return
        with self._lock:
            now = self._clock()
            jog = self._held.at(now)
            rotation = None if jog is None else self._frames.rotation(jog.frame, now)
            if jog is not None and rotation is not None:
                self._publish(turned(jog.twist, rotation), jog.gripper, pressed=True)
            elif self._held.present(now):
                self._publish_rest()

    def _publish_rest(self) -> None:
        if self._outputs is not None:
            self._publish(np.zeros(6), None, pressed=False)

    def _publish(self, twist: FloatArray, opening: float | None, *, pressed: bool) -> None:
        assert self._outputs is not None
        stamp: Time = self._node.get_clock().now().to_msg()
        self._outputs.twist.publish(convert.twist_to_message(twist, self._base, stamp))
        self._outputs.enable.publish(Bool(data=pressed))
        if opening is not None:
            self._outputs.gripper.publish(self._gripper.command(opening, stamp))
