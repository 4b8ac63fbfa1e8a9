# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.time_source``: simulated time from ``/clock``, when ``use_sim_time`` says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magma_ros.embedded.wire.messages import message_class

from .clock import ROSClock
from .duration import S_TO_NS
from .qos import QoSProfile, ReliabilityPolicy
from .subscription import Subscription

if TYPE_CHECKING:
    from .node import Node

USE_SIM_TIME = "use_sim_time"


class TimeSource:
    """Sets a node's clock from ``/clock`` while the parameter ``use_sim_time`` is true."""

    def __init__(self, node: Node, clock: ROSClock) -> None:
        """Declare the parameter and follow it."""
        self._node = node
        self._clock = clock
        self._subscription: Subscription | None = None
        if not node.has_parameter(USE_SIM_TIME):
            node.declare_parameter(USE_SIM_TIME, False)
        self._follow(node.get_parameters([USE_SIM_TIME]))
        node.add_post_set_parameters_callback(self._follow)

    def _follow(self, parameters: list[Any]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME:
                self._simulate(parameter.value)

    def _simulate(self, active: bool) -> None:
        if active and self._subscription is None:
            self._clock.simulate(0)
            self._subscription = self._node.create_subscription(
                message_class("rosgraph_msgs/msg/Clock"),
                "/clock",
                self._on_clock,
                QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            )
        elif not active and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._clock.simulate(None)

    def _on_clock(self, message: Any) -> None:
        self._clock.simulate(message.clock.sec * S_TO_NS + message.clock.nanosec)
