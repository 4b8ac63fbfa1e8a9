# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: MCAP in rosbag2's layout, written so that no end of the process can spoil them.

Knows the formats, but no ROS: messages are serialised bytes (CDR), types are their definitions.
"""
