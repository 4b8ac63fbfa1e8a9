# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes: their states changed from another process, and what happens when that fails."""

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import (
    ChangeState,
    GetAvailableStates,
    GetAvailableTransitions,
    GetState,
)
from rclpy.lifecycle import LifecycleNode, ManagedEntity, TransitionCallbackReturn
from rclpy.lifecycle.state_machine import TRANSITIONS
from rclpy.node import Node
from std_msgs.msg import Int32

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


@pytest.fixture
def tester():
    rclpy.init()
    node = Node("tester")
    yield node
    node.destroy_node()
    rclpy.shutdown()


class Counter:
    """The managed node ``/counter`` in another process, reached through its services."""

    def __init__(self, node, process):
        self.node = node
        self.process = process

    def call(self, service_type, name, **fields):
        client = self.node.create_client(service_type, f"/counter/{name}")
        assert client.wait_for_service(timeout_sec=20.0)
        future = client.call_async(service_type.Request(**fields))
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=20.0)
        assert future.done()
        return future.result()

    def change(self, transition_id=0, label=""):
        transition = Transition(id=transition_id, label=label)
        return self.call(ChangeState, "change_state", transition=transition).success

    @property
    def state(self):
        return self.call(GetState, "get_state").current_state.label

    def possible(self):
        found = self.call(GetAvailableTransitions, "get_available_transitions")
        return {d.transition.label for d in found.available_transitions}


@pytest.fixture
def counter(program, tester):
    def start(**behaviour):
        words = [word for k, v in behaviour.items() for word in ("-p", f"{k}:={v}")]
        process = program("lifecycle_node", "--ros-args", *words)
        process.wait_for("ready")
        return Counter(tester, process)

    return start


def test_a_node_is_led_through_all_its_states_from_another_process(counter) -> None:
    counter = counter()
    assert counter.state == "unconfigured"
    assert counter.possible() == {"configure", "shutdown"}
    assert counter.change(Transition.TRANSITION_CONFIGURE)
    assert counter.state == "inactive"
    assert counter.possible() == {"cleanup", "activate", "shutdown"}
    assert counter.change(Transition.TRANSITION_ACTIVATE)
    assert counter.state == "active"
    assert counter.possible() == {"deactivate", "shutdown"}
    assert counter.change(label="deactivate")
    assert counter.state == "inactive"
    assert counter.change(Transition.TRANSITION_CLEANUP)
    assert counter.state == "unconfigured"
    assert counter.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert counter.state == "finalized"
    assert counter.possible() == set()


def test_a_managed_publisher_speaks_only_while_active(counter) -> None:
    counter = counter()
    heard = []
    counter.node.create_subscription(Int32, "/count", heard.append, 10)
    assert counter.change(label="configure")
    while not counter.node.count_publishers("/count"):
        rclpy.spin_once(counter.node, timeout_sec=0.1)
    counter.process.wait_for("counted to three")
    rclpy.spin_once(counter.node, timeout_sec=0.1)
    assert heard == []
    assert counter.change(label="activate")
    while not heard:
        rclpy.spin_once(counter.node, timeout_sec=0.1)
    assert counter.change(label="deactivate")
    for _ in range(20):  # what was under way arrives
        rclpy.spin_once(counter.node, timeout_sec=0.02)
    count = len(heard)
    for _ in range(20):
        rclpy.spin_once(counter.node, timeout_sec=0.02)
    assert len(heard) == count
    assert heard[0].data > 3


def test_a_node_that_fails_to_configure_stays_unconfigured(counter) -> None:
    counter = counter(on_configure="failure")
    assert not counter.change(label="configure")
    assert counter.state == "unconfigured"


@pytest.mark.parametrize("misbehaviour", ["error", "raise", "forget"])
def test_an_error_leads_through_on_error_back_to_unconfigured(counter, misbehaviour) -> None:
    counter = counter(on_configure=misbehaviour)
    assert not counter.change(label="configure")
    assert counter.state == "unconfigured"
    counter.process.wait_for("on_error unconfigured")


def test_an_exception_in_a_callback_is_logged_with_its_traceback(counter) -> None:
    counter = counter(on_configure="raise")
    assert not counter.change(label="configure")
    counter.process.wait_for("on_configure failed")
    counter.process.wait_for("Traceback")
    counter.process.wait_for("RuntimeError: on_configure was told to raise")


@pytest.mark.parametrize("repair", ["failure", "error", "raise"])
def test_an_error_that_cannot_be_repaired_ends_the_node(counter, repair) -> None:
    counter = counter(on_activate="error", on_error=repair)
    assert counter.change(label="configure")
    assert not counter.change(label="activate")
    assert counter.state == "finalized"


def test_a_transition_that_is_not_possible_is_refused_and_changes_nothing(counter) -> None:
    counter = counter()
    assert not counter.change(label="activate")
    assert not counter.change(Transition.TRANSITION_DEACTIVATE)
    assert not counter.change(label="fly")
    assert not counter.change(200)
    assert counter.state == "unconfigured"
    counter.process.wait_for("transition 'activate' is not possible in the state 'unconfigured'")


def test_every_change_is_announced(counter) -> None:
    counter = counter()
    events = []
    counter.node.create_subscription(
        TransitionEvent, "/counter/transition_event", events.append, 10
    )
    while not counter.node.count_publishers("/counter/transition_event"):
        rclpy.spin_once(counter.node, timeout_sec=0.1)
    counter.change(label="configure")
    while len(events) < 2:
        rclpy.spin_once(counter.node, timeout_sec=0.1)
    ways = [(e.start_state.label, e.transition.label, e.goal_state.label) for e in events]
    assert ways == [
        ("unconfigured", "configure", "configuring"),
        ("configuring", "transition_success", "inactive"),
    ]
    assert events[0].timestamp > 0


def test_states_and_graph_are_those_of_lifecycle_msgs(counter) -> None:
    counter = counter()
    states = counter.call(GetAvailableStates, "get_available_states").available_states
    assert {s.id: s.label for s in states}[State.TRANSITION_STATE_ERRORPROCESSING] == (
        "errorprocessing"
    )
    assert len(states) == 11
    graph = counter.call(GetAvailableTransitions, "get_transition_graph").available_transitions
    assert len(graph) == len(TRANSITIONS) == 25
    ways = {d.transition.id: (d.start_state.label, d.goal_state.label) for d in graph}
    assert ways[Transition.TRANSITION_ON_DEACTIVATE_FAILURE] == ("deactivating", "active")
    assert ways[Transition.TRANSITION_ON_SHUTDOWN_ERROR] == ("shuttingdown", "errorprocessing")
    assert ways[Transition.TRANSITION_ON_ERROR_FAILURE] == ("errorprocessing", "finalized")


class Obedient(LifecycleNode):
    """Returns what it is told to, callback by callback."""

    def __init__(self, **results):
        super().__init__("obedient", enable_communication_interface=False)
        self.results = results
        self.called = []

    def on_deactivate(self, state):
        self.called.append(("on_deactivate", state.label))
        return self.results.get("on_deactivate", SUCCESS)

    def on_shutdown(self, state):
        self.called.append(("on_shutdown", state.label))
        return self.results.get("on_shutdown", SUCCESS)


@pytest.fixture
def obedient(tester):
    nodes = []

    def make(**results):
        nodes.append(Obedient(**results))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_triggers_return_what_the_callback_did(obedient) -> None:
    node = obedient(on_deactivate=FAILURE)
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    assert node.trigger_deactivate() is FAILURE
    assert node._state_machine.current_state == (State.PRIMARY_STATE_ACTIVE, "active")
    assert node.trigger_shutdown() is SUCCESS
    assert node.called == [("on_deactivate", "active"), ("on_shutdown", "active")]
    with pytest.raises(RuntimeError, match="not possible in the state 'finalized'"):
        node.trigger_shutdown()


def test_a_failing_shutdown_still_ends_the_node(obedient) -> None:
    node = obedient(on_shutdown=FAILURE)
    assert node.trigger_shutdown() is FAILURE
    assert node._state_machine.current_state == (State.PRIMARY_STATE_FINALIZED, "finalized")


def test_managed_entities_follow_the_node_and_can_stop_it(obedient) -> None:
    class Camera(ManagedEntity):
        def on_activate(self, state):
            return FAILURE

    node = obedient()
    node.add_managed_entity(Camera())
    publisher = node.create_lifecycle_publisher(Int32, "x", 1)
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is FAILURE
    assert node._state_machine.current_state[1] == "inactive"
    assert node.destroy_lifecycle_publisher(publisher)
