# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console: a page, its motion link, and a terminal; no ROS inside."""
