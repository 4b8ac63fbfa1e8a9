# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.service``: answers requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from magma_ros.embedded.wire import codec
from magma_ros.embedded.wire.entities import Handled, WriteError, user_data_value
from magma_ros.embedded.wire.messages import type_name
from magma_ros.embedded.wire.services import ServiceEndpoints

from .callback_groups import CallbackGroup
from .context import Context
from .logging import RcutilsLogger
from .qos import QoSProfile

CLIENT_DISCOVERY_TIME = 0.1
"""Longest wait for a client's reply reader to be discovered [s], as in rmw_cyclonedds_cpp."""


class Service:
    """Answers requests; made by ``Node.create_service``."""

    def __init__(
        self,
        context: Context,
        srv_type: Any,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        qos_profile: QoSProfile,
        *,
        callback_group: CallbackGroup | None,
        logger: RcutilsLogger,
    ) -> None:
        """Create the endpoints of the service, whose full name is given."""
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.callback = callback
        self.qos_profile = qos_profile
        self._logger = logger
        self.callback_group = callback_group
        self._endpoints = ServiceEndpoints.for_server(
            context.participant, srv_name, type_name(srv_type), qos_profile.on_wire()
        )
        self.writer_gids = [self._endpoints.writer.gid]
        self.reader_gids = [self._endpoints.reader.gid]

    @property
    def service_name(self) -> str:
        """The full name of the service."""
        return self.srv_name

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """What to watch, and what to do when it triggers."""
        return {self._endpoints.reader.condition: self._answer}

    def destroy(self) -> None:
        """Answer no more."""
        self._endpoints.close()

    def _answer(self) -> None:
        try:
            taken = self._endpoints.take()
        except codec.SerdeError as error:
            text = f"dropped a request of service {self.srv_name!r}: {error}"
            self._logger.warning(text, throttle_duration_sec=1.0)
            return
        if taken is None:
            return
        header, request, client = taken
        response = self.callback(request, self.srv_type.Response())
        if not isinstance(response, self.srv_type.Response):
            raise TypeError(
                f"the callback of service {self.srv_name!r} returned {response!r}; "
                f"it must return a {type_name(self.srv_type)} response"
            )
        self._await_reply_reader(client)
        try:
            self._endpoints.send(header, response)
        except WriteError as error:
            self._logger.warning(f"a reply of service {self.srv_name!r} was not sent: {error}")

    def _await_reply_reader(self, publication_handle: int) -> None:
        """Wait until the client can hear the reply: it is discovered apart from its requests."""
        requester = self._endpoints.reader.user_data_of(publication_handle)
        client = user_data_value(requester, "clientid") if requester else None
        deadline = time.monotonic() + CLIENT_DISCOVERY_TIME
        while client and time.monotonic() < deadline:
            known = self._endpoints.writer.matched_user_data()
            if any(user_data_value(data, "clientid") == client for data in known):
                return
            time.sleep(0.005)
