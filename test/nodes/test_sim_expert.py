# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator begins the scene of another seed, and shows what its expert would do there."""

import time

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from magma_ros.nodes import names, qos
from magma_ros.nodes.sim_node import SimNode

DONE = TransitionCallbackReturn.SUCCESS
GIVEN = ("overview_rate:=0.0", "camera_rate:=1.0", "show_expert:=true", "seed:=5")


@pytest.fixture
def sim(needs):
    """An active simulation node, a listener, and what brings both forward until something holds."""
    needs("sim")
    rclpy.init(args=["--ros-args", *(word for part in GIVEN for word in ("-p", part))])
    node, listener = SimNode(), rclpy.create_node("listener", use_global_arguments=False)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(listener)

    def until(condition):
        end = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.1)

    assert node.trigger_configure() == node.trigger_activate() == DONE
    yield node, listener, until
    node.end()
    listener.destroy_node()
    rclpy.shutdown()


def test_the_expert_is_shown_and_a_reset_begins_the_scene_of_a_new_seed(sim):
    node, listener, until = sim
    twists, openings, told = [], [], []
    listener.create_subscription(TwistStamped, names.EXPERT_TWIST, twists.append, qos.STATE)
    listener.create_subscription(JointState, names.EXPERT_GRIPPER, openings.append, qos.STATE)
    listener.create_subscription(String, names.INSTRUCTION, told.append, qos.LATCHED)
    until(lambda: twists and openings and told)
    linear = twists[-1].twist.linear
    assert twists[-1].header.frame_id == "base_link"
    assert 0.0 < np.linalg.norm([linear.x, linear.y, linear.z]) <= 0.3 * np.sqrt(3.0)
    assert openings[-1].position[0] > 0.0
    before = node._world.instruction, node._world.object_position(node._world.target_name)
    assert node.set_parameters([Parameter("seed", value=6)])[0].successful
    client, heard = listener.create_client(Trigger, names.SIM_RESET), len(told)
    until(client.service_is_ready)
    future = client.call_async(Trigger.Request())
    until(lambda: future.done() and len(told) > heard)
    after = node._world.instruction, node._world.object_position(node._world.target_name)
    assert told[-1].data == after[0]
    assert not np.allclose(before[1], after[1])
