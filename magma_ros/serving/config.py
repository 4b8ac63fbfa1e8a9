# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a policy is served, who gets in, and how much a client may ask."""

from __future__ import annotations

from dataclasses import dataclass

from magma_ros.listening import LEAST_TOKEN, ListenError, on_loopback
from magma_ros.remote.wire import MAX_FRAME


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Settings of the server.

    Attributes:
        host: Address to listen on; all but loopback addresses demand a token.
        port: Port to listen on, 0 for any that is free.
        token: What a client must know, or empty for none.
        open: Whether another address than loopback may go without a token.
        certificate: PEM file of the certificate, or empty for no TLS.
        key: PEM file of its private key, or empty if it is in the certificate's file.
        clients: Most connections at a time.
        rate: Most requests a second of one client, over a second; 0 for no limit.
        frame: Largest frame that is read [bytes].
        waiting: Requests of one client that may wait for its first one.
        time_limit: Time in which requests are answered that state none [s].
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    open: bool = False
    certificate: str = ""
    key: str = ""
    clients: int = 128
    rate: float = 100.0
    frame: int = MAX_FRAME
    waiting: int = 4
    time_limit: float = 0.1

    def check(self) -> None:
        """Raise if this cannot work.

        Raises:
            ListenError: With one sentence that says what to change.
        """
        if not 0 <= self.port <= 65535:
            raise ListenError(f"port must be 0 to 65535, not {self.port}")
        if not self.token and not self.open and not on_loopback(self.host):
            raise ListenError(
                f"a server on {self.host or 'all addresses'} can be reached from the network and "
                f"demands a token: name a --token-file with {LEAST_TOKEN} characters or more, or "
                "say --open if everybody may ask"
            )
        if self.token and len(self.token) < LEAST_TOKEN:
            raise ListenError(
                f"the token has {len(self.token)} characters; it needs {LEAST_TOKEN} or more"
            )
        if self.key and not self.certificate:
            raise ListenError("a key needs a certificate")
        if not (self.clients >= 1 and self.rate >= 0.0 and self.waiting >= 0):
            raise ListenError("clients must be 1 or more, rate and waiting 0 or more")
        if not 1024 <= self.frame <= 1 << 30:
            raise ListenError(f"frames may have 1024 bytes to 1 GiB, not {self.frame}")
        if not 0.0 < self.time_limit <= 3600.0:
            raise ListenError(
                f"the time limit must be above 0 and at most 3600 s, not {self.time_limit}"
            )
