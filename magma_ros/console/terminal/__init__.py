# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console in a terminal, for an operator who has no browser there: the same verbs over SSH."""
