# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node with one parameter of each kind; says "ready" and its values, then obeys."""

import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node


def refuse_red(parameters):
    for parameter in parameters:
        if parameter.name == "colour" and parameter.value == "red":
            return SetParametersResult(successful=False, reason="red is for emergencies")
    return SetParametersResult(successful=True)


class ParameterNode(Node):
    def __init__(self):
        super().__init__("limits")
        speed = FloatingPointRange(from_value=0.0, to_value=2.0, step=0.5)
        count = IntegerRange(from_value=1, to_value=9, step=2)
        self.declare_parameter(
            "arm.speed", 1.0, ParameterDescriptor(description="m/s", floating_point_range=[speed])
        )
        self.declare_parameter("count", 3, ParameterDescriptor(integer_range=[count]))
        self.declare_parameter("colour", "blue")
        self.declare_parameter("robot", "sim", ParameterDescriptor(read_only=True))
        self.declare_parameter("arm.home", [0.5, 0.25])
        self.declare_parameter("names", ["a", "b"])
        self.add_on_set_parameters_callback(refuse_red)
        self.add_post_set_parameters_callback(self.tell)

    def tell(self, parameters):
        print("set", {p.name: p.value for p in parameters}, flush=True)


rclpy.init()
node = ParameterNode()
print("ready", {n: p.value for n, p in node.get_parameters_by_prefix("").items()}, flush=True)
rclpy.spin(node)
