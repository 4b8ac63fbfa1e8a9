# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serves a policy over openpi's WebSocket protocol.

What is said is told in :mod:`magma_ros.remote.messages`. A fault of a client gets one sentence, as
a text frame, which openpi's client raises as an error, and the connection stays; where the request
has a ``request`` part, in the ``error`` of a map. One that floods is closed with a sentence, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from magma_ros.doorkeeper import Doorkeeper
from magma_ros.listening import ListenError, tls_context
from magma_ros.remote.messages import Queue, Reply, Terms, plain, read_terms
from magma_ros.remote.wire import WireError, pack, unpack
from magma_ros.serving.config import ServingConfig
from magma_ros.serving.engine import Counts, Done
from magma_ros.types import Clock, MagmaError, MonotonicClock

SCHEME = "Api-Key "
"""What openpi-client puts before the token in its ``Authorization`` header."""

TRESPASSES = 50
"""Requests beyond a limit, in a row, after which a client is disconnected."""

POLICY_VIOLATION, GOING_AWAY = 1008, 1001
"""Close codes (RFC 6455, 7.4.1)."""

_log = logging.getLogger(__name__)


class Allowance:
    """How many requests a client may still make: a bucket that holds a second's worth.

    Args:
        rate: Requests a second; 0 for no limit.
        clock: Time.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._left, self._then = max(1.0, rate), clock.now()

    def take(self) -> bool:
        """Whether one more is allowed, which then is counted."""
        if not self._rate:
            return True
        now = self._clock.now()
        self._left = min(max(1.0, self._rate), self._left + self._rate * (now - self._then))
        self._then = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Asking(Protocol):
    """A request on its way."""

    @property
    def terms(self) -> Terms | None:
        """What it asks; None where it asks nothing."""
        ...


class Answering(Protocol):
    """What answers: an :class:`~magma_ros.serving.engine.Engine`, or one spread over processes.

    Sessions and requests are its own; they come back to it as they were given out.
    """

    @property
    def policy(self) -> Any:
        """Has ``metadata`` and makes a ``session()`` for each client."""
        ...

    @property
    def counts(self) -> Counts:
        """What became of requests since the start."""
        ...

    def submit(
        self, session: Any, message: Mapping[str, Any], received: float, done: Done
    ) -> Asking:
        """Ask for an answer."""
        ...

    def cancel(self, request: Any) -> None:
        """Forget a request whose client is gone."""
        ...

    def queue(self, clients: int = 0) -> Queue:
        """How busy the server is."""
        ...

    def fairness(self) -> float | None:
        """Jain's index over the robots that ask; None where nobody counts them all."""
        ...


@dataclass(slots=True, eq=False)
class Client:
    """One connection.

    Attributes:
        socket: The connection.
        session: Its use of the policy.
        allowance: What it may still ask.
        waiting: Messages that came while another was answered, and when.
        asking: The request on its way, or None.
        trespasses: Requests beyond a limit in a row.
    """

    socket: ServerConnection
    session: Any
    allowance: Allowance
    waiting: deque[tuple[dict[str, Any], float]] = field(default_factory=deque)
    asking: Asking | None = None
    trespasses: int = 0


class PolicyServer:
    """Serves the engine's policy from :meth:`start` to :meth:`stop`, on the running event loop.

    Args:
        engine: Answers; started and closed by whoever made it.
        config: Settings.
        clock: Time; the engine's.

    Raises:
        ListenError: The settings cannot work.
    """

    def __init__(
        self, engine: Answering, config: ServingConfig, clock: Clock | None = None
    ) -> None:
        config.check()
        self._engine, self._config = engine, config
        self._clock = clock or MonotonicClock()
        self._doorkeeper = Doorkeeper(config.token, self._clock)
        self._clients: set[Client] = set()
        self._server: Server | None = None
        self._welcome = pack(
            plain(
                engine.policy.metadata.model_copy(
                    update={"max_frame": config.frame, "rate": config.rate}
                )
            )
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def start(self) -> None:
        """Listen; returns when it does.

        Raises:
            ListenError: The port is taken, or the certificate cannot be used.
        """
        config = self._config
        secure: ssl.SSLContext | None = None
        if config.certificate:
            secure = tls_context(config.certificate, config.key)
        try:
            self._server = await serve(
                self._serve,
                config.host or None,
                config.port,
                process_request=self._admit,
                compression=None,
                max_size=config.frame,
                max_queue=2,
                ssl=secure,
                server_header=None,
            )
        except OSError as error:
            raise ListenError(
                f"cannot listen on {config.host or 'all addresses'}, port {config.port} "
                f"({error.strerror or error}); choose another host or port, or 0 for a free one"
            ) from None

    async def stop(self) -> None:
        """Close every connection, and end; what waits should have been refused by then."""
        if self._server is not None:
            self._server.close(code=GOING_AWAY, reason="the server is being stopped")
            await self._server.wait_closed()

    def status(self) -> dict[str, Any]:
        """What ``/status`` says."""
        counts, fairness = self._engine.counts, self._engine.fairness()
        return {
            "queue": plain(self._engine.queue(len(self._clients))),
            "answered": {str(depth): n for depth, n in sorted(counts.answered.items())},
            "unadmitted": counts.unadmitted,
            "refused": counts.refused,
            "failed": counts.failed,
            "late": counts.late,
            "fairness": None if fairness is None else round(fairness, 4),
        }

    def _admit(self, socket: ServerConnection, request: HttpRequest) -> Response | None:
        """Answer what is not for the policy; None lets a client in."""
        if request.path == "/healthz":
            return _plain(HTTPStatus.OK, "OK\n")
        given = request.headers.get("Authorization", "").removeprefix(SCHEME)
        address = str((socket.remote_address or ("",))[0])
        if not self._doorkeeper.open:
            session, wait = self._doorkeeper.log_in(given, address)
            if not session and wait:
                return _plain(
                    HTTPStatus.TOO_MANY_REQUESTS, f"Too many wrong tokens: wait {wait:.0f} s.\n"
                )
            if not session:
                return _plain(
                    HTTPStatus.UNAUTHORIZED, f"Give the token: Authorization: {SCHEME}TOKEN.\n"
                )
        if request.path == "/status":
            return _plain(HTTPStatus.OK, json.dumps(self.status()) + "\n", "application/json")
        if len(self._clients) >= self._config.clients:
            return _plain(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._config.clients} clients are served.\n"
            )
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        allowance = Allowance(self._config.rate, self._clock)
        client = Client(socket, self._engine.policy.session(), allowance)
        self._clients.add(client)
        try:
            await socket.send(self._welcome)
            async for frame in socket:
                await self._receive(client, frame)
        except ConnectionClosed:
            pass
        finally:
            self._clients.discard(client)
            client.waiting.clear()
            if client.asking is not None:
                self._engine.cancel(client.asking)

    async def _receive(self, client: Client, frame: str | bytes) -> None:
        received = self._clock.now()
        if not client.allowance.take():
            await self._trespassed(
                client, f"more than {self._config.rate:g} requests a second came; send fewer"
            )
            return
        if isinstance(frame, str):
            await self._trespassed(client, "a text frame came; send msgpack, as openpi does")
            return
        try:
            message = unpack(frame, limit=self._config.frame)
            read_terms(message)
        except WireError as error:
            await self._trespassed(client, str(error))
            return
        if len(client.waiting) >= self._config.waiting and client.asking is not None:
            await self._trespassed(client, "too many requests wait for an answer; await one first")
            return
        client.trespasses = 0
        client.waiting.append((message, received))
        self._ask_next(client)

    def _ask_next(self, client: Client) -> None:
        """Hand the client's next message to the engine, if it has no other on its way."""
        while client.asking is None and client.waiting:
            message, received = client.waiting.popleft()
            loop = asyncio.get_running_loop()
            asked: list[Asking] = []
            done = partial(_call, loop, partial(self._answered, client, asked))
            try:
                asked.append(self._engine.submit(client.session, message, received, done))
            except MagmaError as error:  # pragma: no cover - the terms were read before
                _call(loop, lambda s=str(error): self._send(client, s))
                continue
            client.asking = asked[0]

    def _answered(self, client: Client, asked: list[Asking], reply: Reply) -> None:
        request = asked[0]
        if client.asking is request:
            client.asking = None
        if client not in self._clients:
            return
        if reply.error and request.terms is None:
            self._send(client, reply.error)
        else:
            queue = reply.queue.model_copy(update={"clients": len(self._clients)})
            self._send(client, pack(plain(reply.model_copy(update={"queue": queue}))))
        self._ask_next(client)

    def _send(self, client: Client, frame: str | bytes) -> None:
        task = asyncio.ensure_future(_send(client.socket, frame))
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)

    async def _trespassed(self, client: Client, sentence: str) -> None:
        client.trespasses += 1
        if client.trespasses >= TRESPASSES:
            await client.socket.close(POLICY_VIOLATION, sentence[:120])
            return
        await _send(client.socket, sentence)


_TASKS: set[asyncio.Future[None]] = set()
"""Frames on their way, so that they are not forgotten before they are sent."""


async def _send(socket: ServerConnection, frame: str | bytes) -> None:
    try:
        await socket.send(frame)
    except ConnectionClosed:
        _log.debug("a client has gone before its answer")


def _call(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *values: object) -> None:
    """Call on the event loop, from any thread."""
    try:
        loop.call_soon_threadsafe(tell, *values)
    except RuntimeError:  # the loop has ended, and the connection with it
        _log.debug("an answer came after the server's end")


def _plain(status: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8") -> Response:
    body = text.encode()
    headers = Headers(
        [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    )
    return Response(status.value, status.phrase, headers, body)
