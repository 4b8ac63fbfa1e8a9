# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.executors``: one thread that waits for work and does it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from magma_ros.embedded.wire.entities import WaitSet

from .context import Context
from .duration import S_TO_NS
from .task import Future, Task
from .timer import Timer
from .utilities import get_default_context

if TYPE_CHECKING:
    from .node import Node


class ExternalShutdownException(Exception):
    """The context was shut down, as by SIGTERM, while an executor was at work."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("The context was shut down")


class ShutdownException(Exception):
    """The executor itself was shut down."""


class SingleThreadedExecutor:
    """Runs all callbacks of its nodes in the thread that spins it.

    It sleeps in Cyclone DDS's wait set until a message, a timer, a guard condition, a task or a
    shutdown needs it. What became ready together runs in a fixed order: timers, then messages.
    """

    def __init__(self, *, context: Context | None = None) -> None:
        """Start without nodes."""
        self._context = context or get_default_context()
        self._nodes: list[Node] = []
        self._guard = self._context.make_guard_condition()
        self._waitset = WaitSet(self._context.participant)
        self._handlers: dict[int, Callable[[], object]] = {}
        self._tasks: deque[Task] = deque()
        self._ready: deque[Callable[[], object]] = deque()
        self._stale = True
        self._thread: threading.Thread | None = None
        self._is_shutdown = False
        self._waits = 0
        self._leaving = threading.Lock()

    @property
    def context(self) -> Context:
        """The context that this executor belongs to."""
        return self._context

    def add_node(self, node: Node) -> bool:
        """Run the callbacks of a node; false if that is done already."""
        if node in self._nodes:
            return False
        self._nodes.append(node)
        node.executor = self
        self.refresh()
        return True

    def remove_node(self, node: Node) -> None:
        """Run the callbacks of a node no more."""
        if node in self._nodes:
            self._nodes.remove(node)
            node.executor = None
            self.refresh()

    def get_nodes(self) -> list[Node]:
        """The nodes whose callbacks are run."""
        return list(self._nodes)

    def create_task(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        """Have a function called in the spinning thread; may be asked from any thread."""
        task = Task(callback, args, kwargs)
        self._tasks.append(task)
        self.wake()
        return task

    def wake(self) -> None:
        """Make the wait return; may be called from any thread."""
        self._guard.trigger()

    def refresh(self) -> None:
        """Look again at what the nodes have; called when they gain or lose something."""
        self._stale = True
        self.wake()

    def is_spinning_here(self) -> bool:
        """Whether the calling thread is the one that spins."""
        return self._thread is threading.current_thread()

    def spin(self) -> None:
        """Do the work until the context or this executor is shut down.

        Raises:
            ExternalShutdownException: The context was shut down.
        """
        while self._context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback and run it.

        Args:
            timeout_sec: Longest wait [s]; ``None`` for ever, 0 for no wait.

        Raises:
            ExternalShutdownException: The context was shut down.
        """
        self._spin_once(timeout_sec, lambda: False)

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Do the work until a future is done or the time is up."""
        future.add_done_callback(lambda _: self.wake())
        deadline = _deadline(timeout_sec)
        while self._context.ok() and not future.done() and not self._is_shutdown:
            left = _left(deadline)
            if left == 0.0:
                return
            self._spin_once(left, future.done)

    def shutdown(self, timeout_sec: float | None = None) -> bool:  # noqa: ARG002 - rclpy's
        """Stop; the nodes stay, without an executor."""
        if not self._is_shutdown:
            self._is_shutdown = True
            for node in self.get_nodes():
                self.remove_node(node)
            self.wake()
            self._close_if_left()
        return True

    def _spin_once(self, timeout_sec: float | None, enough: Callable[[], bool]) -> None:
        with self._leaving:
            if self._is_shutdown:
                return
            self._waits += 1
        self._thread = threading.current_thread()
        try:
            work = self._next(_deadline(timeout_sec), enough)
            if work is not None:
                work()
        finally:
            self._thread = None
            with self._leaving:
                self._waits -= 1
            self._close_if_left()

    def _close_if_left(self) -> None:
        """Close what is waited for, unless somebody waits: whoever is last to leave closes it."""
        with self._leaving:
            if self._is_shutdown and not self._waits:
                self._waitset.close()
                self._guard.close()

    def _next(
        self, deadline: float | None, enough: Callable[[], bool]
    ) -> Callable[[], object] | None:
        """The next thing to do; ``None`` when it is enough or there was nothing in time."""
        while not enough():
            if self._stale:
                self._watch()
            if self._ready:
                return self._ready.popleft()
            if self._tasks:
                return self._tasks.popleft()
            if not self._context.ok():
                raise ExternalShutdownException
            if self._is_shutdown:
                return None
            self._collect(deadline)
            if not self._ready and not self._tasks and _left(deadline) == 0.0:
                break
        return None

    def _collect(self, deadline: float | None) -> None:
        """Wait until something is ready, and note all that is."""
        timers = self._timers()
        triggered = self._waitset.wait_for_any(_soonest(timers, deadline))
        if self._guard.handle in triggered:
            self._guard.take()
        self._ready.extend(timer.call for timer in timers if timer.is_ready())
        self._ready.extend(
            handler for handle, handler in self._handlers.items() if handle in triggered
        )

    def _watch(self) -> None:
        """Watch what the nodes have now, and forget what is ready but was destroyed."""
        self._stale = False
        watched = {entity: call for node in self._nodes for entity, call in node.watched().items()}
        self._handlers = {entity.handle: call for entity, call in watched.items()}
        self._waitset.watch([self._guard, *watched])
        present = {*self._handlers.values(), *(timer.call for timer in self._timers())}
        self._ready = deque(call for call in self._ready if call in present)

    def _timers(self) -> list[Timer]:
        return [timer for node in self._nodes for timer in node.timers]


def _deadline(timeout_sec: float | None) -> float | None:
    return None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _soonest(timers: Iterable[Timer], deadline: float | None) -> float | None:
    """The time until the first timer is due or the deadline comes [s]; ``None``: never."""
    left = _left(deadline)
    waits = [] if left is None else [left]
    for timer in timers:
        until = timer.time_until_next_call()
        if until is None:
            continue
        if until <= 0:
            return 0.0
        if not timer.clock.follows_simulation:  # else a message on /clock will wake us
            waits.append(until / S_TO_NS)
    return min(waits, default=None)
