# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benches: gates on modelled computers, latency of exits, the loop in real time."""
