# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who knows the token, who has guessed too often, and who is logged in."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from magma_ros.types import Clock

FREE_TRIES = 3
"""Wrong tokens from one address before it has to wait."""

FIRST_WAIT = 1.0
"""Wait after the first wrong token that is not free [s]; each further one doubles it."""

LONGEST_WAIT = 900.0
"""Longest wait [s]."""

FORGIVEN = 3600.0
"""Time after which an address's wrong tokens are forgotten [s]."""

ADDRESSES = 1024
"""Addresses that are remembered; beyond that, the one that failed longest ago is forgotten."""

SESSION = 12 * 3600.0
"""Time for which a login holds [s]."""

SESSIONS = 256
"""Logins that hold at a time; beyond that, the oldest ends."""


class Login(NamedTuple):
    """What came of a try to log in.

    Attributes:
        session: What the browser has to show from now on, or empty if it was refused.
        wait: Time before the next try is heard [s].
    """

    session: str
    wait: float


@dataclass(slots=True)
class _Failures:
    count: int
    last: float
    until: float


@dataclass(slots=True)
class _Session:
    until: float
    ended: list[Callable[[], None]] = field(default_factory=list)


class Doorkeeper:
    """Compares tokens in constant time, and makes who guesses wait ever longer.

    While an address waits, its tries are refused unread; the right token opens nothing either, so
    that a refusal tells nothing.

    Args:
        token: What an operator must know, or empty if everybody may enter.
        clock: The server's time.
    """

    def __init__(self, token: str, clock: Clock) -> None:
        self.open = not token
        self._secret = _digest(token)
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def log_in(self, token: str, address: str) -> Login:
        """Try a token.

        Args:
            token: What the operator typed.
            address: Where from.
        """
        now, network = self._clock.now(), _network(address)
        known = self._failures.get(network)
        if known and now < known.until:
            return Login("", known.until - now)
        if not self.open and hmac.compare_digest(_digest(token), self._secret):
            self._failures.pop(network, None)
            return Login(self._begin(now), 0.0)
        return Login("", self._failed(network, now))

    def admits(self, session: str) -> bool:
        """Whether a browser that shows this may enter."""
        return self.left(session) > 0.0

    def left(self, session: str) -> float:
        """Time for which a browser that shows this may stay [s]; 0 for not at all."""
        if self.open:
            return math.inf
        known = self._sessions.get(_digest(session))
        return 0.0 if known is None else max(0.0, known.until - self._clock.now())

    @contextmanager
    def told_of_end(self, session: str, tell: Callable[[], None]) -> Iterator[None]:
        """Within the context, call ``tell`` if the login is ended, as by logging out."""
        known = self._sessions.get(_digest(session))
        if known is None:
            yield
            return
        known.ended.append(tell)
        try:
            yield
        finally:
            known.ended.remove(tell)

    def log_out(self, session: str) -> None:
        """End a login, and all that was opened with it."""
        self._end(self._sessions.pop(_digest(session), None))

    def _begin(self, now: float) -> str:
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = _Session(now + SESSION)
        while len(self._sessions) > SESSIONS:
            self._end(self._sessions.popitem(last=False)[1])
        return session

    def _end(self, session: _Session | None) -> None:
        for tell in list(session.ended) if session else ():
            tell()

    def _failed(self, network: str, now: float) -> float:
        """Count a wrong token; how long its address has to wait [s]."""
        known = self._failures.pop(network, None)
        count = 1 if known is None or now - known.last > FORGIVEN else known.count + 1
        doublings = min(count - FREE_TRIES - 1, 30)
        wait = min(FIRST_WAIT * 2.0**doublings, LONGEST_WAIT) if count > FREE_TRIES else 0.0
        self._failures[network] = _Failures(count, now, now + wait)
        while len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)
        return wait


def _digest(text: str) -> bytes:
    """Of a fixed length, so that comparing tells nothing of the text's."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _network(address: str) -> str:
    """The address, or the /64 network of an IPv6 address, all of which one household has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
