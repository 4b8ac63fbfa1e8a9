# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the names of ROS 2 importable for every test, whether or not a ROS is installed."""

from magma_ros import embedded

embedded.install()
