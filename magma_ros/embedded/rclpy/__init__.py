# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rclpy's API on Cyclone DDS: the part that our nodes use, as rclpy has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .context import Context
from .signals import (
    SignalHandlerOptions,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from .task import Future
from .utilities import get_default_context, get_rmw_implementation_identifier, ok, remove_ros_args

if TYPE_CHECKING:
    from .executors import SingleThreadedExecutor
    from .node import Node

__all__ = [
    "create_node",
    "get_default_context",
    "get_global_executor",
    "get_rmw_implementation_identifier",
    "init",
    "ok",
    "remove_ros_args",
    "shutdown",
    "spin",
    "spin_once",
    "spin_until_future_complete",
    "try_shutdown",
]

_executors: dict[Context, SingleThreadedExecutor] = {}


def init(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> None:
    """Join the network.

    Args:
        args: The command line; ``None`` means ``sys.argv``.
        context: What to initialise; the default context if not given.
        domain_id: The DDS domain; ``None`` means ``ROS_DOMAIN_ID``.
        signal_handler_options: Which signals shut the context down; by default, SIGINT and SIGTERM
            for the default context and none for others.

    Raises:
        RuntimeError: The context is initialised already, or the domain cannot be joined.
    """
    if signal_handler_options is None:
        default = context is None or context is get_default_context()
        signal_handler_options = SignalHandlerOptions.ALL if default else SignalHandlerOptions.NO
    context = context or get_default_context()
    context.init(args, domain_id=domain_id)
    install_signal_handlers(context, signal_handler_options)


def shutdown(*, context: Context | None = None) -> None:
    """Leave the network.

    Raises:
        NotInitializedException: The context is shut down already, or was never initialised.
    """
    (context or get_default_context()).shutdown()
    try_shutdown(context=context)


def try_shutdown(*, context: Context | None = None) -> None:
    """Leave the network, unless that is done."""
    context = context or get_default_context()
    context.try_shutdown()
    if context in _executors:
        _executors.pop(context).shutdown()
    uninstall_signal_handlers(context)
    context.close()


def create_node(node_name: str, **options: object) -> Node:
    """Make a plain node; see ``rclpy.node.Node``."""
    from .node import Node

    return Node(node_name, **options)  # type: ignore[arg-type]


def get_global_executor() -> SingleThreadedExecutor:
    """The executor that is used where none is given."""
    from .executors import SingleThreadedExecutor

    context = get_default_context()
    if context not in _executors:
        _executors[context] = SingleThreadedExecutor(context=context)
    return _executors[context]


@contextmanager
def _served(
    node: Node, executor: SingleThreadedExecutor | None
) -> Iterator[SingleThreadedExecutor]:
    """Have ``executor``, or the global one, run the node's callbacks meanwhile."""
    executor = executor or get_global_executor()
    try:
        executor.add_node(node)
        yield executor
    finally:
        executor.remove_node(node)


def spin(node: Node, executor: SingleThreadedExecutor | None = None) -> None:
    """Run the node's callbacks until the context is shut down.

    Raises:
        ExternalShutdownException: The context was shut down from elsewhere, as by SIGTERM.
    """
    with _served(node, executor) as serving:
        serving.spin()


def spin_once(
    node: Node,
    *,
    executor: SingleThreadedExecutor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Wait for one of the node's callbacks and run it; see ``SingleThreadedExecutor.spin_once``."""
    with _served(node, executor) as serving:
        serving.spin_once(timeout_sec=timeout_sec)


def spin_until_future_complete(
    node: Node,
    future: Future,
    executor: SingleThreadedExecutor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Run the node's callbacks until a future is done or the time [s] is up."""
    with _served(node, executor) as serving:
        serving.spin_until_future_complete(future, timeout_sec)
