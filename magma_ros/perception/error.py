# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in this room, for whoever must say so."""

from __future__ import annotations

import math

from magma_ros.types import MagmaError


class PerceptionError(MagmaError):
    """A setting, a robot description or a measurement that cannot be used."""


class BodyError(PerceptionError):
    """The robot's body cannot be made from its description or its joint states."""


class MeasurementError(PerceptionError):
    """A depth image, a cloud or a calibration that measures nothing."""


def require_positive(owner: object, *names: str) -> None:
    """Check that the named attributes of ``owner`` are positive, finite numbers.

    Raises:
        PerceptionError: One is not.
    """
    for name in names:
        value = getattr(owner, name)
        if not (math.isfinite(value) and value > 0.0):
            raise PerceptionError(f"the perception's {name} must be a positive number, not {value}")
