# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launches the real stack, every node its own process, and watches it over DDS."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import ExitStack

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from magma_ros.nodes import convert, names, qos


class Launched:
    """A running launch whose console output is read as it comes."""

    def __init__(self, *arguments: str, cwd) -> None:
        command = [sys.executable, "-m", "magma_ros.cli", *arguments]
        self.process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def pids(self) -> dict[str, int]:
        """The newest process of each executable."""
        found = re.findall(r"\[(\w+)-\d+\]: process started with pid \[(\d+)\]", self.text)
        return {name: int(pid) for name, pid in found}

    def end(self) -> int:
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            code = self.process.wait(timeout=30)
        finally:  # its nodes end with it
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)
        return code


class Watcher:
    """A node of the test's own that keeps what it hears."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("watcher")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.twists: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.modes: list[dict[str, str]] = []
        self.on_robot_twist = lambda size: None
        for topic in (names.POLICY_TWIST, names.ROBOT_TWIST):
            self.node.create_subscription(
                TwistStamped, topic, lambda m, t=topic: self._on_twist(t, m), qos.EVENTS
            )
        self.node.create_subscription(
            DiagnosticStatus, names.GUARD_MODE, self._on_mode, qos.LATCHED
        )

    def _on_twist(self, topic: str, message: TwistStamped) -> None:
        linear, angular = message.twist.linear, message.twist.angular
        parts = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        size = max(abs(part) for part in parts)
        self.twists[topic].append((convert.seconds(message.header.stamp), size))
        if topic == names.ROBOT_TWIST:
            self.on_robot_twist(size)

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self.modes.append(convert.status_values(message) | {"sentence": message.message})

    @property
    def mode(self) -> str:
        return self.modes[-1]["mode"] if self.modes else ""

    def spin_until(self, condition, timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}"
            self.executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def moving(self) -> bool:
        heard = self.twists[names.ROBOT_TWIST]
        return bool(heard) and heard[-1][1] > 0.02

    def call(self, service: str) -> Trigger.Response:
        client = self.node.create_client(Trigger, service)
        assert client.wait_for_service(timeout_sec=10.0), f"no service {service}"
        future = client.call_async(Trigger.Request())
        self.spin_until(future.done, 10.0, f"an answer from {service}")
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown()


@pytest.fixture(autouse=True)
def whole_stack(needs) -> None:
    """These tests start the simulated robot, and Cyclone DDS even beside a real ROS 2."""
    needs("embedded", "sim")


@pytest.fixture
def launched(tmp_path):
    """Start a launch file, not in a namespace of its own; it is ended with the test."""
    with ExitStack() as started:

        def start(file: str, **arguments: str) -> Launched:
            arguments.setdefault("namespace", "")
            words = [f"{name}:={value}" for name, value in arguments.items()]
            launch = Launched("launch", file, *words, cwd=tmp_path)
            started.callback(launch.end)
            return launch

        yield start


@pytest.fixture
def watcher():
    watcher = Watcher()
    yield watcher
    watcher.close()
