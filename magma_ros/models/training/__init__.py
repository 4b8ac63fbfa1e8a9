# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: recipe, optimiser, grafting, aggregation, checkpoints, logs."""
