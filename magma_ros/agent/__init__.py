# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's loop without ROS: observation, thinking thread, doubt, risk and energy."""
