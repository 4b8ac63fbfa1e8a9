# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in PyTorch: configuration, policy, baseline, losses, and their stages as graphs."""
