# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot tells on ``task/status`` what it touches."""

import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.sim_node import SimNode

DONE = TransitionCallbackReturn.SUCCESS
SCENE = ("suite:=obstacles", "task:=pick-blocked", "seed:=1000", "overview_rate:=0.0")
NO_END = "time_limit:=0.0"


def test_an_arm_that_runs_into_a_post_is_told_of_and_goes_on_being_judged(needs):
    needs("sim")
    rclpy.init(args=["--ros-args", *(part for given in (*SCENE, NO_END) for part in ("-p", given))])
    node, driver = SimNode(), rclpy.create_node("driver")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(driver)
    told = []
    driver.create_subscription(
        DiagnosticStatus,
        names.TASK_STATUS,
        lambda message: told.append(convert.status_values(message) | {"text": message.message}),
        qos.LATCHED,
    )
    drive = driver.create_publisher(TwistStamped, names.ROBOT_TWIST, qos.STATE)
    assert node.trigger_configure() == node.trigger_activate() == DONE
    world = node._world.world
    (x, y, _), _ = world._bullet.getBasePositionAndOrientation(world.monitor.bodies[0])
    deadline = time.monotonic() + 30.0
    while not (told and int(told[-1]["contacts"])):
        assert time.monotonic() < deadline, "it never touched the post"
        to = np.clip(5 * (np.array([x, y, 0.12]) - world.tool_position()), -0.25, 0.25)
        stamp = driver.get_clock().now().to_msg()
        drive.publish(convert.twist_to_message(np.append(to, np.zeros(3)), "base_link", stamp))
        executor.spin_once(timeout_sec=0.05)
    assert told[0]["contacts"] == "0"
    assert told[-1]["state"] == "RUNNING"
    assert told[-1]["text"].startswith("The arm touched an obstacle (1")
    node.end()
    rclpy.shutdown()
