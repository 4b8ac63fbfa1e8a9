# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From depth to the plan: what a person calls by its number is what the policy is pointed at."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import String

from magma_ros.nodes import names, qos
from magma_ros.nodes.perception_node import PerceptionNode
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.sim_node import SimNode
from magma_ros.share import share_file
from magma_ros.types import TRACE_GRID

DONE = TransitionCallbackReturn.SUCCESS


@pytest.fixture
def stack(pointing_bundle, needs):
    """Simulation, perception and policy, told to pick the one marked 2, and an operator."""
    needs("sim")
    # The test machine's pauses may be long.
    patient = {"max_age": 5.0, "deadline": 5.0, "sync_slop": 0.5}
    chosen = patient | {"bundle": pointing_bundle, "threads": 1, "self_test": 0.0, "gate": "fixed"}
    chosen |= {"task": "pick", "seed": 3, "depth_rate": 5.0, "overview_rate": 0.0}
    words = [word for name, value in chosen.items() for word in ("-p", f"{name}:={value}")]
    robot_file = str(share_file("config", "robots", "sim.yaml"))
    told = ["-p", "instruction:=pick the one marked 2"]
    rclpy.init(args=["--ros-args", "--params-file", robot_file, *words, *told])
    nodes = [node() for node in (SimNode, PerceptionNode, PolicyNode)]
    operator = rclpy.create_node("operator", use_global_arguments=False)
    executor = SingleThreadedExecutor()
    for node in nodes:
        assert node.trigger_configure() == node.trigger_activate() == DONE, node.failure
        executor.add_node(node)
    executor.add_node(operator)

    def until(condition):
        end = time.monotonic() + 120.0
        while not condition():
            assert time.monotonic() < end, nodes[2]._inputs.waiting_for(nodes[2]._now())
            executor.spin_once(timeout_sec=0.02)

    yield *nodes, operator, until
    for node in (*reversed(nodes), operator):
        node.destroy_node()
    rclpy.shutdown()


def test_the_policy_is_pointed_at_what_bears_the_number_that_was_said(stack):
    sim, _, policy, operator, until = stack
    simulation = sim._world
    instruction = operator.create_publisher(String, names.INSTRUCTION, qos.LATCHED)
    for number in (2, 3, 1):
        said = f"pick the one marked {number}"
        if number != 2:  # which the simulation has said
            instruction.publish(String(data=said))
        until(lambda said=said: policy._mind._planned_for[0] == said)
        name = simulation.from_left("front")[number - 1]
        place = simulation.project("front", simulation.object_position(name))
        side = simulation.image("front").shape[0]
        apart = np.subtract(policy._mind._planned_for[1], place * TRACE_GRID / side)
        assert np.abs(apart).max() < 10.0
