# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 for machines without a ROS installation.

``install()`` makes ``import rclpy`` and ``from std_msgs.msg import String`` work where no ROS 2 is
found. What they import speaks ROS 2's wire protocol on Cyclone DDS, so stock ROS 2 computers see
and talk to these nodes. Where a real ROS 2 is installed, it wins and nothing here is used.

``rclpy/`` holds rclpy's own API, the part our nodes use; it is always imported as ``rclpy``.
``wire/`` holds what ROS 2 puts on the network: message classes, CDR, types, DDS entities.
"""

import sys

from magma_ros.embedded.finder import EmbeddedFinder

__all__ = ["install"]


def install() -> None:
    """Supply ``rclpy`` and the standard message packages where no real ROS 2 does.

    The finder goes to the end of ``sys.meta_path``, so an installed ROS 2 is found first.
    Calling it twice does nothing.
    """
    if not any(isinstance(finder, EmbeddedFinder) for finder in sys.meta_path):
        sys.meta_path.append(EmbeddedFinder())
