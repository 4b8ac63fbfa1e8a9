# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that need more than one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from magma_ros.nodes import qos


def subscribe_latched(node: Node, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
    """Receive a latched fact from any publisher, whether it latches the fact or not.

    A transient-local subscription is the only one that is given what was published before it
    existed, but it does not match a volatile publisher; so there are two, and ``callback`` may be
    called twice with the same message.

    Args:
        node: Node that subscribes.
        kind: Message type.
        topic: Topic name.
        callback: Called with each message; must accept receiving one twice.
    """
    for profile in (qos.LATCHED, qos.VOLATILE):
        node.create_subscription(kind, topic, callback, profile)
