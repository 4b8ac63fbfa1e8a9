# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records in a thread of its own, so that no disk ever delays the subscriptions."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from magma_ros.episodes.writer import EpisodeWriter
from magma_ros.types import MagmaError

FLUSH_PERIOD = 0.5
"""Longest time between two flushes [s]; what a SIGKILL can take."""

SYNC_PERIOD = 1.0
"""Shortest time between two waits for the disk [s]; what a power cut can take, and a wait more."""

QUEUE_BYTES = 64 << 20
"""Messages that may wait for the disk [bytes]; what comes on top is dropped and counted."""

CLOSE_TIMEOUT = 10.0
"""Longest time that closing waits for the disk [s]."""

END_TIMEOUT = 0.8
"""The same once the process is told to end [s]; nodes are given a second for all that they do."""

LOOK_PERIOD = 0.05
"""Time between two looks at whether the process is told to end [s]."""


class Entry(NamedTuple):
    """One message on its way to the disk; see :meth:`EpisodeWriter.write`."""

    channel: int
    data: bytes
    log_time: int
    publish_time: int


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """How a recording goes.

    Attributes:
        path: The MCAP file.
        messages: Messages written.
        dropped: Messages that came while the queue was full, or after the failure.
        waiting: Messages in the queue [bytes].
        failure: Why nothing is written any more, as a sentence; empty while all is well.
    """

    path: Path
    messages: int
    dropped: int
    waiting: int
    failure: str


class Recording:
    """Hands messages to a writer from a bounded queue; failures end the recording, nothing else.

    Args:
        writer: Where to; it belongs to the recording from now on.
        clock: Steady time [s].
        queue_bytes: See :data:`QUEUE_BYTES`.
    """

    def __init__(
        self,
        writer: EpisodeWriter,
        *,
        clock: Callable[[], float] = time.monotonic,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._limit = queue_bytes
        self._queue: deque[Entry] = deque()
        self._waiting = 0
        self._dropped = 0
        self._failure = ""
        self._closing = False
        self._changed = threading.Condition()
        self._ended = threading.Event()
        descriptor = writer.duplicate()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()
        threading.Thread(
            target=self._sync, args=(descriptor,), name="recording sync", daemon=True
        ).start()

    def put(self, entry: Entry) -> bool:
        """Take one message, unless there is no room; returns whether it was taken."""
        with self._changed:
            size = len(entry.data)
            full = self._queue and self._waiting + size > self._limit
            if full or self._failure or self._closing:
                self._dropped += 1
                return False
            self._queue.append(entry)
            self._waiting += size
            self._changed.notify()
        return True

    @property
    def status(self) -> RecordingStatus:
        """How it goes."""
        with self._changed:
            return RecordingStatus(
                self._writer.path,
                self._writer.messages,
                self._dropped,
                self._waiting,
                self._failure,
            )

    def close(
        self, timeout: float = CLOSE_TIMEOUT, *, ending: Callable[[], bool] = lambda: False
    ) -> RecordingStatus:
        """Write what waits, the index and the metadata; returns how it went.

        Args:
            timeout: Longest time to wait for the disk [s]; what was flushed until then stays
                recoverable.
            ending: Whether the process is told to end, and will be killed if it takes its time;
                from then on the wait is no longer than :data:`END_TIMEOUT`.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        began = self._clock()
        deadline, hurried = began + timeout, False
        while self._thread.is_alive() and (left := deadline - self._clock()) > 0.0:
            if not hurried and ending():
                deadline, hurried = min(deadline, self._clock() + END_TIMEOUT), True
                continue
            self._thread.join(left if hurried else min(left, LOOK_PERIOD))
        if self._thread.is_alive():
            waited = self._clock() - began
            self._fail(f"the disk did not take everything within {waited:.1f} s")
        return self.status

    def _run(self) -> None:
        try:
            self._write_until_closing()
            self._writer.close()
        except OSError as error:
            self._fail(str(error.strerror or error))
        except MagmaError as error:
            self._fail(str(error))
        finally:
            self._ended.set()
            self._writer.abandon()

    def _sync(self, descriptor: int) -> None:
        """Have the disk confirm what was written, beside the writing: it may take seconds."""
        try:
            while not self._ended.wait(SYNC_PERIOD):
                os.fdatasync(descriptor)
        except OSError as error:
            self._fail(str(error.strerror or error))
        finally:
            os.close(descriptor)

    def _write_until_closing(self) -> None:
        flushed = self._clock()
        while True:
            entry = self._next()
            if entry is None and self._closing:
                return
            if entry is not None:
                self._writer.write(
                    entry.channel,
                    entry.data,
                    log_time=entry.log_time,
                    publish_time=entry.publish_time,
                )
            now = self._clock()
            if now - flushed >= FLUSH_PERIOD:
                self._writer.flush()
                flushed = now

    def _next(self) -> Entry | None:
        """The oldest message that waits, or None if none comes for a while."""
        with self._changed:
            if not (self._queue or self._closing):
                self._changed.wait(FLUSH_PERIOD)
            if not self._queue:
                return None
            entry = self._queue.popleft()
            self._waiting -= len(entry.data)
            return entry

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._failure = self._failure or (
                f"the recording {self._writer.path} ends here ({reason}); "
                f"magma episodes recover {self._writer.path} makes a bag of what was written"
            )
            self._dropped += len(self._queue)
            self._queue.clear()
            self._waiting = 0
