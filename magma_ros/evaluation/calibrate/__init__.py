# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration of gates in closed loop, certified on held-out episodes."""
