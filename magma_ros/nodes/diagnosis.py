# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes on /diagnostics what a node has to say about itself, once a second."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from std_msgs.msg import Header

from magma_ros.nodes import convert, names, qos

PERIOD = 1.0
"""Time between two reports [s], as aggregators expect."""


class Diagnosis:
    """The publisher of one node's reports.

    Args:
        node: Node to publish with.
        hardware_id: What the reports are about, such as the policy's name.
    """

    def __init__(self, node: Node, hardware_id: str = "") -> None:
        self._node, self._id = node, hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS)

    def check(
        self, name: str, sentence: str, problems: Mapping[str, bool], values: Mapping[str, object]
    ) -> DiagnosticStatus:
        """A report that warns of the first problem that is one.

        Args:
            name: ``node: check``.
            sentence: What it says when nothing is wrong.
            problems: By sentence, whether that is so.
            values: Figures by name.
        """
        wrong = next((problem for problem, so in problems.items() if so), "")
        level = DiagnosticStatus.WARN if wrong else DiagnosticStatus.OK
        return convert.status_message(level, name, wrong or sentence, values, self._id)

    def publish(self, *status: DiagnosticStatus) -> None:
        """Publish these reports."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(DiagnosticArray(header=header, status=list(status)))
