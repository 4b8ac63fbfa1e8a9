# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who moves the robot, on which of their frames, and for how long."""

from __future__ import annotations

import math
import threading

import numpy as np

from magma_ros.console.client import Client
from magma_ros.console.frames import JogNow, LeaseAsk, LetGo
from magma_ros.console.lease import Lease
from magma_ros.console.robot import Jog, Robot
from magma_ros.types import Answer, FloatArray

SILENCE = 1.0
"""Time without a sign of life after which a holder loses the lease [s]."""

UNHEARD = 0.4
"""Time without a sign of life after which a holder no longer counts as being there [s]; pings,
which a browser answers, are 0.25 s apart."""

PRESENCE_PERIOD = 0.25
"""Time between two signs to the robot that the operator is there and presses nothing [s]."""


class Drive:
    """Lets the holder of the lease, and nobody else, move the robot.

    Args:
        robot: What is moved.
        linear_speed: Speed of a twist of 1 [m/s].
        angular_speed: Angular speed of a twist of 1 [rad/s].

    Attributes:
        lease: Who may move the robot.
    """

    def __init__(self, robot: Robot, linear_speed: float, angular_speed: float) -> None:
        self.lease: Lease[Client] = Lease()
        self._robot = robot
        self._top = np.array([linear_speed] * 3 + [angular_speed] * 3)
        self._shut = False
        self._lock = threading.Lock()  # between the last release and any jog
        self._present = -math.inf

    @property
    def expires(self) -> float:
        """When the motion is over unless another frame comes [s]; ``-inf`` if there is none."""
        return self.lease.holder.stream.expires if self.lease.holder else -math.inf

    def jog(self, client: Client, frame: JogNow, now: float) -> None:
        """Move as a browser wishes, or tell it why not."""
        if wrong := client.stream.in_order(frame):
            return client.blame(wrong, now)
        self.expire(now)
        wrong = self.no_lease(client) or client.stream.judge(frame, now)
        if wrong:
            client.stream.forfeit(frame.hold)
            if client is self.lease.holder:
                self._release(now)
            client.refuse(wrong, now)
            return client.send_newest({"type": "over", "hold": frame.hold, "sentence": wrong})
        twist = self._top * _within_one(np.array(frame.twist))
        left = client.stream.expires - now
        with self._lock:
            if not self._shut:
                self._robot.jog(Jog(frame.frame, twist, frame.gripper, lifetime=left))
        return None

    def let_go(self, client: Client, frame: LetGo, now: float) -> None:
        """Release, however late or often the frame comes."""
        wrong = client.stream.in_order(frame)
        client.stream.end()
        if client is self.lease.holder:
            self._release(now)
        if wrong:
            client.blame(wrong, now)

    def stop(self, now: float) -> None:
        """Release, whoever moves the robot."""
        if self.lease.holder:
            self.lease.holder.stream.end()
        self._release(now)

    def expire(self, now: float) -> None:
        """Release if the time of the motion is over, or the holder has fallen silent."""
        holder = self.lease.holder
        if holder is None:
            return
        hold = holder.stream.hold
        if holder.stream.lapse(now):
            self._leave(now)  # a browser that can be heard sends on, or a release
            sentence = "no fresh motion frame came in time; let go of the keys and press again"
            holder.send_newest({"type": "over", "hold": hold, "sentence": sentence})
        if now - holder.heard > SILENCE:
            self.drop(holder, now)

    def stand_by(self, now: float) -> None:
        """Tell the robot that an operator is there who presses nothing."""
        holder = self.lease.holder
        if holder is None or self.expires > -math.inf or now - self._present < PRESENCE_PERIOD:
            return
        if now - holder.heard <= UNHEARD:
            self._release(now)
        else:
            self._leave(now)

    def wish(self, client: Client, ask: LeaseAsk, now: float) -> Answer:
        """Do what a browser wishes about the lease, or say why not."""
        before = self.lease.holder
        match ask.wish:
            case "ask":
                answer = self._asked(client, now)
            case "grant" | "keep":
                answer = self._answered(client, granted=ask.wish == "grant")
            case "drop":
                self.lease.drop(client)
                answer = Answer(accepted=True, sentence="you do not hold the lease any more")
        self._follow(before, now)
        return answer

    def lapse(self, now: float) -> None:
        """Pass the lease on if the holder has not answered who asks."""
        before = self.lease.holder
        self.lease.lapse(now)
        self._follow(before, now)

    def drop(self, client: Client, now: float) -> None:
        """A browser is gone, or seems to be: take what it holds."""
        before = self.lease.holder
        self.lease.drop(client)
        self._follow(before, now)

    def no_lease(self, client: Client) -> str:
        """Why a browser may not move the robot, in one sentence, or empty."""
        if self.lease.holder is client:
            return ""
        if self.lease.holder is None:
            return "nobody holds the lease; ask for it first"
        return f"{self.lease.holder.name} holds the lease; ask for it, or watch"

    def shut(self) -> None:
        """Release, and never move again; from any thread."""
        with self._lock:
            self._shut = True
            self._robot.release()

    def _asked(self, client: Client, now: float) -> Answer:
        if self.lease.ask(client, now):
            return Answer(accepted=True, sentence="you hold the lease")
        if self.lease.asking is not client:
            return Answer(accepted=False, sentence="somebody else asks for the lease already")
        assert self.lease.holder is not None
        sentence = f"{self.lease.holder.name} has {self.lease.left(now):.0f} s to answer"
        return Answer(accepted=True, sentence=sentence)

    def _answered(self, client: Client, *, granted: bool) -> Answer:
        asking = self.lease.asking
        done = self.lease.grant(client) if granted else self.lease.keep(client)
        if not done or asking is None:
            return Answer(accepted=False, sentence="nobody asks you for the lease")
        sentence = f"{asking.name} holds the lease" if granted else f"{asking.name} was declined"
        return Answer(accepted=True, sentence=sentence)

    def _follow(self, before: Client | None, now: float) -> None:
        """The lease may have changed hands: who held it moves nothing any more."""
        if before is not None and self.lease.holder is not before:
            before.stream.end()
            if self.lease.holder is None:
                self._leave(now)
            else:
                self._release(now)

    def _release(self, now: float) -> None:
        self._present = now
        self._robot.release()

    def _leave(self, now: float) -> None:
        self._present = now
        self._robot.leave()


def _within_one(twist: FloatArray) -> FloatArray:
    """The twist with its linear and its angular part no longer than 1 each."""
    halves = twist.reshape(2, 3)
    lengths = np.linalg.norm(halves, axis=1, keepdims=True)
    shortened: FloatArray = halves / np.maximum(lengths, 1.0)
    return shortened.reshape(6)
