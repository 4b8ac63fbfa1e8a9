# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to CDR and back, by rosbags' compiled serialisers."""

from functools import cache
from typing import Any, NoReturn, cast

from rosbags.interfaces import Msgdef
from rosbags.serde import SerdeError
from rosbags.serde.cdr import generate_deserialize_cdr, generate_getsize_cdr, generate_serialize_cdr
from rosbags.typesys.store import Typestore

from magma_ros.embedded.wire.definitions import store
from magma_ros.embedded.wire.messages import Message, decoder, type_name

__all__ = ["HEADER_SIZE", "SerdeError", "deserialize", "serialize"]

HEADER_SIZE = 4
"""The bytes of encapsulation before the CDR itself."""


class CdrStore(Typestore):
    """A type store that reads and writes the slots of our own message classes.

    Only CDR is compiled: rosbags' own store also compiles ROS 1, at several times the cost.
    """

    def get_msgdef(self, typename: str) -> Msgdef[object]:
        """The compiled functions of one type, made when first used."""
        if typename not in self.cache:
            fields = [(f"_{name}", desc) for name, desc in self.fielddefs[typename][1]]
            size_function, size = generate_getsize_cdr(fields, self)
            self.cache[typename] = Msgdef(
                typename,
                fields,
                cast("type", decoder(typename)),
                size,
                size_function,
                generate_serialize_cdr(fields, self, "le"),
                _unused,
                generate_deserialize_cdr(fields, self, "le"),
                generate_deserialize_cdr(fields, self, "be"),
                0,
                *[_unused] * 7,
            )
        return self.cache[typename]


@cache
def _cdr_store() -> CdrStore:
    made = CdrStore()
    made.fielddefs = store().fielddefs
    return made


def serialize(message: Message) -> bytes:
    """The message as CDR, with its encapsulation header."""
    return bytes(_cdr_store().serialize_cdr(message, type_name(type(message)), little_endian=True))


def deserialize(data: bytes, name: str) -> Message:
    """The message of the named type that ``data`` holds.

    Raises:
        SerdeError: The data are not such a message; for example, a text is not UTF-8.
    """
    try:
        return cast("Message", _cdr_store().deserialize_cdr(memoryview(data), name))
    except UnicodeDecodeError as error:  # what rosbags 0.11.0 lets through
        raise SerdeError(f"a text is not UTF-8: {error}") from error


def _unused(*_: Any) -> NoReturn:
    raise NotImplementedError("only little-endian CDR is written, and no ROS 1")
