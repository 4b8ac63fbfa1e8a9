# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes one MCAP file that can be read at any moment up to its last flush."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, cast

from mcap.writer import CompressionType, Writer

from magma_ros import __version__
from magma_ros.episodes.bag import FACTS, METADATA, EpisodeError, Topic, bag_information, dump
from magma_ros.files import whole

CHUNK_BYTES = 1 << 20
"""Messages are grouped in chunks of about this size, or of one message if it is larger [bytes]."""


class EpisodeWriter:
    """Writes messages as a bag into an empty folder.

    Nothing stays in the process but the chunk in progress: what :meth:`flush` has written survives
    any end of it. When writing fails, the file is cut back to the last whole record and closed.

    Args:
        folder: An empty folder, which becomes the bag.
        facts: What is known of the robot, by name; see :data:`FACTS`.

    Attributes:
        path: The MCAP file.
        messages: Messages taken so far.

    Raises:
        EpisodeError: The file cannot be made.
    """

    def __init__(self, folder: Path, facts: Mapping[str, str] = MappingProxyType({})) -> None:
        self.path = folder / f"{folder.name}_0.mcap"
        self.messages = 0
        self._topics: dict[int, Topic] = {}
        self._counts: dict[int, int] = {}
        self._schemas: dict[str, int] = {}
        self._start: int | None = None
        self._end = 0
        try:
            self._file = _WholeRecords(self.path)
            self._writer = Writer(
                cast("IO[Any]", self._file),
                chunk_size=CHUNK_BYTES,
                compression=CompressionType.NONE,
                enable_crcs=True,
            )
            self._writer.start(profile="ros2", library=f"magma_ros {__version__}")
            self.note(facts)
        except OSError as error:
            raise EpisodeError(f"cannot record into {folder}: {error.strerror}") from error

    def note(self, facts: Mapping[str, str]) -> None:
        """Write what is known of the robot, if anything is.

        Raises:
            OSError: The disk is full or broken.
        """
        if facts:
            self._writer.add_metadata(FACTS, dict(facts))

    def add(self, topic: Topic) -> int:
        """Make a topic known; returns the number under which its messages are written."""
        if topic.type not in self._schemas:
            data = topic.definition.encode()
            number = self._writer.register_schema(topic.type, topic.encoding, data)
            self._schemas[topic.type] = number
        channel = self._writer.register_channel(
            topic=topic.name,
            message_encoding="cdr",
            schema_id=self._schemas[topic.type],
            metadata=topic.channel_metadata(),
        )
        self._topics[channel], self._counts[channel] = topic, 0
        return channel

    def write(
        self, channel: int, data: bytes, *, log_time: int, publish_time: int, sequence: int = 0
    ) -> None:
        """Take one message; it is on disk after the next :meth:`flush` at the latest.

        Args:
            channel: What :meth:`add` returned.
            data: The serialised message.
            log_time: When it was received [ns].
            publish_time: When it was sent, as far as is known [ns].
            sequence: Its number among those of the topic, 0 if unknown.

        Raises:
            OSError: The disk is full or broken; see the class about the file.
        """
        self._writer.add_message(
            channel, log_time=log_time, data=data, publish_time=publish_time, sequence=sequence
        )
        self.messages += 1
        self._counts[channel] += 1
        self._start = log_time if self._start is None else min(self._start, log_time)
        self._end = max(self._end, log_time)

    def flush(self) -> None:
        """Hand the chunk in progress to the operating system.

        Raises:
            OSError: The disk is full, or the file was removed.
        """
        self._writer.flush()  # type: ignore[no-untyped-call]
        self._file.require_present()

    def close(self) -> None:
        """Write index and metadata; the folder is a whole bag then.

        Raises:
            OSError: The disk is full or broken; what was flushed can be recovered.
            MagmaError: The metadata cannot be written.
        """
        topics = [(topic, self._counts[channel]) for channel, topic in self._topics.items()]
        content = bag_information(self.path.name, topics, self._start or 0, self._end)
        self._writer.add_metadata("rosbag2", {"serialized_metadata": dump(content)})
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.require_present()
        self._file.close()
        with whole(self.path.parent / METADATA) as draft:
            draft.write_text(dump({"rosbag2_bagfile_information": content}), encoding="utf-8")

    def duplicate(self) -> int:
        """Another descriptor of the file, to wait for the disk with; the caller closes it."""
        return self._file.duplicate()

    def abandon(self) -> None:
        """Close the file as it is, without an index."""
        self._file.close()


class _WholeRecords:
    """An unbuffered file that is cut back to the last whole record when a write fails.

    The MCAP library hands over one or several whole records at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = path.open("xb", buffering=0)
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write all of it, or nothing.

        Raises:
            OSError: The disk is full or broken.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._raw.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._raw.truncate(self._size)
            self.close()
            raise
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def flush(self) -> None:
        """Nothing waits here."""

    def duplicate(self) -> int:
        """Another descriptor of the open file."""
        return os.dup(self._raw.fileno())

    def require_present(self) -> None:
        """Make sure that what was written can still be found under its name.

        Raises:
            OSError: The file was removed or replaced.
        """
        if not os.path.samestat(os.fstat(self._raw.fileno()), self._path.stat()):
            raise FileNotFoundError(errno.ENOENT, "the file was replaced", str(self._path))

    def close(self) -> None:
        """Give the file back; may be called twice."""
        self._raw.close()
