# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A publisher that is silent unless its node is active."""

from __future__ import annotations

from typing import Any

from rclpy.publisher import Publisher

from .managed_entity import SimpleManagedEntity


class LifecyclePublisher(SimpleManagedEntity, Publisher):
    """Drops what is published while the node is not active."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        SimpleManagedEntity.__init__(self)
        Publisher.__init__(self, *args, **kwargs)

    def publish(self, msg: Any) -> None:
        """Publish a message, if active."""
        if self.is_activated:
            super().publish(msg)
