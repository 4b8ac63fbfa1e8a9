# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error for guard settings that make no sense, and the check they share."""

from __future__ import annotations

import math

from magma_ros.types import MagmaError


class GuardConfigError(MagmaError):
    """A guard setting that makes no sense."""


def require_positive(owner: object, *names: str) -> None:
    """Check that the named attributes of ``owner`` are positive, finite numbers.

    Raises:
        GuardConfigError: One is not.
    """
    for name in names:
        value = getattr(owner, name)
        if not (math.isfinite(value) and value > 0.0):
            raise GuardConfigError(f"the guard's {name} must be a positive number, not {value}")
