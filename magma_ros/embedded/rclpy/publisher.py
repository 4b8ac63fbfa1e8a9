# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.publisher``: sends messages to a topic."""

from __future__ import annotations

from typing import Any

from magma_ros.embedded.wire import codec, names
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.entities import WriteError, Writer
from magma_ros.embedded.wire.messages import type_name

from ._rclpy_pybind11 import RCLError
from .callback_groups import CallbackGroup
from .context import Context
from .duration import Duration
from .event_handler import PublisherEventCallbacks, publisher_events
from .logging import RcutilsLogger
from .qos import QoSProfile


class Publisher:
    """Sends messages to a topic; made by ``Node.create_publisher``."""

    def __init__(
        self,
        context: Context,
        msg_type: type[Any],
        topic: str,
        qos_profile: QoSProfile,
        *,
        event_callbacks: PublisherEventCallbacks,
        callback_group: CallbackGroup | None,
        logger: RcutilsLogger,
    ) -> None:
        """Create the writer of the topic, whose full name is given."""
        name = type_name(msg_type)
        self.msg_type = msg_type
        self.topic_name = topic
        self.qos_profile = qos_profile
        self.callback_group = callback_group
        self._context = context
        self._writer = Writer(
            context.participant,
            names.topic_on_dds(topic),
            name,
            qos_profile.on_wire().for_endpoint(f"typehash={type_hash(name)};"),
        )
        self._events = publisher_events(self._writer, event_callbacks, topic, logger)
        self.watched = self._events.watched
        self.writer_gids = [self._writer.gid]
        self.reader_gids: list[bytes] = []

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self.topic_name

    def publish(self, msg: Any) -> None:
        """Send a message, or ``bytes`` that are one already serialised.

        Raises:
            TypeError: The message is of another type.
            RCLError: The context was shut down, or readers are too slow.
        """
        if not isinstance(msg, (bytes, self.msg_type)):
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        if not self._context.ok():
            raise RCLError("Failed to publish: publisher's context is invalid")
        data = msg if isinstance(msg, bytes) else codec.serialize(msg)
        try:
            self._writer.write_bytes(data)
        except WriteError as error:
            raise RCLError(f"Failed to publish on {self.topic_name!r}: {error}") from error

    def get_subscription_count(self) -> int:
        """The number of subscriptions that this publisher reaches."""
        return len(self._writer.get_matched_subscriptions())

    def wait_for_all_acked(self, timeout: Duration | None = None) -> bool:
        """Wait until every reliable subscription has all messages; false if the time was up."""
        nanoseconds = timeout.nanoseconds if timeout is not None else 2**63 - 1
        return bool(self._writer.wait_for_acks(nanoseconds))

    def destroy(self) -> None:
        """Send no more."""
        self._writer.close()
