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
from cyclonedds.idl._support import Endianness
from cyclonedds.idl._typesupport.DDS.XTypes import TypeInformation, TypeMapping
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
    described = _structure(name).__idl__ if "/msg/" in name else HeaderedType(name)
    return type("Payload", (Payload,), {"__slots__": (), "__idl__": described})


def dds_type_name(name: str) -> str:
    """``std_msgs/msg/String`` as DDS calls it: ``std_msgs::msg::dds_::String_``."""
    package, kind, short = name.split("/")
    return f"{package}::{kind}::dds_::{short}_"


@cache
def _structure(name: str) -> type[IdlStruct]:
    members = {member: _member(desc) for member, desc in store().fielddefs[name][1]}
    return _make(dds_type_name(name), members)


class HeaderedType:
    """The type of requests or responses, which have a header on the wire.

    rmw_cyclonedds_cpp announces the type without the header. Cyclone DDS compares announced types
    by their minimal form, and checks the samples of Python programs by their complete form. So
    this type announces the minimal form without the header and the complete form with it. It has
    the attributes that ``Topic`` and Cyclone DDS's native layer ask of ``IdlStruct.__idl__``.
    """

    def __init__(self, name: str) -> None:
        """Describe a type such as ``std_srvs/srv/Trigger_Request``."""
        bare = _structure(name).__idl__
        members = {member: _member(desc) for member, desc in store().fielddefs[name][1]}
        header = {"client": uint64, "sequence": int64}
        full = _make(dds_type_name(name), header | members).__idl__
        full.populate()
        self.idl_transformed_typename = full.idl_transformed_typename
        self.data_type_props = full.data_type_props
        self.supported_versions = full.supported_versions
        bare_info, full_info = bare.get_type_info(), full.get_type_info()
        bare_map, full_map = bare.get_type_mapping(), full.get_type_mapping()
        info = TypeInformation(minimal=bare_info.minimal, complete=full_info.complete)
        mapping = TypeMapping(
            identifier_object_pair_minimal=bare_map.identifier_object_pair_minimal,
            identifier_object_pair_complete=full_map.identifier_object_pair_complete,
            identifier_complete_minimal=bare_map.identifier_complete_minimal,
        )
        self._xt_bytedata = (_serialized(info), _serialized(mapping))

    def populate(self) -> None:
        """Nothing is left to do."""

    fill_type_data = populate


def _serialized(described: Any) -> bytes:
    data: bytes = described.serialize(endianness=Endianness.Little, use_version_2=True)
    return data[4:]  # without the encapsulation header


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
