# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From "the one marked 3" to its place in the picture, as topics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped
from std_msgs.msg import String

from magma_ros.agent.mark_resolver import MarkResolver
from magma_ros.agent.pointing import MarkedPoint
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.mark_messages import point_to_message
from magma_ros.nodes.subscriptions import subscribe_latched, subscribe_newest
from magma_ros.perception.marks import Mark
from magma_ros.types import Mode


class MarkPointer:
    """Hears instructions, and publishes ``instruction/point`` for those that name a mark.

    Args:
        node: Node to subscribe and publish with.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._resolver = MarkResolver()
        self._marks: Sequence[Mark] = ()
        self._stamp, self._frame = -math.inf, ""
        self._driving = False
        self._publisher = node.create_publisher(PointStamped, names.INSTRUCTION_POINT, qos.LATCHED)
        told = (names.INSTRUCTION, names.GUARD_INSTRUCTION)
        subscribe_newest(node, String, told, self._on_instruction)
        subscribe_latched(node, DiagnosticStatus, names.GUARD_MODE, self._on_mode)

    def see(self, marks: Sequence[Mark], frame_id: str, stamp: float) -> None:
        """Take in the marks of the newest picture, taken at ``stamp`` [s]."""
        self._marks, self._frame, self._stamp = marks, frame_id, stamp
        self._answer()

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self._driving = convert.status_values(message).get("mode") == Mode.AUTO.name

    def _on_instruction(self, message: String) -> None:
        self._resolver.tell(message.data, self._now())
        if math.isfinite(self._stamp):
            self._answer()

    def _answer(self) -> None:
        """Tell where the named mark is, or that it is not there."""
        found = self._resolver.find(self._marks, self._now(), driving=self._driving)
        if found is None:
            return
        number, mark = found
        column, row = (math.nan, math.nan) if mark is None else mark.point
        stamp = self._now() if mark is None else self._stamp
        point = MarkedPoint(stamp, self._frame, number, float(column), float(row))
        self._publisher.publish(point_to_message(point))

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())
