# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one error of the launch engine."""


class LaunchError(ValueError):
    """A launch file, or what was asked of it, cannot be carried out; the text says why."""
