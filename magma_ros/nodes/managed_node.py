# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle that all nodes share: four hooks, one way down, and a safe command last."""

from __future__ import annotations

import contextlib
import functools
import os
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import rclpy
import rclpy.logging
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from magma_ros.embedded import early
from magma_ros.nodes.ending import Ending
from magma_ros.nodes.limits import ROBOT_SETTINGS
from magma_ros.nodes.settings import Setting, Settings
from magma_ros.types import MagmaError

AUTOSTART = Setting(
    "autostart", True, "Configure and activate without waiting for a lifecycle manager."
)

UNUSABLE = os.EX_CONFIG
"""Exit status of a node that cannot work with the name, parameters or files it was given.

Whoever started it need not try again; ``magma launch`` then ends the launch with the sentence that
the node wrote last. ``ros2 launch`` respawns whatever the status, hence ``respawn_max_retries`` in
the launch files.
"""

_UNUSABLE_ERRORS = (
    MagmaError,
    NameValidationException,
    ParameterException,
    ValueError,
    RuntimeError,  # how a network that cannot be joined and unknown ROS arguments show themselves
)


class ManagedNode(LifecycleNode):
    """A lifecycle node whose subclasses fill four hooks and nothing else.

    Attributes:
        settings: The declared parameters.
        done: Completed by a node whose work is over; its process then ends.
        exit_status: What the process returns when the node has ended by itself.
        failure: What first went wrong since the last attempt to configure the node, or None.
        interruptible: Within it, a signal breaks off ``setup``, which may take long.

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
        self._finalized = False
        self.done: Future = Future()
        self.exit_status = 0
        self.failure: Exception | None = None
        self.interruptible: Callable[[], contextlib.AbstractContextManager[None]] = (
            contextlib.nullcontext
        )

    def setup(self) -> None:
        """Acquire what the work needs. May raise; the node then stays unconfigured."""

    def start(self) -> None:
        """Begin to work."""

    def stop(self) -> None:
        """End the work, then leave the robot in a safe state."""

    def teardown(self) -> None:
        """Release everything, also after a ``setup`` that failed half-way."""

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Any,
        qos_profile: Any,
        **options: Any,
    ) -> Any:
        """Subscribe as rclpy does; a message on which ``callback`` raises costs only itself."""

        @functools.wraps(
            callback
        )  # rclpy reads from its signature whether it takes the message's info
        def shielded(*heard: Any) -> None:
            try:
                callback(*heard)
            except MagmaError as error:
                self.get_logger().warning(
                    f"a message on {topic} was dropped: {error}", throttle_duration_sec=2.0
                )
            except Exception:  # noqa: BLE001 - no message may end the node
                self.get_logger().error(
                    f"a message on {topic} was dropped:\n{traceback.format_exc()}",
                    throttle_duration_sec=2.0,
                )

        return super().create_subscription(msg_type, topic, shielded, qos_profile, **options)

    @property
    def working(self) -> bool:
        """Whether the node is between ``start`` and ``stop``."""
        return self._working

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``setup``, undone by ``teardown`` if it fails."""
        self.failure = None
        before = self._open_endpoints()
        acquired = self._guarded(self._acquire)
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
        """Stop if still working, then release; a finalized node's process ends."""
        self._finalized = True
        result = self._release()
        if not self.done.done():
            self.done.set_result(None)
        return result

    def on_error(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Stop if still working, then release."""
        return self._release()

    def end(self) -> None:
        """Go to finalized, unless a lifecycle manager has done so; never raises."""
        if self._finalized:
            return
        try:
            self.trigger_shutdown()
        except Exception:  # noqa: BLE001 - the process ends; what is left to do is in _release
            self.get_logger().error(traceback.format_exc())
            self._release()

    def _acquire(self) -> None:
        self.settings.require()
        with self.interruptible():
            self.setup()

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
        except KeyboardInterrupt:
            return False
        except MagmaError as error:
            self.failure = self.failure or error
            self.get_logger().error(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever a hook raises must not end the process
            self.failure = self.failure or error
            self.get_logger().error(traceback.format_exc())
            return False
        return True


def run(node_class: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Run one node until it ends or a signal comes, and leave the robot in a safe state.

    Without ``args``, which is how executables call it, the process ends here.

    Returns:
        The process exit status: :data:`UNUSABLE` when the node cannot work with what it was given,
        1 when autostart or a callback failed, else the node's own.
    """
    status = _run(node_class, args)
    if args is None:
        early.leave(status)
    return status


def _run(node_class: Callable[[], ManagedNode], args: list[str] | None) -> int:
    ending = Ending()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = node_class()
    except _UNUSABLE_ERRORS as error:
        rclpy.logging.get_logger("magma_ros").fatal(" ".join(str(error).split()))
        rclpy.try_shutdown()
        return UNUSABLE
    node.interruptible = ending.interruptible
    with ending.completes(node.done):
        try:
            status = _work(node, ending)
        except ExternalShutdownException:
            status = node.exit_status
        except Exception:  # noqa: BLE001 - whatever went wrong, the safe command comes last
            node.get_logger().fatal(traceback.format_exc())
            status = 1
        finally:
            node.end()
            node.destroy_node()
            rclpy.try_shutdown()
    return status or node.exit_status


def _work(node: ManagedNode, ending: Ending) -> int:
    """Bring the node up and serve it until it is done; 0, or why it could not be brought up."""
    if node.settings["autostart"] and not _autostart(node):
        if ending.asked:
            return 0
        return UNUSABLE if isinstance(node.failure, MagmaError) else 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin_until_future_complete(node.done)
    return 0


def _autostart(node: ManagedNode) -> bool:
    done = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == done and node.trigger_activate() == done)
