# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plain policy server as openpi's is: metadata, then an answer to each question, in order.

It is written against the protocol alone, with msgpack and websockets and none of the code under
test, and knows nothing of deadlines.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
from websockets.asyncio.server import serve


def pack(value: Any) -> Any:
    def plain(array: Any) -> Any:
        if not isinstance(array, np.ndarray):
            raise TypeError(type(array))
        return {
            b"__ndarray__": True,
            b"data": array.tobytes(),
            b"dtype": array.dtype.str,
            b"shape": array.shape,
        }

    return msgpack.packb(value, default=plain)


def unpack(frame: bytes) -> Any:
    def revive(found: dict) -> Any:
        if b"__ndarray__" not in found:
            return found
        return np.ndarray(
            buffer=found[b"data"], dtype=np.dtype(found[b"dtype"]), shape=found[b"shape"]
        )

    return msgpack.unpackb(frame, object_hook=revive)


class StrangerServer:
    """Runs until it is closed; may be started again on the same port.

    Args:
        answer: Gives an answer, or raw bytes or text to send instead of one; it may sleep.
        metadata: Sent first.
        token: Wanted of every client, or None.
    """

    def __init__(
        self,
        answer: Callable[[dict], Any],
        metadata: dict | None = None,
        token: str | None = None,
        ssl: Any = None,
    ) -> None:
        self.answer, self.metadata, self.token, self.ssl = answer, metadata or {}, token, ssl
        self.port = 0
        self.questions: list[dict] = []
        self.start()

    @property
    def address(self) -> str:
        return f"{'wss' if self.ssl else 'ws'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10.0)

    def kill(self) -> None:
        """End at once, without a farewell; it may have ended already."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._open: set = set()
        server = await serve(
            self._talk,
            "127.0.0.1",
            self.port,
            compression=None,
            max_size=None,
            process_request=self._admit,
            ssl=self.ssl,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        for connection in list(self._open):
            connection.transport.abort()
        server.close()
        await server.wait_closed()

    def _admit(self, connection: Any, request: Any) -> Any:
        if self.token and request.headers.get("Authorization") != f"Api-Key {self.token}":
            return connection.respond(401, "who are you?\n")
        return None

    async def _talk(self, connection: Any) -> None:
        self._open.add(connection)
        try:
            await connection.send(pack(self.metadata))
            async for frame in connection:
                began = time.monotonic()
                question = unpack(frame)
                self.questions.append(question)
                try:
                    answer = await self._loop.run_in_executor(None, self.answer, question)
                except Exception:
                    await connection.send(traceback.format_exc())
                    await connection.close(1011)
                    raise
                if isinstance(answer, dict):
                    spent = 1e3 * (time.monotonic() - began)
                    answer = pack({**answer, "server_timing": {"infer_ms": spent}})
                if answer is not None:
                    await connection.send(answer)
        finally:
            self._open.discard(connection)
