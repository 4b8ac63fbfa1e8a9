# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames are looked up between any two of a tree, at any time that is known, as tf2 does it."""

import math

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
    TransformListener,
)


def transform(parent, child, seconds=0.0, position=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    made = TransformStamped(child_frame_id=child)
    made.header.frame_id = parent
    made.header.stamp = Time(seconds=seconds).to_msg()
    t, q = made.transform.translation, made.transform.rotation
    t.x, t.y, t.z = map(float, position)
    q.x, q.y, q.z, q.w = map(float, Rotation.from_rotvec(turn).as_quat())
    return made


def parts(found):
    t, q = found.transform.translation, found.transform.rotation
    return np.array([t.x, t.y, t.z]), Rotation.from_quat([q.x, q.y, q.z, q.w])


@pytest.fixture
def buffer():
    """An arm that turns by a quarter in a second on a table, and a camera beside it."""
    buffer = Buffer()
    buffer.set_transform_static(transform("table", "base", position=(1, 0, 0)), "test")
    buffer.set_transform_static(transform("table", "camera", position=(0, 0, 2)), "test")
    buffer.set_transform(transform("base", "tool", 10.0, (0, 0, 1)), "test")
    quarter = (0, 0, math.pi / 2)
    buffer.set_transform(transform("base", "tool", 11.0, (0.2, 0, 1), quarter), "test")
    return buffer


def test_between_two_times_positions_and_turns_are_interpolated(buffer):
    position, turn = parts(buffer.lookup_transform("base", "tool", Time(seconds=10.5)))
    assert position == pytest.approx([0.1, 0.0, 1.0])
    assert turn.as_rotvec() == pytest.approx([0.0, 0.0, math.pi / 4])


def test_frames_of_two_branches_meet_at_their_ancestor(buffer):
    position, _ = parts(buffer.lookup_transform("camera", "tool", Time(seconds=11.0)))
    assert position == pytest.approx([1.2, 0.0, -1.0])
    position, _ = parts(buffer.lookup_transform("tool", "camera", Time(seconds=11.0)))
    assert position == pytest.approx([0.0, 1.2, 1.0])


def test_time_zero_means_the_latest_and_says_when_that_was(buffer):
    found = buffer.lookup_transform("table", "tool", Time())
    assert Time.from_msg(found.header.stamp) == Time.from_msg(Time(seconds=11).to_msg())
    assert (found.header.frame_id, found.child_frame_id) == ("table", "tool")


@pytest.mark.parametrize(
    ("target", "source", "seconds", "error"),
    [
        ("base", "nowhere", 10.5, LookupException),
        ("base", "island", 10.5, ConnectivityException),
        ("base", "tool", 9.0, ExtrapolationException),
        ("base", "tool", 12.0, ExtrapolationException),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(buffer, target, source, seconds, error):
    buffer.set_transform_static(transform("sea", "island"), "test")
    with pytest.raises(error):
        buffer.lookup_transform(target, source, Time(seconds=seconds))
    assert issubclass(error, TransformException)
    assert not buffer.can_transform(target, source, Time(seconds=seconds))


@pytest.mark.parametrize(
    "change",
    [
        {"child_frame_id": ""},
        {"child_frame_id": "base"},
        {"x": math.nan},
        {"w": 0.0},
        {"w": math.inf},
        {"w": 1e200},
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_malformed_transform_is_refused_and_changes_nothing(buffer, change):
    broken = transform("base", "tool", 11.5)
    broken.child_frame_id = change.get("child_frame_id", "tool")
    broken.transform.translation.x = change.get("x", 0.0)
    broken.transform.rotation.w = change.get("w", 1.0)
    with pytest.raises(InvalidArgumentException):
        buffer.set_transform(broken, "test")
    assert not buffer.can_transform("base", "tool", Time(seconds=11.5))


def test_a_loop_is_found_out():
    buffer = Buffer()
    buffer.set_transform_static(transform("a", "b"), "test")
    buffer.set_transform_static(transform("b", "a"), "test")
    with pytest.raises(TransformException, match="loop"):
        buffer.lookup_transform("a", "b", Time())


def test_what_is_older_than_the_cache_is_forgotten():
    buffer = Buffer(cache_time=Duration(seconds=1.0))
    for seconds in (10.0, 10.5, 12.0):
        buffer.set_transform(transform("base", "tool", seconds), "test")
    assert not buffer.can_transform("base", "tool", Time(seconds=10.5))
    assert buffer.can_transform("base", "tool", Time(seconds=12.0))


numbers = st.tuples(*[st.floats(-3.0, 3.0)] * 3)


@examples(100)
@given(numbers, numbers, numbers, numbers)
def test_there_and_back_is_no_way_at_all(first, turn, second, other):
    buffer = Buffer()
    buffer.set_transform(transform("a", "b", 1.0, first, turn), "test")
    buffer.set_transform(transform("b", "c", 1.0, second, other), "test")
    there, turned = parts(buffer.lookup_transform("a", "c", Time()))
    back, unturned = parts(buffer.lookup_transform("c", "a", Time()))
    assert turned.apply(back) + there == pytest.approx(np.zeros(3), abs=1e-9)
    assert (turned * unturned).magnitude() == pytest.approx(0.0, abs=1e-7)


def test_the_listener_hears_moving_and_static_frames():
    rclpy.init()
    node = rclpy.create_node("listener")
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    moving = node.create_publisher(TFMessage, "/tf", 10)
    static = node.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(TFMessage(transforms=[transform("table", "base", position=(1, 0, 0))]))
    for _ in range(100):
        moving.publish(TFMessage(transforms=[transform("base", "tool", 5.0, (0, 0, 1))]))
        rclpy.spin_once(node, timeout_sec=0.05)
        if buffer.can_transform("table", "tool", Time()):
            break
    position, _ = parts(buffer.lookup_transform("table", "tool", Time()))
    assert position == pytest.approx([1.0, 0.0, 1.0])
    listener.unregister()
    node.destroy_node()
    rclpy.shutdown()
