# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.subscription``: receives the messages of a topic."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypedDict

from cyclonedds.internal import SampleInfo

from magma_ros.embedded.wire import codec, names
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.entities import Handled, Reader
from magma_ros.embedded.wire.messages import type_name

from .callback_groups import CallbackGroup
from .context import Context
from .event_handler import SubscriptionEventCallbacks, subscription_events
from .logging import RcutilsLogger
from .qos import QoSProfile


class MessageInfo(TypedDict):
    """What callbacks with two arguments get beside the message; stamps are system time [ns]."""

    source_timestamp: int
    received_timestamp: int


class Subscription:
    """Receives the messages of a topic; made by ``Node.create_subscription``."""

    def __init__(
        self,
        context: Context,
        msg_type: type,
        topic: str,
        callback: Callable[..., object],
        qos_profile: QoSProfile,
        *,
        event_callbacks: SubscriptionEventCallbacks,
        callback_group: CallbackGroup | None,
        raw: bool,
        logger: RcutilsLogger,
    ) -> None:
        """Create the reader of the topic, whose full name is given."""
        self._type_name = type_name(msg_type)
        self.msg_type = msg_type
        self.topic_name = topic
        self.callback = callback
        self.qos_profile = qos_profile
        self.callback_group = callback_group
        self.raw = raw
        self._logger = logger
        self._wants_info = _takes_two(callback)
        self._reader = Reader(
            context.participant,
            names.topic_on_dds(topic),
            self._type_name,
            qos_profile.on_wire().for_endpoint(f"typehash={type_hash(self._type_name)};"),
        )
        self._events = subscription_events(self._reader, event_callbacks, topic, logger)
        self.writer_gids: list[bytes] = []
        self.reader_gids = [self._reader.gid]

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self.topic_name

    def get_publisher_count(self) -> int:
        """The number of publishers that reach this subscription."""
        return len(self._reader.get_matched_publications())

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """What to watch, and what to do when it triggers."""
        return {self._reader.condition: self._call} | self._events.watched()

    def destroy(self) -> None:
        """Receive no more."""
        self._reader.close()

    def _call(self) -> None:
        sample = self._reader.take_bytes()
        if sample is None:
            return
        data, info = sample
        try:
            message: Any = data if self.raw else codec.deserialize(data, self._type_name)
        except codec.SerdeError as error:
            text = f"dropped a message on {self.topic_name!r}: {error}"
            self._logger.warning(text, throttle_duration_sec=1.0)
            return
        if self._wants_info:
            self.callback(message, _message_info(info))
        else:
            self.callback(message)


def _takes_two(callback: Callable[..., object]) -> bool:
    try:
        inspect.signature(callback).bind(None)
    except TypeError:
        return True
    except ValueError:  # a built-in function without a signature
        return False
    return False


def _message_info(info: SampleInfo) -> MessageInfo:
    # Cyclone DDS does not tell when a sample arrived; rmw_cyclonedds_cpp says 0 too.
    return {"source_timestamp": info.source_timestamp, "received_timestamp": 0}
