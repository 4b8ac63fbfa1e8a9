# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error that rclpy's native layer raises."""


class RCLError(RuntimeError):
    """An operation of the client library failed."""
