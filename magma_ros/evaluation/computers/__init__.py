# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Computers to evaluate on: modelled ones, and load on the real one."""
