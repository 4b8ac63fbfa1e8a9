# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Services that answer, that take their time, and one that takes its server away."""

import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

rclpy.init()
node = Node("server")


def answer(request, response):
    response.success = request.data
    response.message = "yes" if request.data else "no"
    return response


def hang(_request, response):
    print("hanging", flush=True)
    time.sleep(1000)
    return response


def leave(_request, _response):
    raise ExternalShutdownException


node.create_service(SetBool, "~/answer", answer)
node.create_service(Trigger, "~/hang", hang)
node.create_service(Trigger, "~/leave", leave)
print("serving", flush=True)
try:
    rclpy.spin(node)
except ExternalShutdownException:
    node.destroy_node()
    rclpy.try_shutdown()
