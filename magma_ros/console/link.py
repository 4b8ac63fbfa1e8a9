# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion link's sockets: carries messages between browsers and the hub.

A browser that reads slowly delays nobody: each has a sender of its own, and what it does not read
in time is dropped (:class:`~magma_ros.console.client.Outbox`). What waits for the robot's answer
runs in threads; motion, release and stop never queue behind it.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from starlette.websockets import WebSocket, WebSocketDisconnect

from magma_ros.console.client import Client, Outbox
from magma_ros.console.frames import InstructAsk, LabelAsk, RecordAsk, RobotAsk, VerbAsk, one_line
from magma_ros.console.hub import FOR_ALL, TICK, Hub
from magma_ros.console.robot import Robot, Verb
from magma_ros.types import Answer

SEND_TIMEOUT = 5.0
"""Time for which a socket may take nothing before it is given up [s]."""

LONGEST_REASON = 120
"""Bytes of a sentence in a close frame (RFC 6455 allows 123)."""

LOG = logging.getLogger(__name__)


class Link:
    """Serves the link's sockets on one event loop.

    Args:
        hub: Judges the messages.
        robot: Is asked what may be asked of it.
    """

    def __init__(self, hub: Hub, robot: Robot) -> None:
        self._hub, self._robot = hub, robot
        self._pool = ThreadPoolExecutor(4, "console-requests")
        self._urgent = ThreadPoolExecutor(len(FOR_ALL), "console-stop")
        self._running: dict[Verb, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep_time(self) -> None:
        """Expire and tell what is due, for ever."""
        while True:
            wait = TICK
            try:
                wait = self._hub.tick()
            except Exception:
                LOG.exception("the console lost track of time for a moment; nothing moves")
                self._robot.release()
            await asyncio.sleep(wait)

    def close(self) -> None:
        """Let go of the threads; requests that have begun end by themselves."""
        for pool in (self._pool, self._urgent):
            pool.shutdown(wait=False, cancel_futures=True)

    async def serve(self, socket: WebSocket) -> None:
        """Serve one browser until either side ends it."""
        await socket.accept()
        wake = asyncio.Event()
        client = self._hub.join(Outbox(wake.set))
        both = [
            asyncio.create_task(self._send(socket, client, wake)),
            asyncio.create_task(self._receive(socket, client)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(client)
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _send(self, socket: WebSocket, client: Client, wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            while (text := client.outbox.take()) is not None:
                async with asyncio.timeout(SEND_TIMEOUT):
                    await socket.send_text(text)
            if client.closing is not None:
                code, sentence = client.closing
                reason = sentence.encode()[:LONGEST_REASON].decode(errors="ignore")
                async with asyncio.timeout(SEND_TIMEOUT):
                    await socket.close(code, reason)
                return

    async def _receive(self, socket: WebSocket, client: Client) -> None:
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(event.get("code", 1006))
            text = event.get("text")
            ask = self._hub.receive(client, event.get("bytes") or b"" if text is None else text)
            if ask is not None:
                task = asyncio.create_task(self._put(client, ask))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _put(self, client: Client, ask: RobotAsk) -> None:
        """Put a request to the robot, and tell the browser its answer."""
        try:
            answer = await self._asked(ask)
        except Exception:
            LOG.exception("a request of an operator failed")
            answer = Answer(accepted=False, sentence="the request failed; see the console's log")
        self._hub.answer(client, ask, answer)

    async def _asked(self, ask: RobotAsk) -> Answer:
        loop = asyncio.get_running_loop()
        if not isinstance(ask, VerbAsk) or ask.verb not in FOR_ALL:
            return await loop.run_in_executor(self._pool, _call, self._robot, ask)
        running = self._running.get(ask.verb)
        if running is None or running.done():  # else it serves both who ask
            running = loop.run_in_executor(self._urgent, _call, self._robot, ask)
            self._running[ask.verb] = running
        return await asyncio.shield(running)


def _call(robot: Robot, ask: RobotAsk) -> Answer:
    match ask:
        case VerbAsk():
            return robot.request(ask.verb)
        case InstructAsk():
            return robot.instruct(one_line(ask.text, 500))
        case RecordAsk():
            return robot.record(on=ask.on)
        case LabelAsk():
            return robot.label(ask.verdict, one_line(ask.note, 500))
