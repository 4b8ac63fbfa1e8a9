# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ROS 2 puts on the network: message classes, CDR, types, names, QoS, DDS entities."""
