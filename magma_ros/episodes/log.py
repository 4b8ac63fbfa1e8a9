# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes messages as they are received, gives each its times, and counts what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from magma_ros.episodes.bag import Topic
from magma_ros.episodes.recording import CLOSE_TIMEOUT, Entry, Recording, RecordingStatus
from magma_ros.episodes.times import GapCounter, LogClock, header_stamp
from magma_ros.episodes.writer import EpisodeWriter

HELD = 1000
"""Most latched messages that are kept until simulated time begins."""


@dataclass(frozen=True, slots=True)
class Source:
    """A topic that is subscribed.

    Attributes:
        topic: The topic.
        stamped: Whether its messages begin with a ``std_msgs/Header``.
        latched: Whether it holds facts that are given to late joiners too; they may be received
            twice.
        steady: Whether its messages come at a steady rate, so that gaps can be counted.
    """

    topic: Topic
    stamped: bool
    latched: bool
    steady: bool


@dataclass(frozen=True, slots=True)
class LogStatus:
    """How a recording goes.

    Attributes:
        recording: What became of the messages received.
        early: Messages received before simulated time began, and left out.
        missing: Estimate of the messages missing, by topic, where there are any.
        silent: Topics that should come at a steady rate and have not been received yet.
    """

    recording: RecordingStatus
    early: int
    missing: dict[str, int]
    silent: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Messages that should be in the recording and are not."""
        return self.recording.dropped + sum(self.missing.values())


@dataclass(slots=True)
class _Channel:
    """What is known of a source while recording."""

    source: Source
    number: int
    heard: deque[int] = field(default_factory=lambda: deque(maxlen=100))
    gaps: GapCounter = field(default_factory=GapCounter)
    count: int = 0


class EpisodeLog:
    """One episode, from the first message received to the last.

    Args:
        folder: An empty folder, which becomes the bag.
        sources: Topics to be recorded.
        clock: Time at which something is received.
        facts: What is known of the robot, by name; see :data:`~bag.FACTS`.

    Raises:
        EpisodeError: The file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        clock: LogClock,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        writer = EpisodeWriter(folder, facts)
        self._channels = [_Channel(source, writer.add(source.topic)) for source in sources]
        self._recording = Recording(writer)
        self._clock = clock
        self._held: deque[tuple[_Channel, bytes]] = deque(maxlen=HELD)
        self._early = 0

    def hear(self, index: int, data: bytes, sent: int = 0) -> None:
        """Take one message.

        Args:
            index: Of its source.
            data: The serialised message.
            sent: When DDS says that it was sent [ns], or 0; identifies repetitions of latched ones.
        """
        channel = self._channels[index]
        if channel.source.latched and sent:
            if sent in channel.heard:
                return
            channel.heard.append(sent)
        channel.count += 1
        now = self._clock.now()
        if now is None:
            if channel.source.latched:
                self._held.append((channel, data))
            else:
                self._early += 1
            return
        self._release(now)
        self._put(channel, data, now)

    @property
    def status(self) -> LogStatus:
        """How it goes."""
        return self._status(self._recording.status)

    def close(
        self, timeout: float = CLOSE_TIMEOUT, *, ending: Callable[[], bool] = lambda: False
    ) -> LogStatus:
        """End the recording, and return its summary; see :meth:`Recording.close`."""
        self._release(self._clock.now() or 0)
        return self._status(self._recording.close(timeout, ending=ending))

    def _status(self, recording: RecordingStatus) -> LogStatus:
        counts = {c.source.topic.name: c.gaps.missing for c in self._channels if c.gaps.missing}
        steady = [channel for channel in self._channels if channel.source.steady]
        silent = tuple(c.source.topic.name for c in steady if c.count == 0)
        return LogStatus(recording, self._early, counts, silent)

    def _release(self, now: int) -> None:
        """Record what waited for simulated time to begin."""
        while self._held:
            channel, data = self._held.popleft()
            self._put(channel, data, now)

    def _put(self, channel: _Channel, data: bytes, now: int) -> None:
        stamp = header_stamp(data) if channel.source.stamped else None
        if channel.source.steady and stamp is not None:
            channel.gaps.add(stamp)
        self._recording.put(Entry(channel.number, data, now, now if stamp is None else stamp))
