# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Act now or think deeper: stage latencies, confidence, and the loop that decides.

Start at :func:`magma_ros.gate.loop.think`.
"""
