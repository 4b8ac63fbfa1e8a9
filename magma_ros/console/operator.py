# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A program at the console in a person's place: the frames that the page's script sends.

For scripted demonstrations and for trying what follows when an operator fails. A console that asks
for a token is not logged into.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from magma_ros.console.frames import PROTOCOL
from magma_ros.console.robot import JogFrame, Verb
from magma_ros.types import Answer, MagmaError

PERIOD = 0.04
"""Time between two frames of motion [s], as in the page's script."""

PATIENCE = 3.0
"""Longest wait for an answer [s]."""


class OperatorError(MagmaError):
    """The console cannot be reached, or does not answer."""


class Operator:
    """One connection to a console.

    Args:
        url: Of the console, for example ``http://127.0.0.1:8080``.
        name: By which others see who holds the lease.

    Attributes:
        lease: Who holds it, as the console last said.
        top_speeds: Speeds of a share of 1, linear [m/s] and angular [rad/s]; known before any
            request is answered.

    Raises:
        OperatorError: The console cannot be reached.
    """

    def __init__(self, url: str, name: str) -> None:
        address = url.replace("http", "ws", 1).rstrip("/") + "/link"
        self._closing = contextlib.ExitStack()
        try:
            self._socket: ClientConnection = self._closing.enter_context(
                connect(address, origin=Origin(url.rstrip("/")))
            )
        except (OSError, WebSocketException) as error:
            raise OperatorError(f"there is no console at {url} ({error}); start it") from error
        self._ids, self._seq, self._holds = itertools.count(1), itertools.count(1), 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._jog: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.lease: dict[str, Any] = {}
        self.top_speeds = (0.0, 0.0)
        self._send({"type": "hello", "protocol": PROTOCOL, "name": name})
        for act in (self._listen, self._stream):
            threading.Thread(target=act, daemon=True).start()

    def close(self) -> None:
        """Leave."""
        self._ended.set()
        self._closing.close()

    def request(self, verb: Verb) -> Answer:
        """Ask the guard."""
        return self._ask({"type": "verb", "verb": verb.value})

    def instruct(self, text: str) -> Answer:
        """Tell the robot what to do."""
        return self._ask({"type": "instruct", "text": text})

    def record(self, *, on: bool) -> Answer:
        """Begin or end an episode."""
        return self._ask({"type": "record", "on": on})

    def label(self, verdict: str, note: str = "") -> Answer:
        """Label an episode."""
        return self._ask({"type": "label", "verdict": verdict, "note": note})

    def take_lease(self) -> Answer:
        """Ask for the right to drive."""
        return self._ask({"type": "lease", "wish": "ask"})

    def hold(
        self,
        twist: Sequence[float],
        gripper: float | None = None,
        frame: JogFrame = JogFrame.BASE,
    ) -> None:
        """Hold keys from now on: shares of the top speeds, linear then angular, -1 to 1 each."""
        with self._lock:
            if self._jog is None:
                self._holds += 1
            self._jog = {
                "type": "jog",
                "hold": self._holds,
                "frame": frame.value,
                "twist": list(twist),
                "gripper": gripper,
            }

    def let_go(self) -> None:
        """Hold nothing any more."""
        with self._lock:
            self._jog = None
            self._send({"type": "release"} | self._now())

    # What goes over the wire

    def _lose(self, hold: int) -> None:
        """The console took no more motion of this hold; the next one is a new press."""
        with self._lock:
            if self._jog is not None and self._jog["hold"] == hold:
                self._jog = None

    def _ask(self, frame: dict[str, Any]) -> Answer:
        number = next(self._ids)
        self._send(frame | {"id": number})
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0.0:
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=left)
                if answer["id"] == number:
                    return Answer(answer["accepted"], answer["sentence"])
        raise OperatorError(f"the console did not answer {frame['type']} within {PATIENCE:g} s")

    def _now(self) -> dict[str, Any]:
        return {"seq": next(self._seq), "at": time.monotonic()}

    def _send(self, frame: dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(frame))
        except (ConnectionClosed, OSError) as error:
            raise OperatorError(f"the console has left: {error}") from error

    def _stream(self) -> None:
        while not self._ended.wait(PERIOD):
            with self._lock, contextlib.suppress(OperatorError):
                if self._jog is not None:
                    self._send(self._jog | self._now())

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed, OperatorError):
            for text in self._socket:
                frame = json.loads(text)
                match frame["type"]:
                    case "ping":
                        self._send({"type": "pong", "id": frame["id"], "at": time.monotonic()})
                    case "answer":
                        self._answers.put(frame)
                    case "welcome":
                        self.top_speeds = (frame["linear_speed"], frame["angular_speed"])
                    case "over":
                        self._lose(frame["hold"])
                    case "state":
                        self.lease = frame["lease"]
