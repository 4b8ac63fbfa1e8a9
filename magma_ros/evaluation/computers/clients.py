# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that take every picture of a console and draw none: what the console itself costs."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from magma_ros.evaluation.computers.watchers import PATIENCE

RETRY = 0.2
"""Time until the next attempt to connect [s]."""


@contextmanager
def clients(count: int) -> Iterator[Clients]:
    """So many clients, which end with the context."""
    watching = Clients(count)
    try:
        yield watching
    finally:
        watching.close()


class Clients:
    """Connections to a console's ``/watch``, a thread each.

    Like a page, each asks for a camera's next picture as soon as it has the last one.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken: list[Counter[str]] = []
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def open(self, address: str) -> None:
        """Connect to the console at an address, leaving an earlier one."""
        self.close()
        self._ended = threading.Event()
        self._taken = [Counter() for _ in range(self._count)]
        self._threads = [
            threading.Thread(target=self._take, args=(address, taken, self._ended), daemon=True)
            for taken in self._taken
        ]
        for thread in self._threads:
            thread.start()

    def pictures(self) -> tuple[int, ...]:
        """By client: pictures so far of the camera of which it has fewest."""
        return tuple(min(taken.values(), default=0) for taken in self._taken)

    def close(self) -> None:
        """Leave."""
        self._ended.set()
        for thread in self._threads:
            thread.join(5.0)

    def _take(self, address: str, taken: Counter[str], ended: threading.Event) -> None:
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect
        from websockets.typing import Origin

        # Of this thread alone: only what nobody else wants of the cores.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        url = address.replace("http", "ws", 1).rstrip("/") + "/watch"
        end = time.monotonic() + PATIENCE
        while not ended.wait(RETRY) and time.monotonic() < end:
            with (
                suppress(OSError, TimeoutError, ConnectionClosed),  # as before it listens
                connect(url, origin=Origin(address.rstrip("/"))) as socket,
            ):
                socket.send(json.dumps({"view": True, "pictures": {}}))
                while not ended.is_set():
                    socket.send(_next_question(socket.recv(PATIENCE), taken))


def _next_question(message: str | bytes, taken: Counter[str]) -> str:
    """Count what was told, and ask for what comes after it."""
    if isinstance(message, str):
        new = {each["name"]: -1.0 for each in json.loads(message)["cameras"]}
        new = {name: after for name, after in new.items() if name not in taken}
        taken.update(dict.fromkeys(new, 0))
        return json.dumps({"view": True, "pictures": new})
    (heard,) = struct.unpack(">d", message[:8])
    name = message[9 : 9 + message[8]].decode()
    taken[name] += 1
    return json.dumps({"view": False, "pictures": {name: heard}})
