# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.event_handler``: what happens around a publisher or subscription besides messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from cyclonedds.core import DDSStatus

from magma_ros.embedded.wire.entities import Handled, Reader, Writer

from .logging import RcutilsLogger

POLICY_NAMES = {
    2: "DURABILITY",
    4: "DEADLINE",
    8: "LIVELINESS",
    11: "RELIABILITY",
    21: "LIFESPAN",
    23: "DATA_REPRESENTATION",
    24: "TYPE_CONSISTENCY",
}
"""DDS's numbers of the policies that can be incompatible (DDS 1.4, table 2.2.3)."""


@dataclass
class PublisherEventCallbacks:
    """Callbacks for the events of a publisher; each is given the status.

    Attributes:
        deadline: A deadline offered was missed.
        liveliness: The publisher failed to show that it is alive.
        incompatible_qos: A subscription requests more than is offered; logged by default.
        matched: A subscription was connected or disconnected.
        use_default_callbacks: Whether an incompatible QoS is logged without a callback for it.
    """

    deadline: Callable[[Any], object] | None = None
    liveliness: Callable[[Any], object] | None = None
    incompatible_qos: Callable[[Any], object] | None = None
    matched: Callable[[Any], object] | None = None
    use_default_callbacks: bool = True


@dataclass
class SubscriptionEventCallbacks:
    """Callbacks for the events of a subscription; each is given the status.

    Attributes:
        deadline: A deadline requested was missed.
        liveliness: A publisher came to life or stopped showing that it is alive.
        incompatible_qos: A publisher offers less than is requested; logged by default.
        matched: A publisher was connected or disconnected.
        use_default_callbacks: Whether an incompatible QoS is logged without a callback for it.
    """

    deadline: Callable[[Any], object] | None = None
    liveliness: Callable[[Any], object] | None = None
    incompatible_qos: Callable[[Any], object] | None = None
    matched: Callable[[Any], object] | None = None
    use_default_callbacks: bool = True


class Event(NamedTuple):
    """One status, how to read it, and whom to tell."""

    status: int
    read: Callable[[], Any]
    callback: Callable[[Any], object] | None


class EventHandlers:
    """Calls back when the status of a reader or writer changes."""

    def __init__(self, entity: Reader | Writer, *events: Event) -> None:
        """Watch those statuses that have a callback."""
        self._entity = entity
        self._events = [event for event in events if event.callback is not None]
        if self._events:
            entity.set_status_mask(sum(event.status for event in self._events))

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """What to watch, and what to do when it triggers."""
        return {self._entity: self._call} if self._events else {}

    def _call(self) -> None:
        changed = self._entity.get_status_changes()
        for event in self._events:
            if changed & event.status and event.callback is not None:
                event.callback(event.read())


def publisher_events(
    writer: Writer, callbacks: PublisherEventCallbacks, topic: str, logger: RcutilsLogger
) -> EventHandlers:
    """Handle the events of a publisher."""

    def warn(status: Any) -> None:
        logger.warning(
            f"New subscription discovered on topic '{topic}', requesting incompatible QoS. "
            "No messages will be sent to it. "
            f"Last incompatible policy: {_policy(status)}"
        )

    incompatible = callbacks.incompatible_qos or (warn if callbacks.use_default_callbacks else None)
    return EventHandlers(
        writer,
        Event(
            DDSStatus.OfferedDeadlineMissed,
            writer.get_offered_deadline_missed_status,
            callbacks.deadline,
        ),
        Event(DDSStatus.LivelinessLost, writer.get_liveliness_lost_status, callbacks.liveliness),
        Event(
            DDSStatus.OfferedIncompatibleQos,
            writer.get_offered_incompatible_qos_status,
            incompatible,
        ),
        Event(
            DDSStatus.PublicationMatched, writer.get_publication_matched_status, callbacks.matched
        ),
    )


def subscription_events(
    reader: Reader, callbacks: SubscriptionEventCallbacks, topic: str, logger: RcutilsLogger
) -> EventHandlers:
    """Handle the events of a subscription."""

    def warn(status: Any) -> None:
        logger.warning(
            f"New publisher discovered on topic '{topic}', offering incompatible QoS. "
            "No messages will be received from it. "
            f"Last incompatible policy: {_policy(status)}"
        )

    incompatible = callbacks.incompatible_qos or (warn if callbacks.use_default_callbacks else None)
    return EventHandlers(
        reader,
        Event(
            DDSStatus.RequestedDeadlineMissed,
            reader.get_requested_deadline_missed_status,
            callbacks.deadline,
        ),
        Event(
            DDSStatus.LivelinessChanged, reader.get_liveliness_changed_status, callbacks.liveliness
        ),
        Event(
            DDSStatus.RequestedIncompatibleQos,
            reader.get_requested_incompatible_qos_status,
            incompatible,
        ),
        Event(
            DDSStatus.SubscriptionMatched, reader.get_subscription_matched_status, callbacks.matched
        ),
    )


def _policy(status: Any) -> str:
    return POLICY_NAMES.get(status.last_policy_id, str(status.last_policy_id))
