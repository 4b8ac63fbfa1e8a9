# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that only waits; it tells how the wait ended."""

import signal
import sys

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

if "own" in sys.argv:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
else:
    rclpy.init()
rclpy.get_default_context().on_shutdown(lambda: print("shutdown", flush=True))
node = Node("spinner")
try:
    print("spinning", flush=True)  # from here on a signal may come
    if "sleep" in sys.argv:
        node.get_clock().sleep_for(Duration(seconds=1000))
        print("awake", flush=True)
    else:
        rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException) as ending:
    print(type(ending).__name__, flush=True)
finally:
    node.destroy_node()
    rclpy.try_shutdown()
print("finished", flush=True)
