# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that holds bytes up as a network between two computers would.

It stands in for real loss where packets cannot be dropped. TCP repairs a loss by sending anew, so
what an application sees of one is a stall, and behind it everything else that was sent. How long
the stall is follows from where in a burst the lost packet was (RFC 5681, RFC 8985):

- three or more later packets of the burst tell the sender at once: one more round trip;
- none does, at the end of a burst: a probe after two round trips, then one more;
- during a cut it is tried again after 0.2 s, 0.4 s, 0.8 s and so on (RFC 6298 with Linux's floor),
  so the line comes back later than the network does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Coroutine
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from magma_ros.evaluation.computers.lines import LineError, LineSpec

SEGMENT = 1448
"""Bytes of a packet that are the application's, on Ethernet with TCP's time stamps."""

FIRST_RETRY = 0.2
"""Shortest time after which Linux sends anew what was not acknowledged [s]."""

LATER_PACKETS = 3
"""Packets behind a lost one that make the sender notice at once (RFC 5681)."""

BLOCK = 1 << 16
"""Most bytes read at once."""

START = 10.0
"""Longest time until the proxy answers [s]."""


class Flow:
    """When the bytes of one direction of a connection arrive.

    Args:
        spec: What the line does.
        rng: Of its draws.
    """

    def __init__(self, spec: LineSpec, rng: np.random.Generator) -> None:
        self._spec = spec
        self._rng = rng
        self._last = 0.0
        self._cut_at: float | None = None

    def arrival(self, size: int, now: float) -> float:
        """When a burst arrives that is sent now: never before what was sent earlier [s].

        Args:
            size: Of the burst [bytes].
            now: Time [s].
        """
        spec = self._spec
        passage = 0.5 * (spec.delay + spec.jitter * self._rng.uniform(-1.0, 1.0))
        self._last = max(self._last, now + passage + self._repair(-(-size // SEGMENT)))
        return self._last

    def _repair(self, packets: int) -> float:
        """Time that lost packets of a burst cost [s]."""
        lost = np.flatnonzero(self._rng.random(packets) < self._spec.loss)
        if not lost.size:
            return 0.0
        trips = 1.0 if packets - 1 - lost[-1] >= LATER_PACKETS else 3.0
        # What is sent anew may be lost again, and then only time tells.
        again = FIRST_RETRY if self._rng.random() < self._spec.loss else 0.0
        return trips * self._spec.delay + again

    @staticmethod
    def resumption(cut_at: float, mended_at: float) -> float:
        """When what was sent at the beginning of a cut is sent anew with success [s]."""
        wait, when = FIRST_RETRY, cut_at + FIRST_RETRY
        while when < mended_at:
            wait *= 2.0
            when += wait
        return when


class ProxyLine:
    """A line through a proxy in a process of its own.

    Args:
        spec: What it does.

    Raises:
        LineError: The process does not start.
    """

    kind = "proxy"
    prefix: tuple[str, ...] = ()

    def __init__(self, spec: LineSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(spec, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return int(self._process.pid or 0)

    def reach(self, port: int) -> int:
        """The port of a new proxy in front of the server at ``port``."""
        return int(self._ask(("reach", port)))

    def cut(self) -> None:
        """Pass nothing on; the connections stay open."""
        self._ask(("cut", None))

    def mend(self) -> None:
        """Pass on again, beginning with what has waited."""
        self._ask(("mend", None))

    def close(self) -> None:
        """End the process and all connections; a second call does nothing."""
        self._pipe.close()
        self._process.join(START)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _ask(self, request: tuple[str, int | None]) -> Any:
        try:
            self._pipe.send(request)
            if self._pipe.poll(START):
                return self._pipe.recv()
        except (OSError, EOFError):
            pass
        raise LineError("the proxy that stands for the network is gone; check the memory left")


def _run(spec: LineSpec, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever made it ends it
    asyncio.run(_Proxy(spec).serve(pipe))


class _Proxy:
    """All connections of a line."""

    def __init__(self, spec: LineSpec) -> None:
        self._spec = spec
        self._draws = np.random.SeedSequence((spec.seed, 2))
        self._open = asyncio.Event()
        self._open.set()
        self._cut_at = 0.0
        self._resumes = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, pipe: Connection) -> None:
        """Do what is asked until the other end is closed."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def hear() -> None:
            try:
                verb, port = pipe.recv()
            except (EOFError, OSError):
                loop.remove_reader(pipe.fileno())
                if not over.done():
                    over.set_result(None)
                return
            self._keep(self._do(verb, port, pipe))

        loop.add_reader(pipe.fileno(), hear)
        await over
        for task in self._tasks:
            task.cancel()

    async def _do(self, verb: str, port: int, pipe: Connection) -> None:
        now = asyncio.get_running_loop().time()
        answer = 0
        if verb == "reach":
            answer = await self._listen(port)
        elif verb == "cut":
            self._cut_at = now
            self._open.clear()
        elif not self._open.is_set():
            self._resumes = Flow.resumption(self._cut_at, now)
            self._open.set()
        pipe.send(answer)

    async def _listen(self, port: int) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:  # nobody serves there yet
                writer.close()
                return
            one, other = self._draws.spawn(2)
            self._keep(self._pump(reader, far_writer, Flow(self._spec, np.random.default_rng(one))))
            self._keep(
                self._pump(far_reader, writer, Flow(self._spec, np.random.default_rng(other)))
            )

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=BLOCK)
        return int(server.sockets[0].getsockname()[1])

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flow: Flow
    ) -> None:
        """Pass on what one end sends, in order, each burst when it arrives."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = loop.create_task(self._send(waiting, sink))
        with suppress(OSError):
            while data := await source.read(BLOCK):
                waiting.put_nowait((flow.arrival(len(data), loop.time()), data))
        waiting.put_nowait((flow.arrival(0, loop.time()), b""))
        try:
            await sender
        except asyncio.CancelledError:
            sender.cancel()
            raise

    async def _send(
        self, waiting: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while True:
                when, data = await waiting.get()
                await asyncio.sleep(max(0.0, when - loop.time()))
                await self._open.wait()
                if (
                    self._cut_at
                    and when >= self._cut_at
                    and (late := self._resumes - loop.time()) > 0.0
                ):
                    await asyncio.sleep(late)
                if not data:
                    break
                sink.write(data)
                await sink.drain()
        sink.close()
