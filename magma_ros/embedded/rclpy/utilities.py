# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.utilities``: the default context, and arguments without their ROS part."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Sequence
from functools import cache

from .arguments import Arguments
from .context import Context


@cache
def get_default_context() -> Context:
    """The context that is used where none is given."""
    context = Context()
    atexit.register(context.close)
    return context


def ok(*, context: Context | None = None) -> bool:
    """Whether the context is initialised and not shut down."""
    return (context or get_default_context()).ok()


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    """The command line without ``--ros-args ... --``; ``None`` means ``sys.argv``."""
    return Arguments.parse(sys.argv if args is None else args).other_arguments


def get_rmw_implementation_identifier() -> str:
    """The middleware whose conventions are followed on the wire."""
    return "rmw_cyclonedds_cpp"
