# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.node``: a node with its publishers, subscriptions, timers, services and clients."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from magma_ros.embedded.wire.entities import Handled
from magma_ros.embedded.wire.messages import message_class

from . import logging
from ._rclpy_pybind11 import RCLError
from .arguments import Arguments
from .callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from .client import Client
from .clock import Clock, ROSClock
from .context import Context
from .duration import S_TO_NS
from .event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from .exceptions import NotInitializedException
from .executors import SingleThreadedExecutor
from .guard_condition import GuardCondition
from .node_graph import GraphMixin
from .parameter import Parameter
from .parameter_mixin import ParameterMixin
from .parameter_overrides import parameter_overrides as overrides_of
from .publisher import Publisher
from .qos import QoSProfile, as_profile, qos_profile_rosout_default, qos_profile_services_default
from .service import Service
from .subscription import Subscription
from .time import Time
from .time_source import TimeSource
from .timer import Timer
from .utilities import get_default_context

EndpointT = TypeVar("EndpointT", Publisher, Subscription, Service, Client)


class Node(GraphMixin, ParameterMixin):
    """A node of the ROS graph."""

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: Sequence[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: Sequence[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
    ) -> None:
        """Enter the graph.

        Args:
            node_name: Its name; the command line may remap it.
            context: Where it belongs; the default context if not given.
            cli_args: ROS arguments for this node alone; they outrank the command line's.
            namespace: Where its relative names are; the command line may remap it.
            use_global_arguments: Whether the command line's ROS arguments count.
            enable_rosout: Whether its logs go to ``/rosout``.
            start_parameter_services: Whether others can read and set its parameters.
            parameter_overrides: Values that outrank those of the command line.
            allow_undeclared_parameters: Whether parameters may be set without being declared.
            automatically_declare_parameters_from_overrides: Whether every override is declared.

        Raises:
            NotInitializedException: The context is not initialised.
            InvalidNodeNameException: The name is not valid.
            InvalidNamespaceException: The namespace is not valid.
        """
        self._context = context or get_default_context()
        if not self._context.ok():
            raise NotInitializedException("cannot create node")
        own = Arguments.parse(["--ros-args", *cli_args] if cli_args else [])
        everybody = self._context.arguments if use_global_arguments else Arguments()
        self._arguments = own.before(everybody)
        self._take_names(node_name, namespace or "")
        self._executor: weakref.ref[SingleThreadedExecutor] | None = None
        self._default_callback_group = MutuallyExclusiveCallbackGroup()
        self._clock = ROSClock()
        self._endpoints: list[Publisher | Subscription | Service | Client] = []
        self._timers: list[Timer] = []
        self._guards: list[GuardCondition] = []
        self._logger = logging.get_logger(
            self.get_fully_qualified_name().lstrip("/").replace("/", ".")
        )
        overrides = overrides_of(self._arguments.ros_arguments, self.get_fully_qualified_name())
        overrides |= {parameter.name: parameter for parameter in parameter_overrides or ()}
        self._destroyed = False
        self._entities = self._context.graph.add_node(self._name, self._namespace)
        if enable_rosout and self._arguments.rosout:
            self._log_to_rosout()
        self._init_parameters(
            overrides,
            allow_undeclared=allow_undeclared_parameters,
            start_services=start_parameter_services,
        )
        if automatically_declare_parameters_from_overrides:
            self.declare_parameters("", [(p.name, p.value) for p in overrides.values()])
        self._time_source = TimeSource(self, self._clock)

    @property
    def context(self) -> Context:
        """The context that the node belongs to."""
        return self._context

    @property
    def default_callback_group(self) -> CallbackGroup:
        """The group of callbacks for which none is given."""
        return self._default_callback_group

    @property
    def executor(self) -> SingleThreadedExecutor | None:
        """The executor that runs the node's callbacks."""
        return self._executor() if self._executor is not None else None

    @executor.setter
    def executor(self, executor: SingleThreadedExecutor | None) -> None:
        current = self.executor
        if current is executor:
            return
        if current is not None:
            current.remove_node(self)
        self._executor = weakref.ref(executor) if executor is not None else None
        if executor is not None:
            executor.add_node(self)

    @property
    def publishers(self) -> list[Publisher]:
        """The node's publishers."""
        return [e for e in self._endpoints if isinstance(e, Publisher)]

    @property
    def subscriptions(self) -> list[Subscription]:
        """The node's subscriptions."""
        return [e for e in self._endpoints if isinstance(e, Subscription)]

    @property
    def services(self) -> list[Service]:
        """The node's services."""
        return [e for e in self._endpoints if isinstance(e, Service)]

    @property
    def clients(self) -> list[Client]:
        """The node's clients."""
        return [e for e in self._endpoints if isinstance(e, Client)]

    @property
    def timers(self) -> list[Timer]:
        """The node's timers."""
        return self._timers

    def get_clock(self) -> ROSClock:
        """The node's clock: ROS time."""
        return self._clock

    def get_logger(self) -> logging.RcutilsLogger:
        """The node's logger."""
        return self._logger

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """Everything that an executor must watch for this node, and what to do then."""
        return {
            entity: call
            for item in (*self._guards, *self._endpoints)
            for entity, call in item.watched().items()
        }

    def create_publisher(
        self,
        msg_type: type,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: PublisherEventCallbacks | None = None,
        publisher_class: type[Publisher] = Publisher,
    ) -> Publisher:
        """Send messages to a topic; a number in place of a profile is a depth."""
        return self._added(
            publisher_class(
                self._context,
                msg_type,
                self.resolve_topic_name(topic),
                as_profile(qos_profile),
                callback_group=callback_group or self._default_callback_group,
                event_callbacks=event_callbacks or PublisherEventCallbacks(),
                logger=self._logger,
            )
        )

    def create_subscription(
        self,
        msg_type: type,
        topic: str,
        callback: Callable[..., object],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        event_callbacks: SubscriptionEventCallbacks | None = None,
        raw: bool = False,
    ) -> Subscription:
        """Call back with every message of a topic; with ``raw``, with its serialised bytes."""
        return self._added(
            Subscription(
                self._context,
                msg_type,
                self.resolve_topic_name(topic),
                callback,
                as_profile(qos_profile),
                callback_group=callback_group or self._default_callback_group,
                event_callbacks=event_callbacks or SubscriptionEventCallbacks(),
                raw=raw,
                logger=self._logger,
            )
        )

    def create_service(
        self,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """Answer requests: ``callback(request, response)`` returns the response."""
        return self._added(
            Service(
                self._context,
                srv_type,
                self.resolve_service_name(srv_name),
                callback,
                qos_profile,
                callback_group=callback_group or self._default_callback_group,
                logger=self._logger,
            )
        )

    def create_client(
        self,
        srv_type: Any,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """Ask a service."""
        return self._added(
            Client(
                self._context,
                srv_type,
                self.resolve_service_name(srv_name),
                qos_profile,
                callback_group=callback_group or self._default_callback_group,
                in_executor_thread=self._in_executor_thread,
                logger=self._logger,
            )
        )

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[[], object] | None,
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Call back periodically, by the node's clock unless another is given."""
        timer = Timer(
            callback,
            callback_group or self._default_callback_group,
            int(timer_period_sec * S_TO_NS),
            clock or self._clock,
            self._wake,
            autostart=autostart,
        )
        self._timers.append(timer)
        self._wake()
        return timer

    def create_guard_condition(
        self, callback: Callable[[], object], callback_group: CallbackGroup | None = None
    ) -> GuardCondition:
        """Call back in the executor's thread after any thread has triggered the condition."""
        group = callback_group or self._default_callback_group
        guard = GuardCondition(callback, group, self._context)
        self._guards.append(guard)
        self._refresh()
        return guard

    def destroy_publisher(self, publisher: Publisher) -> bool:
        """Delete a publisher; false if it is not this node's."""
        return self._removed(publisher)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        """Delete a subscription; false if it is not this node's."""
        return self._removed(subscription)

    def destroy_service(self, service: Service) -> bool:
        """Delete a service; false if it is not this node's."""
        return self._removed(service)

    def destroy_client(self, client: Client) -> bool:
        """Delete a client; false if it is not this node's."""
        return self._removed(client)

    def destroy_timer(self, timer: Timer) -> bool:
        """Delete a timer; false if it is not this node's."""
        if timer not in self._timers:
            return False
        timer.destroy()
        self._timers.remove(timer)
        return True

    def destroy_guard_condition(self, guard: GuardCondition) -> bool:
        """Delete a guard condition; false if it is not this node's."""
        if guard not in self._guards:
            return False
        self._guards.remove(guard)
        self._refresh()
        guard.destroy()
        return True

    def destroy_node(self) -> None:
        """Leave the graph; nothing of the node works afterwards."""
        if self._destroyed:
            return
        self._destroyed = True
        self.executor = None
        logging.remove_sink(self._logger.name)
        for timer in [*self._timers]:
            self.destroy_timer(timer)
        for guard in [*self._guards]:
            self.destroy_guard_condition(guard)
        for endpoint in self._endpoints:
            endpoint.destroy()
        self._endpoints.clear()
        if self._context.is_open:
            self._context.graph.remove_node(self._entities)

    def _added(self, endpoint: EndpointT) -> EndpointT:
        self._endpoints.append(endpoint)
        self._entities.readers.update(endpoint.reader_gids)
        self._entities.writers.update(endpoint.writer_gids)
        self._context.graph.announce()
        self._refresh()
        return endpoint

    def _removed(self, endpoint: Publisher | Subscription | Service | Client) -> bool:
        if endpoint not in self._endpoints:
            return False
        self._endpoints.remove(endpoint)
        self._entities.readers.difference_update(endpoint.reader_gids)
        self._entities.writers.difference_update(endpoint.writer_gids)
        self._context.graph.announce()
        self._refresh()
        endpoint.destroy()
        return True

    def _refresh(self) -> None:
        if self.executor is not None:
            self.executor.refresh()

    def _wake(self) -> None:
        if self.executor is not None:
            self.executor.wake()

    def _in_executor_thread(self) -> bool:
        return self.executor is not None and self.executor.is_spinning_here()

    def _log_to_rosout(self) -> None:
        message = message_class("rcl_interfaces/msg/Log")
        publisher = self.create_publisher(message, "/rosout", qos_profile_rosout_default)

        def publish(record: logging.Record) -> None:
            with suppress(RCLError):  # logging goes on after a shutdown, and never fails
                publisher.publish(
                    message(
                        stamp=Time(nanoseconds=record.stamp).to_msg(),
                        level=int(record.level),
                        name=record.name,
                        msg=record.message,
                        file=record.file,
                        function=record.function,
                        line=record.line,
                    )
                )

        logging.add_sink(self._logger.name, publish)
