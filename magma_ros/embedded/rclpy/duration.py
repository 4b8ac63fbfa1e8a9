# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.duration``: a length of time."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from magma_ros.embedded.wire.messages import message_class

S_TO_NS = 10**9


@total_ordering
class Duration:
    """A length of time with nanosecond resolution; it may be negative."""

    def __init__(self, *, seconds: float = 0, nanoseconds: float = 0) -> None:
        """Add up seconds and nanoseconds."""
        self.nanoseconds = int(seconds * S_TO_NS) + int(nanoseconds)

    def to_msg(self) -> Any:
        """The duration as ``builtin_interfaces/msg/Duration``."""
        seconds, nanoseconds = divmod(self.nanoseconds, S_TO_NS)
        return message_class("builtin_interfaces/msg/Duration")(sec=seconds, nanosec=nanoseconds)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        """The duration that a ``builtin_interfaces/msg/Duration`` holds."""
        return cls(seconds=msg.sec, nanoseconds=msg.nanosec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self.nanoseconds == other.nanoseconds

    def __lt__(self, other: Duration) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self.nanoseconds < other.nanoseconds

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    def __add__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(nanoseconds=self.nanoseconds + other.nanoseconds)

    def __sub__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(nanoseconds=self.nanoseconds - other.nanoseconds)

    def __mul__(self, factor: float) -> Duration:
        return Duration(nanoseconds=self.nanoseconds * factor)

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self.nanoseconds})"


Infinite = Duration(nanoseconds=2**63 - 1)
"""The duration that has no end, as QoS understands it."""
