# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thin ROS 2 shells around the pure rooms, one file a node.

Nodes are written against rclpy. Where no ROS 2 is installed, the embedded one answers to the same
names; nothing below this line knows which of the two it got.
"""

from magma_ros import embedded

embedded.install()
