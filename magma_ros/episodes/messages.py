# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the messages of a recording: the one place in this room that decodes them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from magma_ros.episodes.bag import FACTS, EpisodeError
from magma_ros.episodes.recover import find_recording
from magma_ros.episodes.times import NANOSECONDS, header_stamp

_FAULTS = (McapError, OSError, struct.error, ValueError, LookupError, OverflowError)
"""What reading a damaged file or message raises."""


STAMPED = {
    "geometry_msgs/msg/PointStamped",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/TwistStamped",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/JointState",
}
"""Types that begin with a header, and whose stamps matter here."""


class DecodeError(EpisodeError):
    """A message is not what its type says."""


@dataclass(frozen=True, slots=True)
class Message:
    """One recorded message.

    Attributes:
        topic: Full name of its topic.
        type: Its type, such as ``std_msgs/msg/String``.
        logged: When the recorder heard it [s].
        sent: The stamp of its header, or when it was heard where it has none [s].
        data: The serialised message (CDR).
    """

    topic: str
    type: str
    logged: float
    sent: float
    data: bytes

    def decode(self) -> Any:
        """The message, with ROS's field names.

        Raises:
            DecodeError: The type is none of ROS 2's standard ones, or the bytes are damaged.
        """
        store = _standard_types()
        if self.type not in store.types:
            raise DecodeError(f"{self.topic} is of type {self.type}, which is no standard one")
        try:
            return store.deserialize_cdr(self.data, self.type)
        except Exception as error:
            # Compiled from the definition, it raises whatever the bytes lead it into.
            raise DecodeError(f"a message on {self.topic} is damaged ({error!r})") from error


class Bag:
    """A recording that is whole, opened to be read.

    Args:
        path: The MCAP file, or the folder of one episode.

    Attributes:
        path: The MCAP file.
        types: Type of each topic that has messages.
        counts: Number of messages of each of them.
        start: When the first message was heard [s].
        end: When the last one was.
        facts: What the recorder knew of the robot, by name; see :data:`~bag.FACTS`.

    Raises:
        EpisodeError: There is no such file, it was cut off, or it is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = find_recording(path)
        summary, self.facts = self._guarded(_index, self.path)
        if summary is None or summary.statistics is None:
            raise EpisodeError(
                f"{self.path} is cut off or damaged; run magma episodes recover {self.path}"
            )
        statistics = summary.statistics
        if not statistics.message_count:
            raise EpisodeError(f"{self.path} holds no message")
        self.start = statistics.message_start_time / NANOSECONDS
        self.end = statistics.message_end_time / NANOSECONDS
        self.types: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        for number, count in statistics.channel_message_counts.items():
            channel = summary.channels.get(number)
            schema = summary.schemas.get(channel.schema_id) if channel else None
            if channel is not None and schema is not None and count:
                self.types[channel.topic] = schema.name
                self.counts[channel.topic] = self.counts.get(channel.topic, 0) + count

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Message]:
        """The messages in the order in which they were heard.

        Args:
            topics: Full names, or None for all.

        Raises:
            EpisodeError: The file is damaged.
        """
        try:
            with self.path.open("rb") as file:
                chosen = None if topics is None else list(topics)
                for schema, channel, message in make_reader(file).iter_messages(chosen):
                    kind = schema.name if schema else ""
                    # rosbag2's publish time is when DDS sent it, not when it was true.
                    stamp = header_stamp(message.data) if kind in STAMPED else None
                    sent = message.log_time if stamp is None else stamp
                    yield Message(
                        channel.topic,
                        kind,
                        message.log_time / NANOSECONDS,
                        sent / NANOSECONDS,
                        message.data,
                    )
        except _FAULTS as error:
            raise _damaged(self.path, error) from error

    @staticmethod
    def _guarded(read: Callable[[Path], Any], path: Path) -> Any:
        try:
            return read(path)
        except _FAULTS as error:
            raise _damaged(path, error) from error


def _index(path: Path) -> tuple[Any, Mapping[str, str]]:
    with path.open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        if summary is None:
            return None, {}
        facts = {}
        for record in reader.iter_metadata():
            if record.name == FACTS:
                facts = dict(record.metadata)
        return summary, facts


def _damaged(path: Path, error: Exception) -> EpisodeError:
    if isinstance(error, OSError):
        return EpisodeError(f"cannot read {path}: {error.strerror or error}")
    return EpisodeError(f"{path} is cut off or damaged; run magma episodes recover {path}")


@cache
def _standard_types() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)
