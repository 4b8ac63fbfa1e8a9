# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serves one policy to many robots: who is answered when, and how deep; openpi's protocol."""
