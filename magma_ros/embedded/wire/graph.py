# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is on the network: publishing our nodes, and reading everybody's nodes and topics.

ROS 2 nodes are not DDS entities: each participant tells on the topic ``ros_discovery_info`` which
nodes it has and which readers and writers belong to each. Everything else comes from Cyclone
DDS's built-in topics, which it keeps anyway; nothing is done here until somebody asks.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
    DcpsEndpoint,
)
from cyclonedds.core import InstanceState

from magma_ros.embedded.wire import codec, names
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.entities import Participant, Reader, Writer
from magma_ros.embedded.wire.messages import message_class
from magma_ros.embedded.wire.qos import WireQos

TOPIC = "ros_discovery_info"
TYPE_NAME = "rmw_dds_common/msg/ParticipantEntitiesInfo"
READ_AT_ONCE = 10_000
"""More endpoints than any graph has."""


@dataclass(eq=False)
class NodeEntities:
    """A node of this process and the gids of its readers and writers."""

    name: str
    namespace: str
    readers: set[bytes] = field(default_factory=set)
    writers: set[bytes] = field(default_factory=set)


class Known:
    """Everything alive that one of Cyclone DDS's built-in topics tells of.

    Each change is read once, because decoding everything anew takes milliseconds.

    Args:
        participant: This process's presence in the domain.
        topic: The built-in topic.
    """

    def __init__(self, participant: Participant, topic: Any) -> None:
        self._reader = BuiltinDataReader(participant, topic)
        self._alive: dict[bytes, Any] = {}
        self._lock = threading.Lock()

    def alive(self) -> list[Any]:
        """What is there now."""
        with self._lock:
            for sample in self._reader.take(READ_AT_ONCE):
                if sample.sample_info.instance_state == InstanceState.Alive:
                    self._alive[sample.key.bytes] = sample
                else:
                    self._alive.pop(sample.key.bytes, None)
            return list(self._alive.values())


class Graph:
    """The nodes, topics and services of a domain."""

    def __init__(self, participant: Participant) -> None:
        """Begin to listen; the first node makes us speak."""
        self._participant = participant
        self._gid = participant.gid
        self._lock = threading.Lock()
        self._ours: list[NodeEntities] = []
        self._theirs: dict[bytes, Any] = {}
        user_data = f"typehash={type_hash(TYPE_NAME)};"
        said = WireQos(transient_local=True, depth=1).for_endpoint(user_data)
        heard = WireQos(transient_local=True, depth=None).for_endpoint(user_data, ignore_local=True)
        self._writer = Writer(participant, TOPIC, TYPE_NAME, said)
        self._reader = Reader(participant, TOPIC, TYPE_NAME, heard)
        self._participants = Known(participant, BuiltinTopicDcpsParticipant)
        self._publications = Known(participant, BuiltinTopicDcpsPublication)
        self._subscriptions = Known(participant, BuiltinTopicDcpsSubscription)

    def add_node(self, name: str, namespace: str) -> NodeEntities:
        """Tell others of a new node. Changes to what is returned are told by ``announce``."""
        node = NodeEntities(name, namespace)
        with self._lock:
            self._ours.append(node)
        self.announce()
        return node

    def remove_node(self, node: NodeEntities) -> None:
        """Tell others that a node is gone."""
        with self._lock:
            if node in self._ours:
                self._ours.remove(node)
        self.announce()

    def announce(self) -> None:
        """Tell others which nodes are here, and what belongs to them."""
        with self._lock:
            info = message_class(TYPE_NAME)(
                gid=_gid_message(self._gid),
                node_entities_info_seq=[_node_message(node) for node in self._ours],
            )
            self._writer.write_bytes(codec.serialize(info))

    def nodes(self) -> list[tuple[str, str]]:
        """Name and namespace of every node in the domain."""
        ours = [(node.name, node.namespace) for node in self._ours]
        theirs = [
            (node.node_name, node.node_namespace)
            for info in self._take_theirs()
            for node in info.node_entities_info_seq
        ]
        return ours + theirs

    def topics(self) -> dict[str, set[str]]:
        """The types of every ROS topic, by its name."""
        found = defaultdict(set)
        for endpoint in (*self._endpoints(writers=True), *self._endpoints(writers=False)):
            topic = names.topic_from_dds(endpoint.topic_name)
            kind = names.type_from_dds(endpoint.type_name)
            if topic and kind:
                found[topic].add(kind)
        return dict(found)

    def services(self) -> dict[str, set[str]]:
        """The types of every service that has a server, by its name."""
        found = defaultdict(set)
        for endpoint in self._endpoints(writers=False):
            service = names.service_from_dds(endpoint.topic_name)
            kind = names.type_from_dds(endpoint.type_name)
            if service and kind and kind.endswith("_Request"):
                found[service].add(kind.removesuffix("_Request"))
        return dict(found)

    def endpoints(self, topic: str, *, writers: bool) -> list[DcpsEndpoint]:
        """The writers or readers of a DDS topic in the whole domain, this process included."""
        return [e for e in self._endpoints(writers=writers) if e.topic_name == topic]

    def close(self) -> None:
        """Stop listening and speaking."""
        self._writer.close()
        self._reader.close()

    def owners(self, gids: Collection[bytes]) -> dict[bytes, tuple[str, str]]:
        """Name and namespace of the nodes that own these readers and writers, by gid."""
        found = {}
        for ours in self._ours:
            for gid in {*ours.readers, *ours.writers}.intersection(gids):
                found[gid] = ours.name, ours.namespace
        for info in self._take_theirs():
            for node in info.node_entities_info_seq:
                for message in (*node.reader_gid_seq, *node.writer_gid_seq):
                    if (gid := bytes(message.data)) in gids:
                        found[gid] = node.node_name, node.node_namespace
        return found

    def _endpoints(self, *, writers: bool) -> list[DcpsEndpoint]:
        return (self._publications if writers else self._subscriptions).alive()

    def _take_theirs(self) -> Iterable[Any]:
        with self._lock:
            while sample := self._reader.take_bytes():
                info: Any = codec.deserialize(sample[0], TYPE_NAME)
                self._theirs[info.gid.data.tobytes()] = info
            alive = {participant.key.bytes for participant in self._participants.alive()}
            self._theirs = {gid: info for gid, info in self._theirs.items() if gid in alive}
            return list(self._theirs.values())


def _gid_message(gid: bytes) -> Any:
    return message_class("rmw_dds_common/msg/Gid")(data=list(gid))


def _node_message(node: NodeEntities) -> Any:
    return message_class("rmw_dds_common/msg/NodeEntitiesInfo")(
        node_namespace=node.namespace,
        node_name=node.name,
        reader_gid_seq=[_gid_message(gid) for gid in sorted(node.readers)],
        writer_gid_seq=[_gid_message(gid) for gid in sorted(node.writers)],
    )
