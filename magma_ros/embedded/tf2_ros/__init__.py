# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``tf2_ros``: coordinate frames over time, the part that nodes need to look transforms up."""

from .buffer import Buffer
from .exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)
from .transform_listener import TransformListener

__all__ = [
    "Buffer",
    "ConnectivityException",
    "ExtrapolationException",
    "InvalidArgumentException",
    "LookupException",
    "TransformException",
    "TransformListener",
]
