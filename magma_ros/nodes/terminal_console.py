# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console in a terminal: the same robot as behind the page, without a server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from magma_ros.console.terminal.app import TerminalConsole
from magma_ros.nodes.console_robot import RosRobot
from magma_ros.nodes.console_settings import CONSOLE_SETTINGS, JOG_SETTINGS
from magma_ros.nodes.managed_node import UNUSABLE, ManagedNode
from magma_ros.types import MagmaError


class TerminalConsoleNode(ManagedNode):
    """The node of a terminal console.

    Attributes:
        robot: What the terminal shows and moves, or None while the node is not configured.
    """

    SETTINGS = (*JOG_SETTINGS, *CONSOLE_SETTINGS)

    def __init__(self) -> None:
        """Declare parameters."""
        super().__init__("terminal_console")
        self.robot: RosRobot | None = None

    def setup(self) -> None:
        """Listen to the robot."""
        self.robot = RosRobot(self)

    def stop(self) -> None:
        """Let go of the robot."""
        if self.robot is not None:
            self.robot.let_go()

    def teardown(self) -> None:
        """Close what is not a topic."""
        robot, self.robot = self.robot, None
        if robot is not None:
            robot.close()


def main(args: Sequence[str]) -> int:
    """Run the console in this terminal until the operator leaves; returns the exit status.

    Raises:
        MagmaError: The parameters cannot be used.
    """
    rclpy.init(args=[*args], signal_handler_options=SignalHandlerOptions.NO)
    node = TerminalConsoleNode()
    try:
        node.trigger_configure()
        if node.robot is None:
            if isinstance(node.failure, MagmaError):
                raise node.failure
            return UNUSABLE
        node.trigger_activate()
        app = TerminalConsole(node.robot, **node.settings.group("jog"))
        with _served(node):
            app.run()
        return app.return_code or 0
    finally:
        node.end()
        node.destroy_node()
        rclpy.try_shutdown()


@contextlib.contextmanager
def _served(node: ManagedNode) -> Iterator[None]:
    """Run the node's callbacks in a thread, as the terminal needs the main one."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not ended.is_set():
                executor.spin_once(timeout_sec=0.2)

    thread = threading.Thread(target=spin, name="robot")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        executor.remove_node(node)
