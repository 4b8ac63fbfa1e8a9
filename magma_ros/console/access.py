# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In front of everything the console serves: same origin, right host, logged in.

A page of some other site in the operator's browser can send requests to the console, loopback
included. It cannot forge two headers: ``Origin``, which says that the request comes from that
site, and ``Host``, which says by which name the browser found the console. A name that was made to
point here (DNS rebinding) is none of ours.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from magma_ros.console.config import ConsoleConfig
from magma_ros.doorkeeper import Doorkeeper

LOGGED_OUT = 1008
"""WebSocket's close code for a policy that is violated (RFC 6455, 7.4.1)."""

OPEN_PATHS = frozenset({"/login", "/static/login.css"})
"""What is served without a login."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing (RFC 9110); browsers send them without an Origin, too."""

PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; media-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy: all from here. NiceGUI's pages are built by inline scripts, and Vue
compiles their templates in the browser, so both must be allowed there."""

HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every response that does not set them itself."""


class Access:
    """ASGI middleware that lets in what may come in.

    Args:
        app: What is protected.
        doorkeeper: Knows who is logged in.
        config: Says where the console listens.
        cookie: Name of the cookie that holds a session.
    """

    def __init__(
        self, app: ASGIApp, doorkeeper: Doorkeeper, config: ConsoleConfig, cookie: str
    ) -> None:
        self.app = app
        self._doorkeeper, self._config, self._cookie = doorkeeper, config, cookie
        name = socket.gethostname().lower()
        ours = {"localhost"} if config.on_loopback else {"localhost", name, f"{name}.local"}
        self._names = ours | {host.lower() for host in config.allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, socket or lifespan."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        answer, send = self._refusal(scope), _with_headers(send)
        if answer is None and scope["type"] == "websocket":
            await self._serve_while_logged_in(scope, receive, send)
        else:
            await (answer or self.app)(scope, receive, send)

    async def _serve_while_logged_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a socket until it ends or the login does, with which the socket is closed.

        Whoever serves it is cancelled, and so lets go of what was held through it.
        """
        session = self._session(scope)
        ended = asyncio.Event()
        serving = asyncio.ensure_future(self.app(scope, receive, send))
        waiting = asyncio.ensure_future(ended.wait())
        left = self._doorkeeper.left(session)
        try:
            with self._doorkeeper.told_of_end(session, ended.set):
                await asyncio.wait(
                    (serving, waiting),
                    timeout=None if math.isinf(left) else left,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            waiting.cancel()
            over = serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        if over:
            with suppress(RuntimeError, OSError):  # it is closed already
                await send({"type": "websocket.close", "code": LOGGED_OUT, "reason": "logged out"})

    def _session(self, scope: Scope) -> str:
        """What the browser shows as its login, or empty."""
        return HTTPConnection(scope).cookies.get(self._cookie, "")

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            return PlainTextResponse(
                "The console does not go by this name; add it to allowed_hosts.", 421
            )
        safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS
        named = origin is not None and _same(origin, host)
        if not named and not (safe and origin is None):
            return PlainTextResponse("The request comes from another site.", 403)
        if scope["path"] in OPEN_PATHS:
            return None
        if self._doorkeeper.admits(self._session(scope)):
            return None
        if safe and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("Log in first.", 401)

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names us: by our name, or by address, which none rebinds."""
        name = _hostname(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self._config.on_loopback


def _hostname(host: str) -> str:
    """A Host header without its port, or empty."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    """Whether a page of this origin was served by this host and port."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sender
