# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The half of ``rclpy.node.Node`` that is about names and about who else is there."""

from __future__ import annotations

from typing import Any, NamedTuple

from magma_ros.embedded.wire import names

from .arguments import Arguments
from .context import Context
from .exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)

UNKNOWN_NODE = ("_NODE_NAME_UNKNOWN_", "_NODE_NAMESPACE_UNKNOWN_")
"""Name and namespace of a node that has not told of its readers and writers, as rclpy says it."""


class TopicEndpointInfo(NamedTuple):
    """A publisher or subscription of a topic, as in ``rclpy.topic_endpoint_info``.

    Attributes:
        node_name: Name of its node.
        node_namespace: Namespace of its node.
        endpoint_gid: Its 16 bytes on the network.
    """

    node_name: str
    node_namespace: str
    endpoint_gid: list[int]


class GraphMixin:
    """Resolves names and answers questions about the graph."""

    # What the node supplies.
    _context: Context
    _arguments: Arguments
    _name: str
    _namespace: str

    def get_name(self) -> str:
        """The node's name."""
        return self._name

    def get_namespace(self) -> str:
        """The node's namespace."""
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        """Namespace and name."""
        return names.join(self._namespace, self._name)

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """The full name of a topic, after remapping.

        Raises:
            InvalidTopicNameException: The name is not valid.
        """
        return self._resolve(topic, InvalidTopicNameException, only_expand=only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """The full name of a service, after remapping.

        Raises:
            InvalidServiceNameException: The name is not valid.
        """
        return self._resolve(service, InvalidServiceNameException, only_expand=only_expand)

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        """All topics of the domain, each with its types."""
        return _sorted(self._context.graph.topics())

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """All services of the domain, each with its types."""
        return _sorted(self._context.graph.services())

    def get_node_names(self) -> list[str]:
        """The names of all nodes in the domain."""
        return [name for name, _ in self.get_node_names_and_namespaces()]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """The name and the namespace of every node in the domain."""
        return self._context.graph.nodes()

    def get_fully_qualified_node_names(self) -> list[str]:
        """The full names of all nodes in the domain."""
        return [names.join(space, name) for name, space in self.get_node_names_and_namespaces()]

    def count_publishers(self, topic_name: str) -> int:
        """The number of publishers of a topic in the domain."""
        return len(self._endpoints_of(topic_name, writers=True))

    def count_subscribers(self, topic_name: str) -> int:
        """The number of subscriptions of a topic in the domain."""
        return len(self._endpoints_of(topic_name, writers=False))

    def get_publishers_info_by_topic(self, topic_name: str) -> list[TopicEndpointInfo]:
        """Every publisher of a topic in the domain."""
        return self._infos_of(topic_name, writers=True)

    def get_subscriptions_info_by_topic(self, topic_name: str) -> list[TopicEndpointInfo]:
        """Every subscription of a topic in the domain."""
        return self._infos_of(topic_name, writers=False)

    def _infos_of(self, topic: str, *, writers: bool) -> list[TopicEndpointInfo]:
        endpoints = self._endpoints_of(topic, writers=writers)
        owners = self._context.graph.owners({e.key.bytes for e in endpoints})
        return [
            TopicEndpointInfo(*owners.get(e.key.bytes, UNKNOWN_NODE), [*e.key.bytes])
            for e in endpoints
        ]

    def _endpoints_of(self, topic: str, *, writers: bool) -> list[Any]:
        on_dds = names.topic_on_dds(self.resolve_topic_name(topic))
        return self._context.graph.endpoints(on_dds, writers=writers)

    def _resolve(
        self,
        name: str,
        error: type[InvalidTopicNameException | InvalidServiceNameException],
        *,
        only_expand: bool,
    ) -> str:
        if not names.is_given_name(name):
            raise error(name, "it must consist of words like camera_1, joined by slashes")
        full = names.expand(name, self._name, self._namespace)
        resolved = full if only_expand else self._arguments.topic(full, self._name, self._namespace)
        if not names.is_full_name(resolved):
            raise error(resolved, "a full name has no empty words and no double underscores")
        return resolved

    def _take_names(self, name: str, namespace: str) -> None:
        """Become who the constructor and the command line say.

        Raises:
            InvalidNodeNameException: The name is not valid.
            InvalidNamespaceException: The namespace is not valid.
        """
        self._name = self._arguments.node_name(name)
        if not names.is_node_name(self._name):
            raise InvalidNodeNameException(self._name, "it must be one word like arm_guard_2")
        space = self._arguments.namespace(name, namespace)
        self._namespace = space if space.startswith("/") else f"/{space}"
        if not names.is_namespace(self._namespace):
            raise InvalidNamespaceException(
                self._namespace, "it must consist of words like robot_1, joined by slashes"
            )


def _sorted(found: dict[str, set[str]]) -> list[tuple[str, list[str]]]:
    return [(name, sorted(types)) for name, types in sorted(found.items())]
