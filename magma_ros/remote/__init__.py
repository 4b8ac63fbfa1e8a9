# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies elsewhere: openpi's protocol, the line to a server, what becomes of its answers."""
