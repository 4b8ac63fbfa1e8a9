# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes, as in ``rclpy.lifecycle``: configured, activated and stopped from outside."""

from rclpy.lifecycle.managed_entity import (
    ManagedEntity,
    SimpleManagedEntity,
    TransitionCallbackReturn,
)
from rclpy.lifecycle.node import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.lifecycle.state_machine import LifecycleState

Node = LifecycleNode
State = LifecycleState
Publisher = LifecyclePublisher

__all__ = [
    "LifecycleNode",
    "LifecyclePublisher",
    "LifecycleState",
    "ManagedEntity",
    "Node",
    "Publisher",
    "SimpleManagedEntity",
    "State",
    "TransitionCallbackReturn",
]
