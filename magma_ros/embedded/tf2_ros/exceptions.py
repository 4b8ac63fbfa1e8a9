# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``tf2_ros``: why a transform cannot be given, by tf2's names."""


class TransformException(Exception):
    """Base of all of them."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Two frames are not part of one tree."""


class ExtrapolationException(TransformException):
    """The time lies outside what is known."""


class InvalidArgumentException(TransformException):
    """A frame name or a transform is malformed."""
