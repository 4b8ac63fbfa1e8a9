# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Of what several nodes latch, the newest counts, in whatever order it comes."""

import itertools
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from magma_ros.nodes import names, qos
from magma_ros.nodes.subscriptions import subscribe_newest


@pytest.fixture
def node():
    rclpy.init()
    made = rclpy.create_node("late_joiner")
    yield made
    made.destroy_node()
    rclpy.shutdown()


def spin(node, seconds):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)
    executor.remove_node(node)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
def test_late_joiner_follows_the_instruction_given_last(node, order):
    words = ["push the cube", "pick the cube", "put it down"]
    publishers = {
        number: node.create_publisher(String, names.INSTRUCTION, qos.LATCHED) for number in order
    }
    for number in range(3):
        publishers[number].publish(String(data=words[number]))
        time.sleep(0.002)
    heard = []
    subscribe_newest(node, String, [names.INSTRUCTION], lambda m: heard.append(m.data))
    spin(node, 0.3)
    assert heard[-1:] == words[-1:]


def test_what_is_said_from_now_on_counts_whatever_the_clock_of_its_sender(node):
    heard = []
    hear = {}
    node.create_subscription = lambda *words: hear.setdefault("callback", words[2])
    subscribe_newest(node, String, [names.INSTRUCTION], lambda m: heard.append(m.data))
    now = time.time_ns()
    hear["callback"](String(data="from a clock ahead"), {"source_timestamp": now + 10**12})
    hear["callback"](String(data="from ours"), {"source_timestamp": now + 10**9})
    assert heard == ["from a clock ahead", "from ours"]
