# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who else publishes where only one node may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from rclpy.node import Node

from magma_ros.nodes import names
from magma_ros.types import Source

LEASE = 10.0
"""Time after which a process that was killed is forgotten by Cyclone DDS [s]."""

STOPS = (names.E_STOP,)
"""What one node publishes, whoever drives: who sent a message is not known, so that of two, one
could release what the other has pressed."""

INPUTS: Mapping[Source, tuple[str, ...]] = {
    Source.POLICY: (
        names.POLICY_TWIST,
        names.POLICY_JOINTS,
        names.POLICY_GRIPPER,
        names.POLICY_HEALTH,
    ),
    Source.TELEOP: (names.TELEOP_TWIST, names.TELEOP_GRIPPER, names.TELEOP_ENABLE),
}
"""What one node publishes for each source."""


def foreign_sources(node: Node, clearance: str, outputs: Iterable[str]) -> dict[Source, str]:
    """Sentences about topics with more than one publisher where only one may be, by owner.

    A process that was killed stays listed until its lease on the network has run out, which takes
    ten seconds under Cyclone DDS.

    Args:
        node: The guard; it publishes its outputs itself.
        clearance: The topic that tells of obstacles, whose publisher the policy relies on.
        outputs: What only the guard publishes.
    """
    found = {}
    others = [said for topic in outputs if (said := crowd(node, topic, own=True))]
    if others := others + [said for topic in STOPS if (said := crowd(node, topic))]:
        found[Source.GUARD] = " ".join(others)
    for source, topics in INPUTS.items():
        relied_on = (*topics, clearance) if source is Source.POLICY else topics
        if crowds := [said for topic in relied_on if (said := crowd(node, topic))]:
            found[source] = " ".join(crowds)
    return found


def crowd(node: Node, topic: str, *, own: bool = False) -> str:
    """Who publishes ``topic`` besides the one that may, in a sentence, or empty.

    Args:
        node: Node to ask.
        topic: The topic.
        own: Whether the one that may is the node itself.
    """
    full = node.resolve_topic_name(topic)  # rclpy does not remap the name that it is asked about
    publishers = Counter(
        f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        for info in node.get_publishers_info_by_topic(full)
    )
    if own:
        publishers -= Counter([node.get_fully_qualified_name()])
    if publishers.total() <= (0 if own else 1):
        return ""
    who = " and ".join(sorted(publishers.elements()))
    remedy = "end it" if own else "end all but one"
    if max(publishers.values()) > 1:  # most likely it was killed, and started anew
        remedy += f", or wait {LEASE:g} s if one was killed"
    return f"On {full}: {who}; {remedy}."
