# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.qos``: quality-of-service profiles."""

from __future__ import annotations

from enum import Enum, IntEnum

from magma_ros.embedded.wire.qos import WireQos

from .duration import Duration, Infinite


class HistoryPolicy(IntEnum):
    """How many samples are kept."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2


class ReliabilityPolicy(IntEnum):
    """Whether samples are sent again when lost."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2


class DurabilityPolicy(IntEnum):
    """Whether late joiners get what was sent before."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2


class LivelinessPolicy(IntEnum):
    """How a publisher shows that it is alive."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy


class InvalidQoSProfileException(Exception):
    """A profile lacks what it needs."""


class QoSProfile:
    """What a publisher offers or a subscription requests. Durations of zero mean without limit."""

    def __init__(
        self,
        *,
        history: HistoryPolicy = HistoryPolicy.KEEP_LAST,
        depth: int | None = None,
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
        durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
        lifespan: Duration | None = None,
        deadline: Duration | None = None,
        liveliness: LivelinessPolicy = LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration: Duration | None = None,
    ) -> None:
        """Take the policies; the rest is rclpy's default.

        Raises:
            InvalidQoSProfileException: The history keeps the last samples, but not how many.
        """
        if history != HistoryPolicy.KEEP_ALL and depth is None:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        self.history = HistoryPolicy(history)
        self.depth = depth or 0
        self.reliability = ReliabilityPolicy(reliability)
        self.durability = DurabilityPolicy(durability)
        self.lifespan = lifespan or Duration()
        self.deadline = deadline or Duration()
        self.liveliness = LivelinessPolicy(liveliness)
        self.liveliness_lease_duration = liveliness_lease_duration or Duration()

    def on_wire(self) -> WireQos:
        """The profile in DDS's terms; SYSTEM_DEFAULT is what rmw_cyclonedds_cpp makes of it."""
        return WireQos(
            reliable=self.reliability != ReliabilityPolicy.BEST_EFFORT,
            transient_local=self.durability == DurabilityPolicy.TRANSIENT_LOCAL,
            depth=None if self.history == HistoryPolicy.KEEP_ALL else max(self.depth, 1),
            deadline=_limit(self.deadline),
            lifespan=_limit(self.lifespan),
            liveliness_by_topic=self.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC,
            lease=_limit(self.liveliness_lease_duration),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # profiles are mutable

    def __repr__(self) -> str:
        policies = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"QoSProfile({policies})"


def _limit(duration: Duration) -> int:
    return 0 if duration == Infinite else duration.nanoseconds


def as_profile(qos: QoSProfile | int) -> QoSProfile:
    """The profile; a number stands for a depth."""
    return qos if isinstance(qos, QoSProfile) else QoSProfile(depth=qos)


qos_profile_system_default = QoSProfile(
    depth=1,
    history=HistoryPolicy.SYSTEM_DEFAULT,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
    liveliness=LivelinessPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_rosout_default = QoSProfile(
    depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL, lifespan=Duration(seconds=10)
)


class QoSPresetProfiles(Enum):
    """The named profiles."""

    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
