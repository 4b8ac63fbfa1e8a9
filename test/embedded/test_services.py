# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Services: answers from another process, dead servers, and the wire format."""

import struct
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from magma_ros.embedded.wire import codec, descriptor
from magma_ros.embedded.wire.entities import Participant, Reader
from magma_ros.embedded.wire.qos import WireQos


@pytest.fixture
def spinning(node):
    """The node, with an executor that spins in another thread."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield node
    executor.shutdown()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def server(program):
    server = program("server")
    server.wait_for("serving")
    return server


def test_a_request_is_answered_by_another_process(node, server):
    client = node.create_client(SetBool, "/server/answer")
    assert client.wait_for_service(timeout_sec=30.0)
    futures = [client.call_async(SetBool.Request(data=wanted)) for wanted in (True, False, True)]
    for future in futures:
        rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
    assert [future.result().message for future in futures] == ["yes", "no", "yes"]


def test_clients_of_one_service_get_their_own_answers(node, server):
    clients = [node.create_client(SetBool, "/server/answer") for _ in range(2)]
    assert all(client.wait_for_service(timeout_sec=30.0) for client in clients)
    futures = [
        client.call_async(SetBool.Request(data=wanted))
        for client, wanted in zip(clients, (True, False), strict=True)
    ]
    for future in futures:
        rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
    assert [future.result().success for future in futures] == [True, False]


def test_a_call_from_another_thread_waits_for_its_answer(spinning, server):
    client = spinning.create_client(SetBool, "/server/answer")
    assert client.wait_for_service(timeout_sec=30.0)
    assert client.call(SetBool.Request(data=True), timeout_sec=30.0).message == "yes"


def test_waiting_for_a_service_that_is_not_there_ends(node):
    client = node.create_client(Trigger, "/nowhere")
    start = time.monotonic()
    assert not client.wait_for_service(timeout_sec=0.2)
    assert 0.2 <= time.monotonic() - start < 10
    assert not client.service_is_ready()


def test_a_call_to_a_dead_server_times_out(spinning, server):
    client = spinning.create_client(Trigger, "/server/hang")
    assert client.wait_for_service(timeout_sec=30.0)
    threading.Thread(target=lambda: (server.wait_for("hanging"), server.process.kill())).start()
    with pytest.raises(TimeoutError, match=r"'/server/hang' did not answer in 2\.0 s"):
        client.call(Trigger.Request(), timeout_sec=2.0)


def test_a_call_without_a_limit_ends_when_its_server_leaves(spinning, server):
    client = spinning.create_client(Trigger, "/server/leave")
    assert client.wait_for_service(timeout_sec=30.0)
    with pytest.raises(TimeoutError, match="'/server/leave' went away before it answered"):
        client.call(Trigger.Request())


def test_a_call_that_would_wait_for_itself_is_refused(node, server):
    client = node.create_client(SetBool, "/server/answer")
    assert client.wait_for_service(timeout_sec=30.0)
    errors = []

    def ask():
        with pytest.raises(RuntimeError, match="use call_async") as caught:
            client.call(SetBool.Request())
        errors.append(caught)

    node.create_timer(0.01, ask)
    rclpy.spin_once(node, timeout_sec=10.0)
    assert errors


def test_a_callback_must_return_a_response(node):
    node.create_service(Trigger, "forgetful", lambda request, response: None)
    client = node.create_client(Trigger, "forgetful")
    future = client.call_async(Trigger.Request())
    with pytest.raises(TypeError, match="'/forgetful' returned None"):
        rclpy.spin_until_future_complete(node, future, timeout_sec=10.0)


def test_a_destroyed_client_releases_whoever_waits(node):
    client = node.create_client(Trigger, "/nowhere")
    future = client.call_async(Trigger.Request())
    node.destroy_client(client)
    assert future.cancelled()
    with pytest.raises(TypeError, match="Request"):
        node.create_client(Trigger, "/nowhere").call_async(SetBool.Request())


def test_a_request_on_the_wire_is_a_header_and_the_message(node, domain):
    listener = Participant(domain)
    qos = WireQos().for_endpoint("")
    name = "std_srvs/srv/SetBool_Request"
    reader = Reader(listener, "rq/tester/goRequest", name, qos)
    client = node.create_client(SetBool, "~/go")
    while not reader.get_matched_publications():
        time.sleep(0.01)
    client.call_async(SetBool.Request(data=True))
    client.call_async(SetBool.Request(data=False))
    samples = []
    while len(samples) < 2:
        samples += filter(None, [reader.take_bytes()])
        time.sleep(0.01)
    for number, (data, info) in enumerate(samples, 1):
        handle, sequence = struct.unpack_from("<Qq", data, codec.HEADER_SIZE)
        assert sequence == number
        assert data[:4] == bytes.fromhex("00010000")[:3] + data[3:4]
        assert codec.deserialize(data[:4] + data[20:], name) == SetBool.Request(data=number == 1)
        writer = client.writer_gids[0]
        assert handle & (2**64 - 1) != 0
        assert len(writer) == 16
        assert info.valid_data
    assert len({struct.unpack_from("<Q", data, 4) for data, _ in samples}) == 1
    listener.close()


@pytest.mark.parametrize("part", ["Request", "Response"])
def test_a_stock_node_announces_the_same_service_type(part):
    """rmw_cyclonedds_cpp announces the type without the header; its minimal form must be ours."""
    name = f"rcl_interfaces/srv/SetParameters_{part}"
    ours = descriptor.HeaderedType(name)
    theirs = descriptor._structure(name).__idl__
    theirs.fill_type_data()
    minimal = theirs.get_type_info().minimal.typeid_with_size.type_id
    assert minimal.serialize(use_version_2=True)[4:] in ours._xt_bytedata[0]


def test_a_stock_servers_endpoints_match_our_client(node, program, domain):
    program("stock_server").wait_for("waiting")
    client = node.create_client(Trigger, "/stock")
    assert client.wait_for_service(timeout_sec=30.0)
