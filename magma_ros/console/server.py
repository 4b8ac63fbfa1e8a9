# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The console's server: page and motion link in one process, on a thread of their own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from magma_ros.console.access import Access
from magma_ros.console.config import AUTO_TOKEN, ConsoleConfig, ConsoleError
from magma_ros.console.hub import Hub
from magma_ros.console.link import Link
from magma_ros.console.login import login_routes
from magma_ros.console.robot import Robot
from magma_ros.doorkeeper import Doorkeeper
from magma_ros.listening import ListenError, tls_context
from magma_ros.types import MonotonicClock

STATIC = Path(__file__).parent / "static"
"""Scripts and styles, all served from here."""

LARGEST_MESSAGE = 2**18
"""Bytes of a WebSocket message that is read at all; the link itself takes far fewer."""

CONNECTIONS = 256
"""Most connections at a time."""

START_TIMEOUT = 60.0
"""Time within which the server must listen; importing NiceGUI takes seconds on a small computer."""

DEAD_PEER = 20_000
"""Time after which the kernel gives up a peer that takes no data [ms]."""

Mount = Callable[[FastAPI, Robot], None]
"""Adds a page to the app."""


def mount_page(app: FastAPI, robot: Robot) -> None:
    """Add the operator's page."""
    from magma_ros.console.page import mount  # importing NiceGUI takes seconds

    mount(app, robot)


class ConsoleServer:
    """Serves the console from :meth:`start` to :meth:`stop`.

    Args:
        robot: What is shown and moved.
        config: Settings.
        mount: Adds the page.

    Raises:
        ConsoleError: The settings cannot work.
    """

    def __init__(self, robot: Robot, config: ConsoleConfig, mount: Mount = mount_page) -> None:
        config.check()
        self._made_up = config.token == AUTO_TOKEN
        token = secrets.token_urlsafe(24) if self._made_up else config.token
        self._config = replace(config, token=token)
        self._robot, self._mount = robot, mount
        self.hub = Hub(robot, MonotonicClock(), self._config)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._port = config.port

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """Where the page is found."""
        host = self._config.host
        if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - a name for all addresses is looked for
            host = socket.gethostname()
        return f"{self._config.scheme}://{f'[{host}]' if ':' in host else host}:{self._port}/"

    @property
    def notes(self) -> list[str]:
        """What the person who started the console should read, a sentence each."""
        notes = [f"The operator's console is at {self.url}"]
        if self._made_up:
            notes.append(f"Its token is {self._config.token}")
        if not self._config.on_loopback and self._config.scheme == "http":
            notes.append(
                "The console can be reached from the network without encryption: token and "
                "pictures can be read on the way; set tls_certificate, or use an SSH tunnel"
            )
        return notes

    def start(self) -> None:
        """Listen; returns when it does.

        Raises:
            ConsoleError: The port is taken, or the certificate cannot be used.
        """
        if self._config.tls_certificate:
            _check_certificate(self._config)
        listener = _listen(self._config)
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(self._uvicorn_config())
        self._thread = threading.Thread(
            target=self._run, args=(self._server, listener), name="console", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ConsoleError("the console's server did not start; its log says why")
            time.sleep(0.01)

    def stop(self) -> None:
        """Release the motion, close every connection, and end within a second."""
        self.hub.shut()
        server, thread, loop = self._server, self._thread, self._loop
        if server is None or thread is None:
            return
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(self.hub.close)
        server.should_exit = True
        thread.join(0.6)
        server.force_exit = True
        thread.join(0.4)
        self._server = self._thread = None

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        with listener, suppress(SystemExit):  # uvicorn's way to say that start-up failed
            asyncio.run(server.serve([listener]))
        self.hub.shut()

    def _uvicorn_config(self) -> uvicorn.Config:
        logging.getLogger("uvicorn.error").addFilter(_worth_telling)
        return uvicorn.Config(
            self._app(),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # or anybody could give an address that is not theirs
            lifespan="on",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,
            limit_concurrency=CONNECTIONS,
            ssl_certfile=self._config.tls_certificate or None,
            ssl_keyfile=self._config.tls_key or None,
        )

    def _app(self) -> FastAPI:
        link = Link(self.hub, self._robot)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            self._loop = asyncio.get_running_loop()
            timing = asyncio.create_task(link.keep_time())
            yield
            timing.cancel()
            link.close()

        app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
        doorkeeper = Doorkeeper(self._config.token, MonotonicClock())
        cookie = f"magma_console_{self._port}"  # browsers keep one jar for all ports of a host
        app.include_router(login_routes(doorkeeper, self._config, cookie))
        app.mount("/static", StaticFiles(directory=STATIC))
        app.add_api_websocket_route("/link", link.serve)
        self._mount(app, self._robot)
        app.add_middleware(Access, doorkeeper=doorkeeper, config=self._config, cookie=cookie)
        return app


def _check_certificate(config: ConsoleConfig) -> None:
    try:
        tls_context(config.tls_certificate, config.tls_key)
    except ListenError as error:
        raise ConsoleError(str(error)) from None


def _listen(config: ConsoleConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listener = socket.create_server((config.host, config.port), family=family)
    except (OSError, OverflowError) as error:
        raise ConsoleError(
            f"the console cannot listen on {config.host or 'all addresses'}, port {config.port} "
            f"({error}); choose another host or port, or 0 for any port that is free"
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted sockets inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER)
    return listener


def _worth_telling(record: logging.LogRecord) -> bool:
    """Not that a peer sent invalid UTF-8, for which uvicorn logs a traceback."""
    return not str(record.msg).startswith("Invalid UTF-8")
