# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a whole bag of a recording that was cut off or damaged; the original is only read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from magma_ros import documents
from magma_ros.episodes.bag import FACTS, EpisodeError, Topic
from magma_ros.episodes.writer import EpisodeWriter

RECORD_HEADER = 9
"""Opcode and length of a record [bytes] (MCAP specification, version 0)."""

LONGEST_RECORD = 1 << 30
"""A length beyond this is taken for damage [bytes]."""

_DAMAGE = (
    McapError,
    struct.error,
    zstandard.ZstdError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)
"""What reading a damaged record raises."""


@dataclass(slots=True)
class Recovery:
    """What became of a recording.

    Attributes:
        folder: The whole bag that was made.
        messages: Messages in it.
        lost: Messages that are known to be in the original and could not be read.
        unread: Bytes at its end that hold no whole message; later messages never reached the disk.
        whole: Whether the original had its index, so that nothing was cut off.
    """

    folder: Path
    messages: int = 0
    lost: int = 0
    unread: int = 0
    whole: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"folder": str(self.folder)}


def find_recording(path: Path) -> Path:
    """The MCAP file that is meant by a file or by the folder of an episode.

    Raises:
        EpisodeError: There is none, or there are several.
    """
    if path.is_file():
        return path
    found = sorted(path.glob("*.mcap"))
    if len(found) != 1:
        problem = "does not exist" if not path.exists() else f"holds {len(found)} MCAP files"
        raise EpisodeError(f"{path} {problem}; give one MCAP file or the folder of one episode")
    return found[0]


def default_folder(recording: Path) -> Path:
    """Where the bag goes by default: beside the episode, or beside the lone file."""
    folder, name = recording.parent, recording.stem.removesuffix("_0")
    beside = folder.parent if folder.name == name else folder
    return beside / f"{name}_recovered"


def recover(
    recording: Path, folder: Path, advance: Callable[[int], object] = lambda _: None
) -> Recovery:
    """Write everything readable of a recording as a whole, indexed bag.

    Args:
        recording: The MCAP file.
        folder: The bag to make; must not exist.
        advance: Called with the bytes read since the last call.

    Raises:
        EpisodeError: The file is no MCAP file, holds no message, or the bag cannot be written.
    """
    if folder.exists():
        raise EpisodeError(f"{folder} exists already; name another folder with --out")
    result = Recovery(folder)
    writer: EpisodeWriter | None = None
    try:
        with recording.open("rb") as source:
            if source.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
                raise EpisodeError(f"{recording} is no MCAP file, or its first bytes are damaged")
            reader = _Reader(result)
            for channel, schema, message in reader.messages(source, advance):
                if writer is None:
                    folder.mkdir(parents=True)
                    writer = EpisodeWriter(folder, reader.facts)
                    copier = _Copier(writer)
                copier.write(channel, schema, message)
        if writer is None:
            raise EpisodeError(f"{recording} holds no whole message; nothing can be recovered")
        writer.close()
    except OSError as error:
        reason = error.strerror or error
        raise EpisodeError(f"cannot recover {recording} into {folder}: {reason}") from error
    finally:
        if writer is not None:
            writer.abandon()
    result.messages = writer.messages
    return result


@dataclass(slots=True)
class _Copier:
    """Writes messages under the topics that their channels describe."""

    writer: EpisodeWriter
    numbers: dict[str, int] = field(default_factory=dict)

    def write(self, channel: Channel, schema: Schema | None, message: Message) -> None:
        """Write one message, and describe its topic before the first of it."""
        topic = channel.topic
        if topic not in self.numbers:
            self.numbers[topic] = self.writer.add(_topic(channel, schema))
        self.writer.write(
            self.numbers[topic],
            message.data,
            log_time=message.log_time,
            publish_time=message.publish_time,
            sequence=message.sequence,
        )


def _topic(channel: Channel, schema: Schema | None) -> Topic:
    try:
        profiles = documents.parse_yaml(channel.metadata.get("offered_qos_profiles", ""))
    except documents.DocumentError:
        profiles = None
    usable = profiles if isinstance(profiles, list) else []
    return Topic(
        name=channel.topic,
        type=schema.name if schema else "",
        definition=schema.data.decode(errors="replace") if schema else "",
        hash=channel.metadata.get("topic_type_hash", ""),
        profiles=tuple(entry for entry in usable if isinstance(entry, dict)),
        encoding=schema.encoding if schema else "",
    )


class _Reader:
    """Reads every whole message, whatever is wrong around it, and counts what cannot be read."""

    def __init__(self, result: Recovery) -> None:
        self._result = result
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self.facts: dict[str, str] = {}  # they stand before the first message
        self._skipping = False  # the last chunk is damaged: its message indexes name what is lost

    def messages(
        self, source: BinaryIO, advance: Callable[[int], object]
    ) -> Iterator[tuple[Channel, Schema | None, Message]]:
        """Messages with their channels and schemas, in the order of the file."""
        for opcode, body, complete in _records(source, advance):
            if not complete and opcode != Opcode.CHUNK:
                self._result.unread = RECORD_HEADER + len(body)
                return
            if opcode == Opcode.CHUNK:
                yield from self._chunk(body, complete=complete)
            elif opcode == Opcode.MESSAGE_INDEX:
                if self._skipping:
                    # channel, length of the array, then log time and offset of every message
                    self._result.lost += max(0, len(body) - 6) // 16
            elif opcode == Opcode.FOOTER:
                self._result.whole = True
                return
            else:
                yield from self._take(opcode, body)

    def _chunk(
        self, body: bytes, *, complete: bool
    ) -> Iterator[tuple[Channel, Schema | None, Message]]:
        content = _unpack(body, complete=complete)
        self._skipping = content is None
        if content is None:
            return
        for opcode, record, whole in _records(BytesIO(content), lambda _: None):
            if whole:
                yield from self._take(opcode, record)
            else:
                self._result.unread = RECORD_HEADER + len(record)
                self._result.lost += opcode == Opcode.MESSAGE

    def _take(self, opcode: int, body: bytes) -> Iterator[tuple[Channel, Schema | None, Message]]:
        try:
            if opcode == Opcode.SCHEMA:
                schema = Schema.read(_stream(body))
                self._schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = Channel.read(_stream(body))
                self._channels[channel.id] = channel
            elif opcode == Opcode.METADATA:
                metadata = Metadata.read(_stream(body))
                if metadata.name == FACTS:
                    self.facts = dict(metadata.metadata)
            elif opcode == Opcode.MESSAGE:
                message = Message.read(_stream(body), len(body))
                channel = self._channels[message.channel_id]
                yield channel, self._schemas.get(channel.schema_id), message
        except _DAMAGE:
            self._result.lost += opcode == Opcode.MESSAGE


def _records(
    source: BinaryIO, advance: Callable[[int], object]
) -> Iterator[tuple[int, bytes, bool]]:
    """Opcode and body of every record, and whether the body is all there."""
    while len(header := source.read(RECORD_HEADER)) == RECORD_HEADER:
        opcode, length = struct.unpack("<BQ", header)
        body = source.read(min(length, LONGEST_RECORD))
        advance(RECORD_HEADER + len(body))
        yield opcode, body, len(body) == length
        if len(body) < length:
            return


def _unpack(body: bytes, *, complete: bool) -> bytes | None:
    """The records inside a chunk, as far as they are there; None if it is damaged."""
    try:
        chunk = Chunk.read(_stream(body))
        if not complete:
            return None if chunk.compression else chunk.data
        content, size = get_chunk_data_stream(chunk, validate_crc=True)
        return content.read(size)
    except _DAMAGE:
        return None


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))
