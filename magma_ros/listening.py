# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every server of the project has in common: loopback, tokens, certificates."""

from __future__ import annotations

import ipaddress
import ssl

from magma_ros.types import MagmaError

LEAST_TOKEN = 16
"""Fewest characters of a token."""


class ListenError(MagmaError):
    """A server cannot listen as it is configured."""


def on_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(certificate: str, key: str = "") -> ssl.SSLContext:
    """What a server encrypts with.

    Args:
        certificate: PEM file of its certificate.
        key: PEM file of the private key, or empty if it is in the certificate's file.

    Raises:
        ListenError: They are not there, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(
            f"{certificate} cannot be used with its key ({error}); give the PEM files "
            "of a certificate and of its unencrypted private key"
        ) from None
    return context
