# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: generation, shards, cards, augmentation, and the training set."""
