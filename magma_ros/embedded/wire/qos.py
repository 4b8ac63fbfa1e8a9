# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QoS as DDS has it, from what a ROS QoS profile says, in rmw_cyclonedds_cpp's way."""

from dataclasses import dataclass

from cyclonedds.internal import dds_infinity
from cyclonedds.qos import Policy, Qos

MAX_BLOCKING_TIME = 100_000_000
"""Longest time that a write may wait for slow readers [ns]: DDS's default. rmw_cyclonedds_cpp
waits for ever, but then all of a Python process would."""


@dataclass(frozen=True)
class WireQos:
    """What a ROS QoS profile asks of DDS.

    Attributes:
        reliable: Reliable, else best effort.
        transient_local: Late joiners get what was sent before, else volatile.
        depth: How many samples are kept; ``None``: all.
        deadline: Longest time between samples [ns]; 0: none.
        lifespan: How long a sample is worth delivering [ns]; 0: for ever.
        liveliness_by_topic: The writer asserts its liveliness itself, else automatic.
        lease: The time in which liveliness must be shown [ns]; 0: for ever.
    """

    reliable: bool = True
    transient_local: bool = False
    depth: int | None = 10
    deadline: int = 0
    lifespan: int = 0
    liveliness_by_topic: bool = False
    lease: int = 0

    def for_endpoint(self, user_data: str, *, ignore_local: bool = False) -> Qos:
        """The QoS of a writer or reader that carries ``user_data``."""
        history = (
            Policy.History.KeepAll if self.depth is None else Policy.History.KeepLast(self.depth)
        )
        policies = [
            history,
            Policy.Userdata(user_data.encode()),
            Policy.WriterDataLifecycle(autodispose=False),
            Policy.DataRepresentation(
                use_cdrv0_representation=True, use_xcdrv2_representation=False
            ),
            self._reliability(),
            self._liveliness(),
            Policy.Deadline(self.deadline or dds_infinity),
            Policy.Lifespan(self.lifespan or dds_infinity),
        ]
        if self.transient_local:
            policies += [
                Policy.Durability.TransientLocal,
                Policy.DurabilityService(0, history, -1, -1, -1),
            ]
        if ignore_local:
            policies.append(Policy.IgnoreLocal.Participant)
        return Qos(*policies)

    def _reliability(self) -> object:
        if self.reliable:
            return Policy.Reliability.Reliable(MAX_BLOCKING_TIME)
        return Policy.Reliability.BestEffort

    def _liveliness(self) -> object:
        kind = (
            Policy.Liveliness.ManualByTopic
            if self.liveliness_by_topic
            else Policy.Liveliness.Automatic
        )
        return kind(self.lease or dds_infinity)
