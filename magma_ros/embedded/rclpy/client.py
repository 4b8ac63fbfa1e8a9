# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.client``: asks a service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from magma_ros.embedded.wire import codec
from magma_ros.embedded.wire.entities import Handled
from magma_ros.embedded.wire.messages import type_name
from magma_ros.embedded.wire.services import Header, ServiceEndpoints

from .callback_groups import CallbackGroup
from .context import Context
from .logging import RcutilsLogger
from .qos import QoSProfile
from .task import Future

LOOK_EVERY = 0.02
"""Time between looks at whether a service is there [s]."""


class Client:
    """Asks a service; made by ``Node.create_client``."""

    def __init__(
        self,
        context: Context,
        srv_type: Any,
        srv_name: str,
        qos_profile: QoSProfile,
        *,
        callback_group: CallbackGroup | None,
        in_executor_thread: Callable[[], bool],
        logger: RcutilsLogger,
    ) -> None:
        """Create the endpoints of the service, whose full name is given."""
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.qos_profile = qos_profile
        self._logger = logger
        self.callback_group = callback_group
        self._context = context
        self._in_executor_thread = in_executor_thread
        self._endpoints = ServiceEndpoints.for_client(
            context.participant, srv_name, type_name(srv_type), qos_profile.on_wire()
        )
        self._id = self._endpoints.writer.get_instance_handle()
        self._lock = threading.Lock()
        self._sequence = 0
        self._pending: dict[int, Future] = {}
        self.writer_gids = [self._endpoints.writer.gid]
        self.reader_gids = [self._endpoints.reader.gid]

    @property
    def service_name(self) -> str:
        """The full name of the service."""
        return self.srv_name

    def service_is_ready(self) -> bool:
        """Whether a server is connected both ways."""
        return self._endpoints.server_is_matched()

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait for a server; false if the time was up or the context was shut down."""
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        while not self.service_is_ready():
            if not self._context.ok() or (deadline is not None and time.monotonic() >= deadline):
                return False
            time.sleep(LOOK_EVERY)
        return True

    def call_async(self, request: Any) -> Future:
        """Send a request; the executor sets the future's result when the reply comes.

        Raises:
            TypeError: The request is of another type.
        """
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"Expected {self.srv_type.Request}, got {type(request)}")
        future = Future()
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
            self._pending[sequence] = future
        future.add_done_callback(lambda _: self._pending.pop(sequence, None))
        self._endpoints.send(Header(self._id, sequence), request)
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Send a request and wait for the reply, while another thread spins the node.

        Raises:
            TimeoutError: No reply came in time, or the server went away before it answered.
            RuntimeError: This is the executor's own thread, where the reply could never arrive.
        """
        if self._in_executor_thread():
            raise RuntimeError(
                f"service {self.srv_name!r} was called from a callback of the executor that must "
                "receive the reply; use call_async"
            )
        arrived = threading.Event()
        future = self.call_async(request)
        future.add_done_callback(lambda _: arrived.set())
        deadline = None if timeout_sec is None else time.monotonic() + timeout_sec
        while not arrived.wait(self._next_look(deadline)):
            if deadline is not None and time.monotonic() >= deadline:
                future.cancel()
                raise TimeoutError(f"service {self.srv_name!r} did not answer in {timeout_sec} s")
            if deadline is None and not self.service_is_ready():
                future.cancel()
                raise TimeoutError(f"service {self.srv_name!r} went away before it answered")
        return future.result()

    def remove_pending_request(self, future: Future) -> None:
        """Ignore the reply that would be this future's result."""
        future.cancel()

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """What to watch, and what to do when it triggers."""
        return {self._endpoints.reader.condition: self._receive}

    def destroy(self) -> None:
        """Ask no more; whoever still waits is released."""
        for future in list(self._pending.values()):
            future.cancel()
        self._endpoints.close()

    def _next_look(self, deadline: float | None) -> float:
        return 0.5 if deadline is None else max(0.0, deadline - time.monotonic())

    def _receive(self) -> None:
        try:
            taken = self._endpoints.take()
        except codec.SerdeError as error:
            text = f"dropped a reply of service {self.srv_name!r}: {error}"
            self._logger.warning(text, throttle_duration_sec=1.0)
            return
        if taken is None:
            return
        header, response, _ = taken
        future = self._pending.get(header.sequence)
        if header.writer == self._id and future is not None:
            future.set_result(response)
