# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console in a terminal: the same robot as behind the page, without a server."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from magma_ros.console.terminal.app import TerminalConsole
from magma_ros.console.terminal.hang_up import on_hang_up, require_terminal
from magma_ros.embedded import early
from magma_ros.nodes.console_robot import RosRobot
from magma_ros.nodes.console_settings import CONSOLE_SETTINGS, JOG_SETTINGS
from magma_ros.nodes.managed_node import UNUSABLE, ManagedNode
from magma_ros.types import MagmaError

HUNG_UP = 128 + signal.SIGHUP
"""Exit status after the terminal has hung up; what a shell reports of a process that this ends."""


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


class _Session:
    """A node that is served on a thread of its own, as the terminal needs the main one."""

    def __init__(self, node: TerminalConsoleNode, robot: RosRobot) -> None:
        self._node, self._robot = node, robot
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._asked, self._once, self._over = threading.Event(), threading.Lock(), False
        self._thread = threading.Thread(target=self._spin, name="robot")
        self._thread.start()

    def end(self) -> None:
        """Let go of the robot and close the node; whoever asks later waits until it is done."""
        self._robot.leave()
        self._asked.set()
        with self._once:
            if self._over:
                return
            self._over = True
            self._thread.join()
            self._executor.remove_node(self._node)
            _close(self._node)

    def abandon(self) -> None:
        """End the process without the terminal, which is gone: what writes to it may wait for ever.

        The node's log is the one place where this can still be said.
        """
        try:
            self._robot.leave()
            self._node.get_logger().error("the terminal has hung up; the robot was let go of")
            self.end()
        finally:
            early.leave(HUNG_UP)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._asked.is_set():
                self._executor.spin_once(timeout_sec=0.2)


def main(args: Sequence[str]) -> int:
    """Run the console in this terminal until the operator leaves; returns the exit status.

    A terminal that hangs up ends the process with :data:`HUNG_UP`.

    Raises:
        MagmaError: There is no terminal, or the parameters cannot be used.
    """
    terminal = require_terminal()
    rclpy.init(args=[*args], signal_handler_options=SignalHandlerOptions.NO)
    node = TerminalConsoleNode()
    node.trigger_configure()
    if node.robot is None:
        failure = node.failure
        _close(node)
        if isinstance(failure, MagmaError):
            raise failure
        return UNUSABLE
    node.trigger_activate()
    session = _Session(node, node.robot)
    try:
        app = TerminalConsole(node.robot, **node.settings.group("jog"))
        with on_hang_up(terminal, session.abandon):
            app.run()
    finally:
        session.end()
    return app.return_code or 0


def _close(node: TerminalConsoleNode) -> None:
    node.end()
    node.destroy_node()
    rclpy.try_shutdown()
