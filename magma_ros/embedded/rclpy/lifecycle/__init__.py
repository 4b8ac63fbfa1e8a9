# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes, as in ``rclpy.lifecycle``: configured, activated and stopped from outside."""

from .managed_entity import (
    ManagedEntity,
    SimpleManagedEntity,
    TransitionCallbackReturn,
)
from .node import LifecycleNode
from .publisher import LifecyclePublisher
from .state_machine import LifecycleState

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
