# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that need more than one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
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


def subscribe_newest(
    node: Node, kind: type, topics: Iterable[str], callback: Callable[[Any], None]
) -> None:
    """Receive a fact that several nodes latch, so that the one said last is received last.

    Who subscribes late is given what each of them has latched, in any order. Of that, what is older
    than something received already is left out, by the time at which DDS says that it was sent.

    Args:
        node: Node that subscribes.
        kind: Message type.
        topics: Topics that carry the fact.
        callback: Called with each message; must accept receiving one twice.
    """
    began, newest = time.time_ns(), 0

    def hear(message: Any, info: Any) -> None:
        nonlocal newest
        sent = info["source_timestamp"]
        if sent < min(newest, began):
            return
        newest = max(newest, sent)
        callback(message)

    for topic in topics:
        # With room for one message alone, DDS would keep the one that happens to come last.
        for profile in (qos.LATCHED_BY_MANY, qos.VOLATILE):
            node.create_subscription(kind, topic, hear, profile)
