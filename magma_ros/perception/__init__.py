# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Overlays for people: the traces that a policy predicts, drawn on camera images."""
