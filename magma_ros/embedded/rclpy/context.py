# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.context``: what ``rclpy.init`` begins and ``rclpy.shutdown`` ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakSet

from magma_ros.embedded.wire.domain import domain_id_from_environment
from magma_ros.embedded.wire.entities import GuardCondition, Participant

from . import logging
from .arguments import Arguments
from .exceptions import NotInitializedException

if TYPE_CHECKING:
    from magma_ros.embedded.wire.graph import Graph


class Context:
    """One participant on the network, the command line's ROS arguments, and whether all goes on.

    Shutting down only says that it is over, so that a signal may do it at any moment; the
    network entities go when the context is closed.
    """

    def __init__(self) -> None:
        """Start uninitialised."""
        self._participant: Participant | None = None
        self._graph: Graph | None = None
        self._guards: WeakSet[GuardCondition] = WeakSet()
        self._shutdown_callbacks: list[Callable[[], object]] = []
        self._is_ok = False
        self.arguments = Arguments()

    def init(self, args: Sequence[str] | None = None, *, domain_id: int | None = None) -> None:
        """Join the network.

        Args:
            args: The command line; ``None`` means ``sys.argv``.
            domain_id: The DDS domain; ``None`` means ``ROS_DOMAIN_ID``.

        Raises:
            RuntimeError: Already initialised.
            UnknownROSArgsError: A ROS argument is not understood.
            DomainError: The domain cannot be joined.
        """
        if self._is_ok:
            raise RuntimeError("Context.init() must only be called once")
        self.close()
        self.arguments = Arguments.parse(sys.argv if args is None else args)
        for logger, level in self.arguments.log_levels.items():
            logging.set_logger_level(logger, logging.severity(level))
        number = domain_id_from_environment() if domain_id is None else domain_id
        self._participant = Participant(number)
        from magma_ros.embedded.wire.graph import Graph

        self._graph = Graph(self._participant)
        self._is_ok = True

    @property
    def participant(self) -> Participant:
        """The participant on the network.

        Raises:
            NotInitializedException: There is none.
        """
        if self._participant is None:
            raise NotInitializedException
        return self._participant

    @property
    def graph(self) -> Graph:
        """What is known of the other nodes.

        Raises:
            NotInitializedException: There is no participant.
        """
        if self._graph is None:
            raise NotInitializedException
        return self._graph

    @property
    def is_open(self) -> bool:
        """Whether there is a participant on the network."""
        return self._participant is not None

    def get_domain_id(self) -> int:
        """The DDS domain."""
        return int(self.participant.get_domain_id())

    def ok(self) -> bool:
        """Whether the context is initialised and not shut down."""
        return self._is_ok

    def on_shutdown(self, callback: Callable[[], object]) -> None:
        """Call back once when the context is shut down."""
        self._shutdown_callbacks.append(callback)

    def make_guard_condition(self) -> GuardCondition:
        """A condition that a shutdown triggers too."""
        guard = GuardCondition(self.participant)
        self._guards.add(guard)
        return guard

    def wake(self) -> None:
        """Wake every executor."""
        for guard in list(self._guards):
            guard.trigger()

    def shutdown(self) -> None:
        """Say that it is over.

        Raises:
            NotInitializedException: It is over already, or never began.
        """
        if not self._is_ok:
            raise NotInitializedException
        self.try_shutdown()

    def try_shutdown(self) -> None:
        """Say that it is over, unless it is."""
        if self._is_ok:
            self._is_ok = False
            callbacks, self._shutdown_callbacks = self._shutdown_callbacks, []
            for callback in callbacks:
                callback()
            self.wake()

    def close(self) -> None:
        """Leave the network; other computers see it at once."""
        self.try_shutdown()
        self._guards.clear()
        if self._graph is not None:
            self._graph.close()
            self._graph = None
        if self._participant is not None:
            self._participant.close()
            self._participant = None
