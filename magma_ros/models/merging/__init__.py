# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Merging: checkpoints that were fine-tuned from one base become one, without training."""
