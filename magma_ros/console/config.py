# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the console listens, who gets in, and how fast an operator may jog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from magma_ros.listening import LEAST_TOKEN, on_loopback
from magma_ros.types import MagmaError

AUTO_TOKEN = "auto"  # noqa: S105 - it asks for a token
"""Value of ``token`` that asks for one to be made up."""


class ConsoleError(MagmaError):
    """The console cannot start as it is configured."""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """Settings of the console's server.

    Attributes:
        host: Address to listen on; all but loopback addresses demand a token.
        port: Port to listen on, 0 for any that is free.
        token: What an operator must know, ``auto`` for one that is made up, or empty for none.
        tls_certificate: PEM file of the certificate, or empty for no TLS.
        tls_key: PEM file of its private key, or empty if it is in the certificate's file.
        allowed_hosts: Names by which browsers reach the console, besides addresses and the
            machine's own name.
        linear_speed: Greatest speed of jogging [m/s]; ISO 10218-1 calls 0.25 m/s reduced speed.
        angular_speed: Greatest angular speed of jogging [rad/s].
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    allowed_hosts: tuple[str, ...] = ()
    linear_speed: float = 0.25
    angular_speed: float = 0.6

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the console."""
        return on_loopback(self.host)

    @property
    def scheme(self) -> str:
        """``https`` or ``http``."""
        return "https" if self.tls_certificate else "http"

    def check(self) -> None:
        """Raise if this cannot work.

        Raises:
            ConsoleError: With one sentence that says what to change.
        """
        if not 0 <= self.port <= 65535:
            raise ConsoleError(f"port must be 0 to 65535, not {self.port}")
        if not self.on_loopback and not self.token:
            raise ConsoleError(
                f"a console on {self.host or 'all addresses'} can be reached from the network and "
                f"demands a token: set token to {LEAST_TOKEN} characters or more, or to "
                f"'{AUTO_TOKEN}' for one that is made up"
            )
        if self.token and self.token != AUTO_TOKEN and len(self.token) < LEAST_TOKEN:
            raise ConsoleError(
                f"the token has {len(self.token)} characters; it needs {LEAST_TOKEN} or more"
            )
        if self.tls_key and not self.tls_certificate:
            raise ConsoleError("tls_key needs a tls_certificate")
        for name in ("tls_certificate", "tls_key"):
            if (file := getattr(self, name)) and not Path(file).is_file():
                raise ConsoleError(f"{name}: there is no file {file}")
        for name in ("linear_speed", "angular_speed"):
            if not 0.0 < getattr(self, name) <= 5.0:
                raise ConsoleError(
                    f"{name} must be above 0 and at most 5, not {getattr(self, name)}"
                )
