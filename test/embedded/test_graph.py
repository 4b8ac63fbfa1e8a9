# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What others see of us, on the wire and through the graph, and what we see of them."""

import re
import signal
import time

import pytest
from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
)
from cyclonedds.qos import Policy
from rclpy.node import Node
from std_msgs.msg import String

from magma_ros.embedded.wire import codec, descriptor
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.entities import Participant, Reader, user_data
from magma_ros.embedded.wire.graph import TOPIC, TYPE_NAME
from magma_ros.embedded.wire.qos import WireQos


@pytest.fixture
def observer(domain):
    observer = Participant(domain)
    yield observer
    observer.close()


def wait_for(look, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing was found in time"
        time.sleep(0.02)
    return found


def endpoint(observer, builtin, topic):
    reader = BuiltinDataReader(observer, builtin)
    return wait_for(lambda: next((e for e in reader.take(1000) if e.topic_name == topic), None))


def test_publications_look_like_ros_on_the_wire(observer, program):
    program("spinner").wait_for("spinning")
    rosout = endpoint(observer, BuiltinTopicDcpsPublication, "rt/rosout")
    assert rosout.type_name == "rcl_interfaces::msg::dds_::Log_"
    digest = type_hash("rcl_interfaces/msg/Log")
    assert re.fullmatch("RIHS01_[0-9a-f]{64}", digest)
    assert user_data(rosout.qos) == f"typehash={digest};".encode()
    assert rosout.qos[Policy.Durability] == Policy.Durability.TransientLocal
    assert rosout.qos[Policy.Lifespan].lifespan == 10 * 10**9
    representation = rosout.qos[Policy.DataRepresentation]
    assert representation.use_cdrv0_representation
    assert not representation.use_xcdrv2_representation


def test_the_announced_type_is_the_messages_own(observer, program):
    program("spinner").wait_for("spinning")
    rosout = endpoint(observer, BuiltinTopicDcpsPublication, "rt/rosout")
    expected = descriptor.payload_class("rcl_interfaces/msg/Log").__idl__.get_type_id()
    assert rosout.type_id == expected
    other = descriptor.payload_class("std_msgs/msg/String").__idl__.get_type_id()
    assert rosout.type_id != other


def test_services_look_like_ros_on_the_wire(observer, program):
    program("spinner").wait_for("spinning")
    topic = "rq/spinner/get_parametersRequest"
    request = endpoint(observer, BuiltinTopicDcpsSubscription, topic)
    assert request.type_name == "rcl_interfaces::srv::dds_::GetParameters_Request_"
    reply = endpoint(observer, BuiltinTopicDcpsPublication, "rr/spinner/get_parametersReply")
    assert reply.type_name == "rcl_interfaces::srv::dds_::GetParameters_Response_"
    assert user_data(request.qos) == user_data(reply.qos)
    digest = type_hash("rcl_interfaces/srv/GetParameters")
    pattern = rf"serviceid=([0-9a-f]+\.){{15}}[0-9a-f]+;typehash={digest};"
    assert re.fullmatch(pattern, user_data(reply.qos).decode())


def test_ros_discovery_info_tells_which_endpoints_a_node_has(observer, program):
    program("spinner", "--ros-args", "-r", "__ns:=/cell").wait_for("spinning")
    rosout = endpoint(observer, BuiltinTopicDcpsPublication, "rt/rosout")
    people = BuiltinDataReader(observer, BuiltinTopicDcpsParticipant)
    reader = Reader(observer, TOPIC, TYPE_NAME, WireQos(transient_local=True).for_endpoint(""))

    def heard():
        sample = reader.take_bytes()
        info = codec.deserialize(sample[0], TYPE_NAME) if sample else None
        nodes = info.node_entities_info_seq if info else []
        return info if any(len(n.writer_gid_seq) == 8 for n in nodes) else None

    info = wait_for(heard)
    assert info.gid.data.tobytes() == rosout.participant_key.bytes
    [told] = info.node_entities_info_seq
    assert (told.node_namespace, told.node_name) == ("/cell", "spinner")
    assert rosout.key.bytes in {gid.data.tobytes() for gid in told.writer_gid_seq}
    sample = next(p for p in people.take(10) if p.key == rosout.participant_key)
    assert user_data(sample.qos) == b"enclave=/;"


def test_nodes_of_other_processes_come_and_go(node, program):
    spinner = program("spinner", "--ros-args", "-r", "__ns:=/cell", "-r", "__node:=arm")
    spinner.wait_for("spinning")
    wait_for(lambda: "/cell/arm" in node.get_fully_qualified_node_names())
    assert "/tester" in node.get_fully_qualified_node_names()
    assert ("arm", "/cell") in node.get_node_names_and_namespaces()
    spinner.process.send_signal(signal.SIGTERM)
    wait_for(lambda: node.get_node_names() == ["tester"], timeout=9.0)


def test_topics_and_services_are_found_with_their_types(node, program):
    program("offers").wait_for("offering")
    wait_for(lambda: node.count_subscribers("/go"))
    topics = dict(node.get_topic_names_and_types())
    assert topics["/reliable/volatile"] == ["std_msgs/msg/String"]
    assert topics["/rosout"] == ["rcl_interfaces/msg/Log"]
    services = dict(node.get_service_names_and_types())
    assert services["/offers/get_parameters"] == ["rcl_interfaces/srv/GetParameters"]
    assert node.count_publishers("/reliable/volatile") == 1
    assert node.count_publishers("/nothing") == 0


def test_what_is_destroyed_leaves_the_graph(node):
    publisher = node.create_publisher(String, "chat", 1)
    wait_for(lambda: node.count_publishers("chat") == 1)
    node.destroy_publisher(publisher)
    wait_for(lambda: node.count_publishers("chat") == 0)
    assert not node.destroy_publisher(publisher)
    Node("guest").destroy_node()
    assert node.get_node_names() == ["tester"]
