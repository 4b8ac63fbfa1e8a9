# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DDS type of a message: its XTypes description, built from the definition.

Cyclone DDS and newer Fast DDS compare these descriptions before they connect a writer to a
reader, so they follow what both ROS 2 middlewares announce: final structures named
``pkg::msg::dds_::Name_``, members named as in the definition, ``byte`` and ``char`` as uint8.
"""

from functools import cache
from typing import Any, Self

from cyclonedds.idl import IdlStruct, make_idl_struct
from cyclonedds.idl.types import (
    array,
    bounded_str,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    sequence,
    uint8,
    uint16,
    uint32,
    uint64,
)
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc

from magma_ros.embedded.wire.definitions import store

BASE_TYPES: dict[str, Any] = {
    "bool": bool,
    "byte": uint8,
    "char": uint8,
    "float32": float32,
    "float64": float64,
    "int8": int8,
    "int16": int16,
    "int32": int32,
    "int64": int64,
    "uint8": uint8,
    "uint16": uint16,
    "uint32": uint32,
    "uint64": uint64,
}


class Payload:
    """A sample that is its own serialised form.

    This is what Cyclone DDS is given in place of its generated classes, which turn every sequence
    into a Python list. Subclasses carry the type's description as ``__idl__``.
    """

    __slots__ = ("data", "sample_info")

    def __init__(self, data: bytes) -> None:
        """Keep ``data``: the encapsulation header and the CDR."""
        self.data = data

    def serialize(self, **_: object) -> bytes:
        """What goes on the wire."""
        return self.data

    @classmethod
    def deserialize(cls, data: bytes, **_: object) -> Self:
        """What came from the wire."""
        return cls(data)

    deserialize_key = deserialize


@cache
def payload_class(name: str) -> type[Payload]:
    """The data class for topics of a message type such as ``std_msgs/msg/String``."""
    structure = _structure(name) if "/msg/" in name else _with_header(name)
    return type("Payload", (Payload,), {"__slots__": (), "__idl__": structure.__idl__})


def dds_type_name(name: str) -> str:
    """``std_msgs/msg/String`` as DDS calls it: ``std_msgs::msg::dds_::String_``."""
    package, kind, short = name.split("/")
    return f"{package}::{kind}::dds_::{short}_"


@cache
def _structure(name: str) -> type[IdlStruct]:
    members = {member: _member(desc) for member, desc in store().fielddefs[name][1]}
    return _make(dds_type_name(name), members)


@cache
def _with_header(name: str) -> type[IdlStruct]:
    """A request or response type, after the header that rmw_cyclonedds_cpp puts before it."""
    header = {"client": uint64, "sequence": int64}
    members = {member: _member(desc) for member, desc in store().fielddefs[name][1]}
    return _make(dds_type_name(name), header | members)


def _make(type_name: str, members: dict[str, Any]) -> type[IdlStruct]:
    dotted = type_name.replace("::", ".")
    short = dotted.rpartition(".")[2]
    structure: type[IdlStruct] = make_idl_struct(short, dotted, members, dataclassify=False)
    return structure


def _member(desc: FieldDesc) -> Any:
    if desc[0] == Nodetype.NAME:
        return _structure(desc[1])
    if desc[0] == Nodetype.BASE:
        base, bound = desc[1]
        if base == "string":
            return bounded_str[bound] if bound else str
        return BASE_TYPES[base]
    element, count = desc[1]
    if desc[0] == Nodetype.ARRAY:
        return array[_member(element), count]
    return sequence[_member(element), count] if count else sequence[_member(element)]
