# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision-language-action policies on ROS 2 that are never late."""

__version__ = "0.1.0"
