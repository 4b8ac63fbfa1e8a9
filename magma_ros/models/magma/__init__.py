# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The large Magma: a released checkpoint in the layout of microsoft/Magma-8B, made a bundle."""
