# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.callback_groups``: with one executor thread they change nothing, but nodes name them."""


class CallbackGroup:
    """A set of callbacks."""


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """Callbacks of which one runs at a time."""


class ReentrantCallbackGroup(CallbackGroup):
    """Callbacks that may run at the same time."""
