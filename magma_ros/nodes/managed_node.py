# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle that all nodes share: four hooks, one way down, and a safe command last."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import rclpy
import rclpy.logging
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from magma_ros.nodes.limits import ROBOT_SETTINGS
from magma_ros.nodes.settings import Setting, Settings
from magma_ros.types import MagmaError

AUTOSTART = Setting(
    "autostart", True, "Configure and activate without waiting for a lifecycle manager."
)

BEAT = 0.5
"""Longest time a node that hears nothing takes to notice a signal [s]."""


class ManagedNode(LifecycleNode):
    """A lifecycle node whose subclasses fill four hooks and nothing else.

    Attributes:
        settings: The declared parameters.
        done: Completed by a node whose work is over; its process then ends.
        exit_status: What the process returns when the node has ended by itself.

    ``setup`` acquires (configure), ``start`` works (activate), ``stop`` ends the work and sends
    the safe command last (deactivate), ``teardown`` releases (cleanup, shutdown, error) and must
    accept a half-built node. Topics and services opened by ``setup`` are closed after ``teardown``
    without its help, so that a node can be configured again. Parameters are declared in the
    constructor from :attr:`SETTINGS`.
    """

    SETTINGS: ClassVar[Sequence[Setting]] = ()

    def __init__(self, name: str) -> None:
        """Create the node ``name`` and declare its parameters."""
        # Declaring what is given shows what is given by a wrong name; see Settings.
        super().__init__(name, automatically_declare_parameters_from_overrides=True)
        robot = [setting.name for setting in ROBOT_SETTINGS]
        self.settings = Settings(self, [AUTOSTART, *self.SETTINGS], foreign=robot)
        self._working = False
        self._opened: set[Any] = set()
        self.done: Future = Future()
        self.exit_status = 0

    def setup(self) -> None:
        """Acquire what the work needs. May raise; the node then stays unconfigured."""

    def start(self) -> None:
        """Begin to work."""

    def stop(self) -> None:
        """End the work, then leave the robot in a safe state."""

    def teardown(self) -> None:
        """Release everything, also after a ``setup`` that failed half-way."""

    @property
    def working(self) -> bool:
        """Whether the node is between ``start`` and ``stop``."""
        return self._working

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``setup``, undone by ``teardown`` if it fails."""
        before = self._open_endpoints()
        acquired = self._guarded(self.settings.require) and self._guarded(self.setup)
        self._opened = self._open_endpoints() - before
        if acquired:
            return super().on_configure(state)
        self._release()
        return TransitionCallbackReturn.FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``start``."""
        if not self._guarded(self.start):
            self._guarded(self.stop)
            return TransitionCallbackReturn.FAILURE
        self._working = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``stop``."""
        self._halt()
        return super().on_deactivate(state)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Run ``teardown``."""
        return self._release()

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Stop if still working, then release."""
        return self._release()

    def on_error(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Stop if still working, then release."""
        return self._release()

    def _release(self) -> TransitionCallbackReturn:
        self._halt()
        self._guarded(self.teardown)
        for endpoint in self._opened:
            # Each of these returns False for what is not of its kind.
            _ = (
                self.destroy_publisher(endpoint)
                or self.destroy_subscription(endpoint)
                or self.destroy_service(endpoint)
                or self.destroy_client(endpoint)
            )
        self._opened = set()
        return TransitionCallbackReturn.SUCCESS

    def _open_endpoints(self) -> set[Any]:
        return {*self.publishers, *self.subscriptions, *self.services, *self.clients}

    def _halt(self) -> None:
        if self._working:
            self._working = False
            self._guarded(self.stop)

    def _guarded(self, hook: Callable[[], None]) -> bool:
        """Run ``hook``; rclpy would swallow its exception, so it is logged here."""
        try:
            hook()
        except MagmaError as error:
            self.get_logger().error(str(error))
            return False
        except Exception:  # noqa: BLE001 - whatever a hook raises must not end the process
            self.get_logger().error(traceback.format_exc())
            return False
        return True


def run(node_class: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Run one node until it ends itself or is told to.

    Signals are handled here and not by rclpy, whose handler invalidates the context first: then
    the safe command of ``stop`` could no longer be published.

    Returns:
        The process exit status: 1 when autostart failed, else the node's own.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = node_class()
    except (MagmaError, ParameterException, ValueError, RuntimeError) as error:
        # RuntimeError is how a network that cannot be joined shows itself.
        rclpy.logging.get_logger("magma_ros").fatal(str(error))
        rclpy.try_shutdown()
        return 1
    try:
        if node.settings["autostart"] and not _autostart(node):
            return 1
        # rclpy waits in C, where Python cannot act on a signal: a slow beat lets it.
        node.create_timer(BEAT, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin_until_future_complete(node.done)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.trigger_shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return node.exit_status


def _autostart(node: ManagedNode) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == done and node.trigger_activate() == done)
