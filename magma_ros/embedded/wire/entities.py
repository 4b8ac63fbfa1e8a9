# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cyclone DDS's entities, with the few things added that ROS 2 needs of them.

The additions: explicit closing (Python's garbage collection is too late for a clean shutdown),
gids, samples as bytes, and a wait set that says what triggered.
"""

import ctypes
from collections.abc import Iterable
from typing import Any

from cyclonedds import core, domain
from cyclonedds.core import InstanceState, SampleState, ViewState
from cyclonedds.internal import SampleInfo, dds_infinity
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from magma_ros.embedded.wire.descriptor import payload_class
from magma_ros.embedded.wire.domain import open_domain


class WriteError(RuntimeError):
    """A sample could not be written."""


ANY_STATE = SampleState.Any | ViewState.Any | InstanceState.Any


class Handled(core.Entity):
    """An entity that shows its handle and can be closed."""

    @property
    def handle(self) -> int:
        """The number by which Cyclone DDS knows the entity."""
        return int(self._ref)

    @property
    def gid(self) -> bytes:
        """The entity's 16-byte identifier on the network."""
        return bytes(self.get_guid().bytes)

    def close(self) -> None:
        """Delete the entity; doing so again does nothing."""
        self.__del__()


class Participant(Handled, domain.DomainParticipant):
    """This process's presence in a domain."""

    def __init__(self, domain_id: int) -> None:
        """Join the domain.

        Raises:
            DomainError: There is no usable network interface.
        """
        self._domain: domain.Domain | None = open_domain(domain_id)
        # ROS 2 recognises participants with nodes by this user data.
        super().__init__(domain_id, Qos(Policy.Userdata(b"enclave=/;")))

    def close(self) -> None:
        """Leave the domain, with all that belongs to this participant."""
        super().close()
        self._domain = None


class GuardCondition(Handled, core.GuardCondition):
    """A condition that any thread may trigger, to wake a wait set."""

    def trigger(self) -> None:
        """Trigger the condition; once it is closed, nothing happens."""
        self._set_guardcondition(self._ref, True)


class ReadCondition(Handled, core.ReadCondition):
    """Triggered while its reader holds samples."""


class Writer(Handled, DataWriter):
    """Writes serialised samples to a topic."""

    def __init__(self, participant: Participant, topic: str, type_name: str, qos: Qos) -> None:
        """Create the topic and its writer; ``type_name`` is the ROS name of the message type."""
        self._payload = payload_class(type_name)
        super().__init__(participant, Topic(participant, topic, self._payload), qos)

    def write_bytes(self, data: bytes) -> None:
        """Write a sample: the encapsulation header and the CDR.

        Raises:
            WriteError: Readers are too slow, or the data are not of the topic's type.
        """
        try:
            self.write(self._payload(data))
        except core.DDSException as error:
            raise WriteError(str(error)) from error

    def matched_user_data(self) -> list[bytes]:
        """The user data of every matched reader."""
        matched = (
            self.get_matched_subscription_data(handle)
            for handle in self.get_matched_subscriptions()
        )
        return [user_data(endpoint.qos) for endpoint in matched if endpoint]


class Reader(Handled, DataReader):
    """Takes serialised samples from a topic."""

    def __init__(self, participant: Participant, topic: str, type_name: str, qos: Qos) -> None:
        """Create the topic and its reader; ``type_name`` is the ROS name of the message type."""
        super().__init__(participant, Topic(participant, topic, payload_class(type_name)), qos)
        self.condition = ReadCondition(self, ANY_STATE)

    def take_bytes(self) -> tuple[bytes, SampleInfo] | None:
        """The next sample with its data about it, or ``None`` if there is none."""
        while samples := self.take(1):
            if samples[0].sample_info.valid_data:
                return samples[0].data, samples[0].sample_info
        return None

    def matched_user_data(self) -> list[bytes]:
        """The user data of every matched writer."""
        handles = self.get_matched_publications()
        return [data for data in map(self.user_data_of, handles) if data is not None]

    def user_data_of(self, publication_handle: int) -> bytes | None:
        """The user data of one matched writer, or ``None`` if it is gone."""
        endpoint = self.get_matched_publication_data(publication_handle)
        return user_data(endpoint.qos) if endpoint else None

    def close(self) -> None:
        """Delete the reader and its condition."""
        self.condition.close()
        super().close()


class WaitSet(Handled, core.WaitSet):
    """Blocks until something happens, and says where."""

    def __init__(self, participant: Participant) -> None:
        """Start without anything attached."""
        super().__init__(participant)
        self._watched: dict[int, Handled] = {}

    def watch(self, entities: Iterable[Handled]) -> None:
        """Watch these entities, and no others."""
        wanted = {entity.handle: entity for entity in entities}
        for handle in self._watched.keys() - wanted.keys():
            self._waitset_detach(self._ref, handle)
        for handle in wanted.keys() - self._watched.keys():
            self._waitset_attach(self._ref, handle, ctypes.c_void_p(handle))
        self._watched = wanted

    def wait_for_any(self, timeout: float | None) -> set[int]:
        """Block until a watched entity triggers.

        Args:
            timeout: Longest wait [s]; ``None`` for ever.

        Returns:
            The handles of what triggered; none if the time was up.
        """
        triggered = (ctypes.c_void_p * len(self._watched))()
        nanoseconds = dds_infinity if timeout is None else max(0, int(timeout * 1e9))
        count = self._waitset_wait(self._ref, triggered, len(triggered), nanoseconds)
        return {handle for handle in triggered[: max(count, 0)] if handle is not None}


def user_data(qos: Any) -> bytes:
    """The user data in a QoS, such as ``b"typehash=RIHS01_...;"``."""
    policy = qos[Policy.Userdata]  # a Qos gives None for a policy it lacks
    return bytes(policy.data) if policy else b""


def user_data_value(data: bytes, key: str) -> str | None:
    """The value of one key in user data of the form ``key=value;key=value;``."""
    for pair in data.decode(errors="replace").split(";"):
        name, _, value = pair.partition("=")
        if name == key:
            return value
    return None
