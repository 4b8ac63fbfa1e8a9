# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A console process whose operator takes over and holds a key for ever, or for so many seconds."""

import math
import sys
import threading
import time

import numpy as np

from magma_ros import embedded

embedded.install()

import rclpy  # noqa: E402 - supplied by the line above
from rclpy.executors import SingleThreadedExecutor  # noqa: E402

from magma_ros.console.robot import Jog, JogFrame, Verb  # noqa: E402
from magma_ros.nodes.console_node import ConsoleNode  # noqa: E402
from magma_ros.types import Mode  # noqa: E402


def main(seconds: float, *words: str) -> None:
    rclpy.init(args=["--ros-args", "-p", "port:=0", *words])
    node = ConsoleNode()
    node.trigger_configure()
    node.trigger_activate()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    robot = node.robot
    began = math.inf
    while time.monotonic() - began < 1.0:  # the guard looks twice a second for other consoles
        if robot.view().guard.mode is not Mode.TELEOP:
            accepted, sentence = robot.request(Verb.TAKE_OVER)
            print(sentence, flush=True)
            began = time.monotonic() if accepted else math.inf
        robot.release()
        time.sleep(0.1)
    print("took over", flush=True)
    up = Jog(JogFrame.BASE, np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        robot.jog(up)
        time.sleep(0.05)
    robot.release()
    print("let go", flush=True)
    while True:  # an operator who is there
        robot.release()
        time.sleep(0.2)


main(float(sys.argv[1]), *sys.argv[2:])
