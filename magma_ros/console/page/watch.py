# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One WebSocket for each page: it asks for what it has drawn, and is told what is newer.

A page asks again once it has drawn the last answer, so that a slow one sees fewer pictures and
never old ones, and nothing queues for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import suppress

import anyio
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from magma_ros.console.page.telemetry import Telemetry
from magma_ros.types import MagmaError

PERIOD = 0.02
"""Time between two looks for something new [s]."""

VIEW_PERIOD = 0.1
"""Shortest time between two views told to one page [s]."""

LONGEST_QUESTION = 1000
"""Characters of the longest question that is read."""

MOST_PICTURES = 16
"""Cameras that a page can wait for at a time."""

UNSUPPORTED = 1003
"""WebSocket's close code for what an endpoint does not understand (RFC 6455, 7.4.1)."""


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    view: bool
    pictures: dict[str, float]


class Watcher:
    """What one page has asked for and not been told yet."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._pictures: dict[str, float] = {}
        self._view = False
        self._view_time = -math.inf

    def ask(self, question: str) -> None:
        """Take a question: ``{"view": true, "pictures": {"front": 12.5}}``, either or both.

        A picture is asked for by camera, with the time of the one that was drawn last [s].

        Raises:
            MagmaError: If it is something else.
        """
        try:
            asked = _Question.model_validate_json(question[: LONGEST_QUESTION + 1])
        except ValidationError:
            text = 'ask with {"view": true or false, "pictures": {camera: seconds}}'
            raise MagmaError(text) from None
        self._view |= asked.view
        self._pictures |= asked.pictures
        if len(self._pictures) > MOST_PICTURES:
            raise MagmaError(f"ask for {MOST_PICTURES} cameras at most")

    def answers(self, now: float) -> Iterator[str | bytes]:
        """What can be told by now [s]: a view as text, pictures as bytes."""
        if self._view and now - self._view_time >= VIEW_PERIOD:
            self._view, self._view_time = False, now
            yield self._telemetry.view()
        for camera, after in list(self._pictures.items()):
            picture = self._telemetry.picture(camera, after)
            if picture is not None:
                del self._pictures[camera]
                yield picture


def serve(app: FastAPI, telemetry: Telemetry) -> None:
    """Add the WebSocket ``/watch`` to an app."""

    @app.websocket("/watch")
    async def watch(socket: WebSocket) -> None:
        await socket.accept()
        watcher = Watcher(telemetry)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tell, socket, watcher)
            await _read(socket, watcher)
            tasks.cancel_scope.cancel()


async def _read(socket: WebSocket, watcher: Watcher) -> None:
    try:
        while True:
            watcher.ask(await socket.receive_text())
    except MagmaError as error:
        await socket.close(UNSUPPORTED, str(error))
    except KeyError:
        await socket.close(UNSUPPORTED, "ask in text")
    except WebSocketDisconnect:
        return


async def _tell(socket: WebSocket, watcher: Watcher) -> None:
    with suppress(WebSocketDisconnect):  # the reader has noticed as well
        while True:
            for answer in watcher.answers(time.monotonic()):
                if isinstance(answer, str):
                    await socket.send_text(answer)
                else:
                    await socket.send_bytes(answer)
            await asyncio.sleep(PERIOD)
