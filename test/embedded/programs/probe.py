# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that tell what they were given, or behave as badly as real ones do."""

import itertools
import json
import os
import pathlib
import signal
import sys
import time


def tell():
    files = [b for a, b in itertools.pairwise(sys.argv) if a == "--params-file"]
    parameters = [pathlib.Path(file).read_text() for file in files]
    told = {"argv": sys.argv[1:], "env": dict(os.environ), "parameters": parameters}
    print(json.dumps(told), flush=True)


def wait():
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        time.sleep(0.05)


def stubborn():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        time.sleep(0.05)


def node():
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node
    from std_msgs.msg import String

    rclpy.init()
    node = Node("eye")
    node.create_publisher(String, "image", 1)
    gain, mode = node.declare_parameter("gain", 0.0), node.declare_parameter("mode", "off")
    print(node.get_fully_qualified_name(), gain.value, mode.value, flush=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        print("goodbye", flush=True)


def fail():
    print("cannot go on", file=sys.stderr, flush=True)
    return 3


def succeed():
    print("done", flush=True)
    return 0


def unusable():
    print("[FATAL] [1.5] [eye]: there is no such eye", file=sys.stderr, flush=True)
    return os.EX_CONFIG


def deaf():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(60.0)


def talk():
    line = "x" * 1000
    print("ready", flush=True)
    while True:
        print(line, flush=True)
