# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every pair of QoS that must match does, and every pair that must not says so."""

import itertools
import time

import pytest
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    InvalidQoSProfileException,
    LivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from std_msgs.msg import String

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE
KINDS = list(itertools.product((RELIABLE, BEST_EFFORT), (LATCHED, VOLATILE)))
PAIRS = list(itertools.product(KINDS, KINDS))


def topic_of(offered):
    return "/" + "/".join(policy.name.lower() for policy in offered)


def missing(offered, requested):
    """The policies in which less is offered than requested."""
    names = []
    if offered[0] is BEST_EFFORT and requested[0] is RELIABLE:
        names.append("RELIABILITY")
    if offered[1] is VOLATILE and requested[1] is LATCHED:
        names.append("DURABILITY")
    return names


def spin_until(node, condition, timeout=30.0):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()


def test_every_pair_of_reliability_and_durability(node, program, capfd):
    offers = program("offers")
    offers.wait_for("offering")
    got = {pair: [] for pair in PAIRS}
    subscriptions = {
        (offered, requested): node.create_subscription(
            String,
            topic_of(offered),
            lambda message, pair=(offered, requested): got[pair].append(message.data),
            QoSProfile(depth=50, reliability=requested[0], durability=requested[1]),
        )
        for offered, requested in PAIRS
    }
    fitting = {pair for pair in PAIRS if not missing(*pair)}
    spin_until(node, lambda: all(subscriptions[p].get_publisher_count() for p in fitting))
    go = node.create_publisher(String, "go", 1)
    spin_until(node, go.get_subscription_count)
    go.publish(String())
    spin_until(node, lambda: all("flow" in got[pair] for pair in fitting))

    assert {pair for pair in PAIRS if subscriptions[pair].get_publisher_count()} == fitting
    assert {pair for pair in PAIRS if got[pair]} == fitting
    late_joiner = ((RELIABLE, LATCHED), (RELIABLE, LATCHED))
    assert got[late_joiner][0] == "latched"
    assert not any("latched" in got[pair] for pair in PAIRS if pair[0][1] is VOLATILE)

    warnings = capfd.readouterr().err
    for offered in KINDS:
        unfit = [missing(offered, r) for r in KINDS if (offered, r) not in fitting]
        warning = f"New publisher discovered on topic '{topic_of(offered)}',"
        assert (warning in warnings) == bool(unfit)
    offers.wait_for("New subscription discovered on topic '/best_effort/.*RELIABILITY")
    assert "Last incompatible policy: RELIABILITY" in warnings
    assert "Last incompatible policy: DURABILITY" in warnings


def test_a_missed_deadline_and_a_lost_publisher_are_events(node):
    events = []
    node.create_subscription(
        String,
        "heartbeat",
        lambda _: None,
        QoSProfile(depth=1, deadline=Duration(seconds=0.3)),
        event_callbacks=SubscriptionEventCallbacks(
            deadline=lambda status: events.append(("deadline", status.total_count)),
            liveliness=lambda status: events.append(("alive", status.alive_count)),
            matched=lambda status: events.append(("matched", status.current_count)),
        ),
    )
    offered = QoSProfile(depth=1, deadline=Duration(seconds=0.3))
    publisher = node.create_publisher(String, "heartbeat", offered)
    publisher.publish(String())
    spin_until(node, lambda: ("deadline", 1) in events)
    assert {("matched", 1), ("alive", 1)} <= set(events)
    node.destroy_publisher(publisher)
    spin_until(node, lambda: {("matched", 0), ("alive", 0)} <= set(events))


def test_old_messages_expire(node):
    qos = QoSProfile(depth=5, durability=LATCHED, lifespan=Duration(seconds=0.2))
    publisher = node.create_publisher(String, "news", qos)
    publisher.publish(String(data="old"))
    time.sleep(0.5)
    got = []
    node.create_subscription(String, "news", lambda m: got.append(m.data), qos)
    # A busy machine may deliver one too late as well.
    spin_until(node, lambda: publisher.publish(String(data="new")) or got)
    assert set(got) == {"new"}


def test_only_the_newest_messages_are_kept(node):
    got = []
    node.create_subscription(String, "state", lambda message: got.append(message.data), 2)
    publisher = node.create_publisher(String, "state", 2)
    for number in range(5):
        publisher.publish(String(data=str(number)))
    spin_until(node, lambda: len(got) == 2)
    assert got == ["3", "4"]


def test_a_profile_says_how_much_is_kept():
    with pytest.raises(InvalidQoSProfileException, match="depth"):
        QoSProfile(history=HistoryPolicy.KEEP_LAST)
    assert QoSProfile(history=HistoryPolicy.KEEP_ALL).on_wire().depth is None
    assert QoSProfile(depth=3) == QoSProfile(depth=3, reliability=RELIABLE)
    assert QoSPresetProfiles.SENSOR_DATA.value is qos_profile_sensor_data
    assert qos_profile_sensor_data.reliability is BEST_EFFORT
    asserted = QoSProfile(depth=1, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC)
    assert asserted.on_wire().liveliness_by_topic
