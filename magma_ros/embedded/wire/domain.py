# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DDS domain: which network it uses, and how this process joins it.

By default everything stays on this machine's loopback. ``ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET``
opens the network, as in ROS 2; ``CYCLONEDDS_URI`` replaces all settings made here.
"""

import os
from weakref import WeakValueDictionary

from cyclonedds.core import DDSException
from cyclonedds.domain import Domain

from magma_ros.embedded.domains import MAX_DOMAIN_ID

LOOPBACK = """
<General>
  <Interfaces><NetworkInterface address="127.0.0.1" multicast="false"/></Interfaces>
  <AllowMulticast>false</AllowMulticast>
  {messages}
</General>
<Discovery>
  <ParticipantIndex>auto</ParticipantIndex>
  <MaxAutoParticipantIndex>119</MaxAutoParticipantIndex>
  <Peers><Peer address="localhost"/></Peers>
</Discovery>
"""
"""Loopback has no multicast, so participants are looked for on every port a domain has."""

SUBNET = "<General>{messages}</General>"

MESSAGES = """
  <MaxMessageSize>65500B</MaxMessageSize>
  <FragmentSize>65000B</FragmentSize>
"""
"""Few large datagrams: an image of 640 x 480 takes 15 of them, not 700."""

BUFFERS = """
<Internal>
  <SocketReceiveBufferSize min="default" max="16MB"/>
  <Watermarks><WhcHigh>64MB</WhcHigh><WhcHighInit>64MB</WhcHighInit></Watermarks>
</Internal>
"""
"""A burst of fragments must find room while this process is busy, and a writer must not wait for
a slow reader while a few images are on their way: Python stands still while it does."""


class DomainError(RuntimeError):
    """The DDS domain cannot be joined."""


_open_domains: WeakValueDictionary[int, Domain] = WeakValueDictionary()


def domain_id_from_environment() -> int:
    """``ROS_DOMAIN_ID``, or 0.

    Raises:
        DomainError: It is no domain number.
    """
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdigit() or int(text) > MAX_DOMAIN_ID:
        raise DomainError(f"ROS_DOMAIN_ID is {text!r}; it must be 0 to {MAX_DOMAIN_ID}")
    return int(text)


def open_domain(domain_id: int) -> Domain:
    """The domain, configured; it lasts as long as somebody holds it.

    Raises:
        DomainError: The configured network interface cannot be used.
    """
    domain = _open_domains.get(domain_id)
    if domain is None:
        try:
            domain = Domain(domain_id, configuration())
        except DDSException as error:
            raise DomainError(_explain(domain_id)) from error
        _open_domains[domain_id] = domain
    return domain


def configuration() -> str:
    """Cyclone DDS's configuration, from the environment."""
    uri = os.environ.get("CYCLONEDDS_URI")
    if uri:
        return uri
    template = LOOPBACK if _local_only() else SUBNET
    settings = template.format(messages=MESSAGES)
    return f'<CycloneDDS><Domain id="any">{settings}{BUFFERS}</Domain></CycloneDDS>'


def _local_only() -> bool:
    discovery_range = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST").upper()
    return os.environ.get("ROS_LOCALHOST_ONLY") == "1" or discovery_range != "SUBNET"


def _explain(domain_id: int) -> str:
    if os.environ.get("CYCLONEDDS_URI"):
        return (
            f"DDS domain {domain_id} cannot be joined with the settings in CYCLONEDDS_URI; "
            "check that the network interface it names exists and is up, or unset it"
        )
    return (
        f"DDS domain {domain_id} cannot be joined; check that the loopback interface is up "
        "(ip link set lo up) and that fewer than 120 processes are in the domain"
    )
