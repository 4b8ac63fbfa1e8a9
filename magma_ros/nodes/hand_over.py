# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hands a simulated robot to its policy once, for the person who started the simulation."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from magma_ros.nodes import names
from magma_ros.types import Mode, StopReason

PATIENCE = 2.0
"""How long an answer of the guard is waited for before it is asked again [s]."""


class HandOver:
    """Asks the guard to hand back until it does so for the first time, and never again.

    It asks only while the guard holds because it has just started. Whatever else has happened, be
    it a stop, a hold for another reason or a person who drives, ends the asking for good: from
    then on the arm waits for a person. Starting a demonstration is a person's leave for a
    simulated robot; nothing on a real robot may use this class.

    Args:
        node: Node that asks.
        tell: Called with the guard's sentence whenever it answers something new.

    Attributes:
        over: Whether the asking has ended.
    """

    def __init__(self, node: Node, tell: Callable[[str], None]) -> None:
        self._client = node.create_client(Trigger, names.GUARD_HAND_BACK)
        self._tell = tell
        self._told = ""
        self._asked: Future | None = None
        self._asked_at = 0.0
        self.over = False

    def on_mode(self, mode: str, reason: str) -> None:
        """Receive the guard's mode and the name of its reason."""
        if (mode, reason) != (Mode.HOLD.name, StopReason.STARTUP.name):
            self.over = True

    def ask(self) -> None:
        """Ask, unless that is over or an answer is still to come."""
        if self.over or not self._client.service_is_ready():
            return
        if self._asked is not None:
            if time.monotonic() - self._asked_at < PATIENCE:
                return
            self._client.remove_pending_request(self._asked)
        self._asked_at = time.monotonic()
        self._asked = self._client.call_async(Trigger.Request())
        self._asked.add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        if self._asked is None or future is not self._asked or future.cancelled():
            return
        self._asked = None
        answer = future.result()
        self.over = self.over or bool(answer.success)
        if answer.message != self._told:
            self._told = answer.message
            self._tell(answer.message)
