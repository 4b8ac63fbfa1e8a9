# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Eyes for obstacles (depth to clearance), and overlays for people on camera images."""
