# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a policy elsewhere."""

from magma_ros.types import MagmaError


class RemoteError(MagmaError):
    """A policy elsewhere cannot be asked, or its answer cannot be used."""
