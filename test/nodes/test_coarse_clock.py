# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Beside a /clock that comes rarely, the guard takes every command in its turn."""

import time

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rosgraph_msgs.msg import Clock

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.share import share_file

DONE = TransitionCallbackReturn.SUCCESS


@pytest.fixture
def nodes():
    """A guard and a robot, both on simulated time, and what spins them."""
    robot_file = share_file("config", "robots", "sim.yaml")
    rclpy.init(args=["--ros-args", "--params-file", str(robot_file), "-p", "use_sim_time:=true"])
    world, guard = rclpy.create_node("world"), GuardNode()
    assert guard.trigger_configure() == guard.trigger_activate() == DONE
    executor = SingleThreadedExecutor()
    for node in (world, guard):
        executor.add_node(node)
    yield world, guard, executor
    for node in (guard, world):
        node.destroy_node()
    rclpy.shutdown()


@pytest.mark.parametrize("rate", [20.0, 60.0])
def test_no_command_is_refused_because_the_clock_comes_rarely(nodes, rate):
    """Commands come evenly; several in a row carry the same stamp."""
    world, guard, executor = nodes
    clock = world.create_publisher(Clock, "/clock", qos.IMAGES)
    twists = world.create_publisher(TwistStamped, names.POLICY_TWIST, qos.STATE)
    poses = world.create_publisher(PoseStamped, names.EE_POSE, qos.STATE)
    began, ticks, commands = time.monotonic(), 0, 0
    settled = None  # messages refused before the clocks were known
    while (elapsed := time.monotonic() - began) < 3.0:
        if elapsed * rate >= ticks:
            ticks += 1
            clock.publish(Clock(clock=convert.to_stamp(100.0 + ticks / rate)))
        if elapsed * 50.0 >= commands:
            commands += 1
            stamp = world.get_clock().now().to_msg()
            twists.publish(convert.twist_to_message(np.zeros(6), "base_link", stamp))
            pose = PoseStamped()
            pose.header.stamp, pose.header.frame_id = stamp, "base_link"
            pose.pose.orientation.w = 1.0
            poses.publish(pose)
        executor.spin_once(timeout_sec=0.001)
        if settled is None and elapsed > 1.0:
            settled = guard._inputs.rejected
    assert commands > 100
    assert guard._inputs.rejected == settled
