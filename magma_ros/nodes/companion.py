# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node in a process that is not its own: it listens and asks while the process does its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger


class Companion:
    """A node that a thread of its own serves, once :meth:`begin` was called.

    Args:
        name: Of the node.

    Attributes:
        node: To publish and to listen with.
    """

    def __init__(self, name: str) -> None:
        rclpy.init(args=[])
        self.node: Node = rclpy.create_node(name)
        self._ended = threading.Event()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def begin(self) -> None:
        """Serve the node from now on."""
        self._thread.start()

    def close(self) -> None:
        """Leave the network."""
        self._ended.set()
        self._thread.join(5.0)
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def call(
        self, service: str, patience: float = 5.0, *, kind: Any = Trigger, request: Any = None
    ) -> Any:
        """Ask a service; None if nobody answers within ``patience`` [s].

        Args:
            service: Its name.
            patience: Longest wait for it, and for its answer [s].
            kind: Its type.
            request: What to ask; without it, an empty request.
        """
        client = self.node.create_client(kind, service)
        try:
            if not client.wait_for_service(timeout_sec=patience):
                return None
            future = client.call_async(kind.Request() if request is None else request)
            return future.result() if until(future.done, patience) else None
        finally:
            self.node.destroy_client(client)

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.1)


def until(condition: Callable[[], bool], patience: float) -> bool:
    """Wait for a condition; whether it came true within ``patience`` [s]."""
    end = time.monotonic() + patience
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
