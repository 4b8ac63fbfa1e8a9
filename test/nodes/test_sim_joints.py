# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot goes where a joint controller of ros2_control would make it go."""

import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from magma_ros.guard import CommandInterface
from magma_ros.nodes import convert, qos
from magma_ros.nodes.robot_output import COMMAND_TOPICS
from magma_ros.nodes.settings import SettingError
from magma_ros.nodes.sim_node import SimNode
from magma_ros.share import share_file

DONE = TransitionCallbackReturn.SUCCESS
FILE = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim_joints.yaml"))]
QUIET = ["-p", "overview_rate:=0.0", "-p", "time_limit:=0.0"]
WAY = np.array([0.2, 0.1, -0.1, 0.0, 0.3])


def command(interface, names, goal, here):
    if interface is CommandInterface.JOINT_TRAJECTORY:
        stamp = convert.to_stamp(0.0)
        return convert.joint_command_to_message(names[::-1], goal[::-1], stamp, reach=0.02)
    by_velocity = interface is CommandInterface.FORWARD_VELOCITY
    return Float64MultiArray(data=(5.0 * (goal - here) if by_velocity else goal).tolist())


@pytest.mark.parametrize(
    "interface", [i for i in CommandInterface if i is not CommandInterface.TWIST]
)
def test_the_arm_goes_where_its_joints_are_sent(needs, interface):
    needs("sim")
    rclpy.init(args=[*FILE, "-p", f"command_interface:={interface.value}", *QUIET])
    node, driver = SimNode(), rclpy.create_node("driver")
    executor = SingleThreadedExecutor()
    for each in (node, driver):
        executor.add_node(each)
    kind = JointTrajectory if interface is CommandInterface.JOINT_TRAJECTORY else Float64MultiArray
    drive = driver.create_publisher(kind, COMMAND_TOPICS[interface], qos.STATE)
    assert node.trigger_configure() == node.trigger_activate() == DONE
    arm = node._world.world.arm.spec.arm_joints
    begin = node._world.joint_positions()[: len(arm)]
    goal, here, deadline = begin + WAY, begin, time.monotonic() + 20.0
    while not np.allclose(here, goal, atol=0.02):
        assert time.monotonic() < deadline, here - goal
        drive.publish(command(interface, arm, goal, here))
        executor.spin_once(timeout_sec=0.02)
        here = node._world.joint_positions()[: len(arm)]
    assert node._moved_at is not None
    node.end()
    rclpy.shutdown()


def test_a_file_of_other_joints_is_refused_in_one_sentence(needs):
    needs("sim")
    rclpy.init(args=[*FILE, "-p", "joints.names:=[a, b]", *QUIET])
    node = SimNode()
    assert node.trigger_configure() != DONE
    assert isinstance(node.failure, SettingError)
    assert "the simulated arm has the joints shoulder_pan" in str(node.failure)
    node.end()
    rclpy.shutdown()
