# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which DDS domains this machine's participants are in, and one that they are not in.

A participant shows by the UDP ports it holds, which follow from its domain and its number there
(DDSI-RTPS 2.5, section 9.6.1.1), whatever DDS implementation it uses.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MAX_DOMAIN_ID = 232
"""The last domain whose ports exist."""

_FIRST_PORT, _PORTS_OF_A_DOMAIN = 7400, 250
_FIRST_PARTICIPANT, _PORTS_OF_A_PARTICIPANT = 10, 2
_PARTICIPANTS = 120
_CLAIM = 9  # the port of a domain by which it is claimed; DDS itself never uses it

_CANDIDATES = tuple(range(100, 0, -1))
"""Domains whose ports are below those that Linux hands out by chance (from 32768)."""


class NoDomainError(RuntimeError):
    """Every domain is in use."""


@contextmanager
def own_domain(preferred: Sequence[int] = ()) -> Iterator[int]:
    """A domain that nobody on this machine is in, kept from others who ask in this way.

    The claim is a port, so it ends with the process, however that ends.

    Args:
        preferred: Domains to try first.

    Raises:
        NoDomainError: Every domain is in use.
    """
    for domain in (*preferred, *_CANDIDATES):
        claim = _held("127.0.0.1", _port(domain, _CLAIM))
        if claim is None:
            continue
        with claim:
            if not is_in_use(domain):
                yield domain
                return
    raise NoDomainError(f"every DDS domain from 1 to {_CANDIDATES[0]} is in use on this machine")


def is_in_use(domain: int) -> bool:
    """Whether a participant on this machine is in the domain."""
    for number in range(_PARTICIPANTS):
        offset = _FIRST_PARTICIPANT + _PORTS_OF_A_PARTICIPANT * number
        port = _held("", _port(domain, offset))
        if port is None:
            return True
        port.close()
    return False


def _port(domain: int, offset: int) -> int:
    return _FIRST_PORT + _PORTS_OF_A_DOMAIN * domain + offset


def _held(address: str, port: int) -> socket.socket | None:
    """A socket that holds the port, or None if somebody else does."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        holder.bind((address, port))
    except OSError:
        holder.close()
        return None
    return holder
