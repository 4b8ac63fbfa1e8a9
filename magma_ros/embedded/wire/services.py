# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two topics of a service, in rmw_cyclonedds_cpp's way.

Requests and replies carry a header of 16 bytes before the message: the instance handle of the
client's request writer, and a sequence number. All clients of a service hear all replies and
pick theirs. User data ties the reader and the writer of one server, or of one client, together.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any, NamedTuple, Self

from magma_ros.embedded.wire import codec, names
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.entities import Participant, Reader, Writer, user_data_value
from magma_ros.embedded.wire.qos import WireQos

_HEADER = struct.Struct("<qq")
_numbers = itertools.count(1)


class Header(NamedTuple):
    """Which request of which client this is, or is the reply to."""

    writer: int
    sequence: int


class ServiceEndpoints:
    """The writer and the reader of a server or of a client."""

    def __init__(self, writer: Writer, reader: Reader, receives: str) -> None:
        """Join two endpoints; ``receives`` is the type of the messages that the reader takes."""
        self.writer = writer
        self.reader = reader
        self._receives = receives

    @classmethod
    def for_server(cls, participant: Participant, name: str, srv: str, qos: WireQos) -> Self:
        """The endpoints of a server; the service's full name and its type's name are given."""
        own = qos.for_endpoint(_identity(participant, "serviceid", srv))
        writer = Writer(participant, names.reply_on_dds(name), f"{srv}_Response", own)
        reader = Reader(participant, names.request_on_dds(name), f"{srv}_Request", own)
        return cls(writer, reader, f"{srv}_Request")

    @classmethod
    def for_client(cls, participant: Participant, name: str, srv: str, qos: WireQos) -> Self:
        """The endpoints of a client; the service's full name and its type's name are given."""
        own = qos.for_endpoint(_identity(participant, "clientid", srv))
        writer = Writer(participant, names.request_on_dds(name), f"{srv}_Request", own)
        reader = Reader(participant, names.reply_on_dds(name), f"{srv}_Response", own)
        return cls(writer, reader, f"{srv}_Response")

    def send(self, header: Header, message: Any) -> None:
        """Send a request or a reply."""
        data = codec.serialize(message)
        start, body = data[: codec.HEADER_SIZE], data[codec.HEADER_SIZE :]
        self.writer.write_bytes(b"".join((start, _HEADER.pack(*header), body)))

    def take(self) -> tuple[Header, Any, int] | None:
        """The next request or reply: its header, the message, and its publication's handle."""
        sample = self.reader.take_bytes()
        if sample is None:
            return None
        data, info = sample
        header = Header(*_HEADER.unpack_from(data, codec.HEADER_SIZE))
        start, body = data[: codec.HEADER_SIZE], data[codec.HEADER_SIZE + _HEADER.size :]
        message = codec.deserialize(start + body, self._receives)
        return header, message, info.publication_handle

    def server_is_matched(self) -> bool:
        """For a client: whether some server both hears its requests and can be heard."""
        hearing = [user_data_value(d, "serviceid") for d in self.writer.matched_user_data()]
        heard = [user_data_value(d, "serviceid") for d in self.reader.matched_user_data()]
        identified = {server for server in hearing if server}
        return bool(identified.intersection(heard)) if identified else bool(hearing and heard)

    def close(self) -> None:
        """Delete both endpoints."""
        self.writer.close()
        self.reader.close()


def _identity(participant: Participant, key: str, srv: str) -> str:
    """User data that tells this server or client from all others, and its type's hash."""
    unique = participant.gid[:12] + next(_numbers).to_bytes(4, "big")
    dotted = ".".join(f"{byte:x}" for byte in unique)
    return f"{key}={dotted};typehash={type_hash(srv)};"
