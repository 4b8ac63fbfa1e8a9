# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The emergency stop's input: pressed or not, and whether its heartbeat is there."""

from __future__ import annotations

import math

from magma_ros.types import Answer, StopReason


class EmergencyStop:
    """Keeps the last state of the emergency stop.

    It is never forgotten, not even while the guard is inactive: a latched input is sent only once.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._told = -math.inf

    def start(self, now: float) -> None:
        """Begin to wait for a heartbeat."""
        self._told = max(self._told, now)

    def report(self, now: float, *, pressed: bool, others: str = "") -> Answer:
        """Receive whether it is pressed.

        Args:
            now: The time [s].
            pressed: What was said.
            others: Who says so, if that is more than one: then a press stays, because nobody
                knows whether who releases is who pressed.
        """
        self._told = now
        if self._pressed and not pressed and others:
            sentence = (
                f"The emergency stop stays pressed, for several may have pressed it. {others}"
            )
            return Answer(accepted=False, sentence=sentence)
        self._pressed = pressed
        return Answer(accepted=True, sentence="the emergency stop is noted")

    def trouble(self, now: float, heartbeat: float) -> tuple[StopReason, str] | None:
        """Why the arm must be stopped at ``now`` [s], or None.

        Args:
            now: The time.
            heartbeat: Longest silence that is allowed [s]; 0 if it speaks only on a change.
        """
        if self._pressed:
            return StopReason.E_STOP, ""
        if heartbeat > 0.0 and (silence := now - self._told) > heartbeat:
            return StopReason.E_STOP_SILENT, f"nothing came on e_stop for {silence:.2f} s"
        return None
