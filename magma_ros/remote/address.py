# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a policy elsewhere is, and how its server knows the robot."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from magma_ros.files import read_text
from magma_ros.remote.error import RemoteError
from magma_ros.types import MagmaError

OFF = "off"
"""Address that asks for no policy elsewhere, whatever the bundle says."""

PORT = 8000
"""Of a server that is named without one: openpi's."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server.

    Attributes:
        uri: ``ws://host:port``, or ``wss://`` for an encrypted line.
        token: What the server knows the robot by, or empty; never shown.
        tls: Whom to trust on an encrypted line, or None.
    """

    uri: str
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Those of the opening request."""
        return {"Authorization": f"Api-Key {self.token}"} if self.token else {}


def read_address(address: str, token_file: str = "", ca_file: str = "") -> Address:
    """The server at ``address``.

    Args:
        address: ``ws://host:port``, ``wss://host:port``, or ``host:port`` for the former.
        token_file: File that holds the token and nothing else, or empty for none.
        ca_file: File with the certificates to trust (PEM); empty for those of the system.

    Raises:
        RemoteError: The address is none, a file cannot be used, or the token would travel in clear.
    """
    uri = address if "://" in address else f"ws://{address}"
    parts = urlsplit(uri)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == -1 or parts.username:
        raise RemoteError(
            f"remote.address is {address!r}, but must be ws://HOST:PORT or wss://HOST:PORT"
        )
    secure = parts.scheme == "wss"
    if ca_file and not secure:
        raise RemoteError("remote.ca_file is for an encrypted line; give a wss:// address")
    token = _token(token_file) if token_file else ""
    if token and not secure and not _loopback(parts.hostname):
        raise RemoteError(
            "remote.token_file would be sent in clear to another machine; give a wss:// address"
        )
    netloc = parts.netloc if port is not None or secure else f"{parts.netloc}:{PORT}"
    return Address(parts._replace(netloc=netloc).geturl(), token, _tls(ca_file) if secure else None)


def _token(name: str) -> str:
    try:
        token = read_text(Path(name)).strip()
    except MagmaError as error:
        raise RemoteError(f"remote.token_file: {error}") from None
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise RemoteError(f"remote.token_file: {name} must hold one token and nothing else")
    return token


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise RemoteError(f"remote.ca_file: {ca_file} holds no certificates ({error})") from None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
