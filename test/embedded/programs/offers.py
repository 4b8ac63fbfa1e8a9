# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Four publishers, one for each reliability and durability; a latched text, then a steady flow."""

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

rclpy.init()
node = Node("offers")
publishers = [
    node.create_publisher(
        String,
        f"{reliability.name.lower()}/{durability.name.lower()}",
        QoSProfile(depth=1, reliability=reliability, durability=durability),
    )
    for reliability in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
    for durability in (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE)
]


def say(text):
    for publisher in publishers:
        publisher.publish(String(data=text))


say("latched")
node.create_subscription(String, "go", lambda _: node.create_timer(0.05, lambda: say("flow")), 1)
print("offering", flush=True)
try:
    rclpy.spin(node)
except ExternalShutdownException:
    rclpy.try_shutdown()
