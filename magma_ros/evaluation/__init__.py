# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies measured in a world: episodes, clocks, statistics, benches, calibration."""
