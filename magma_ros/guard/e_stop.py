# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The emergency stop's input: pressed or not, and whether its heartbeat is there."""

from __future__ import annotations

import math

from magma_ros.types import StopReason


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

    def report(self, now: float, *, pressed: bool) -> None:
        """Receive whether it is pressed."""
        self._pressed, self._told = pressed, now

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
