# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The operator's console: a page on the network, and behind it the robot as ROS knows it.

Nothing depends on this node. If it ends, falls silent or hangs, the guard hears no more of the
operator and brings the arm to rest.
"""

from __future__ import annotations

from magma_ros.console.config import ConsoleError
from magma_ros.console.page import mount  # takes seconds, in which no message should grow old
from magma_ros.console.server import ConsoleServer
from magma_ros.nodes.console_robot import RosRobot
from magma_ros.nodes.console_settings import CONSOLE_SETTINGS, SERVER_SETTINGS, console_config
from magma_ros.nodes.managed_node import ManagedNode, run


class ConsoleNode(ManagedNode):
    """Serves the page from activation to deactivation.

    Attributes:
        robot: What the page shows and moves, or None while the node is not configured.
    """

    SETTINGS = (*SERVER_SETTINGS, *CONSOLE_SETTINGS)

    def __init__(self) -> None:
        """Declare parameters."""
        super().__init__("console")
        self.robot: RosRobot | None = None
        self._server: ConsoleServer | None = None

    @property
    def url(self) -> str:
        """Where the page is found, or empty while it is not served."""
        return "" if self._server is None else self._server.url

    def setup(self) -> None:
        """Check the settings and listen to the robot."""
        self._config = console_config(self.settings)
        self.robot = RosRobot(self)

    def start(self) -> None:
        """Serve the page; without it the process ends, to be started again by whoever minds."""
        assert self.robot is not None
        self._server = ConsoleServer(self.robot, self._config, mount)
        try:
            self._server.start()
        except ConsoleError as error:  # a port is no reason to end a robot with status 78
            self.get_logger().error(str(error))
            self.exit_status = 1
            self.done.set_result(None)
            return
        for note in self._server.notes:
            self.get_logger().info(note)

    def stop(self) -> None:
        """Let go of the robot first, then close the page."""
        if self.robot is not None:
            self.robot.let_go()
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def teardown(self) -> None:
        """Close what is not a topic."""
        robot, self.robot = self.robot, None
        if robot is not None:
            robot.close()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``console_node``."""
    return run(ConsoleNode, args)
