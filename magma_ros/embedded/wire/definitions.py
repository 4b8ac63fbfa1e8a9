# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface definitions of the standard packages, and their type hashes.

Messages come from rosbags' store of ROS 2 Jazzy, whose wire format Lyrical shares. rosbags has no
services, so those in use are defined here. A service ``pkg/srv/Name`` is three structures, as in
rosidl: ``Name_Request``, ``Name_Response`` and ``Name_Event``.
"""

from functools import cache
from typing import Any, TypeAlias

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import BaseDesc, Constdefs, Fielddefs, FieldDesc
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

Definition: TypeAlias = tuple[Constdefs, Fielddefs]

EMPTY_MEMBER = "structure_needs_at_least_one_member"
"""The member rosidl gives to a structure without any; it is on the wire but not in Python."""

DEFAULTS: dict[str, dict[str, Any]] = {"geometry_msgs/msg/Quaternion": {"w": 1.0}}
"""Default values other than zero. rosbags leaves defaults out; this is the one in our packages."""

SERVICES = {
    "lifecycle_msgs/srv/ChangeState": (
        "lifecycle_msgs/Transition transition",
        "bool success",
    ),
    "lifecycle_msgs/srv/GetAvailableStates": (
        "",
        "lifecycle_msgs/State[] available_states",
    ),
    "lifecycle_msgs/srv/GetAvailableTransitions": (
        "",
        "lifecycle_msgs/TransitionDescription[] available_transitions",
    ),
    "lifecycle_msgs/srv/GetState": (
        "",
        "lifecycle_msgs/State current_state",
    ),
    "rcl_interfaces/srv/DescribeParameters": (
        "string[] names",
        "rcl_interfaces/ParameterDescriptor[] descriptors",
    ),
    "rcl_interfaces/srv/GetParameterTypes": (
        "string[] names",
        "uint8[] types",
    ),
    "rcl_interfaces/srv/GetParameters": (
        "string[] names",
        "rcl_interfaces/ParameterValue[] values",
    ),
    "rcl_interfaces/srv/ListParameters": (
        "uint64 DEPTH_RECURSIVE=0\nstring[] prefixes\nuint64 depth",
        "rcl_interfaces/ListParametersResult result",
    ),
    "rcl_interfaces/srv/SetParameters": (
        "rcl_interfaces/Parameter[] parameters",
        "rcl_interfaces/SetParametersResult[] results",
    ),
    "rcl_interfaces/srv/SetParametersAtomically": (
        "rcl_interfaces/Parameter[] parameters",
        "rcl_interfaces/SetParametersResult result",
    ),
    "std_srvs/srv/Empty": ("", ""),
    "std_srvs/srv/SetBool": (
        "bool data",
        "bool success\nstring message",
    ),
    "std_srvs/srv/Trigger": (
        "",
        "bool success\nstring message",
    ),
}


@cache
def store() -> Typestore:
    """All definitions, by names such as ``std_msgs/msg/String`` and ``std_srvs/srv/Trigger``."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, (constants, fields) in store.fielddefs.items():
        store.fielddefs[name] = constants, [(field, _as_idl(desc)) for field, desc in fields]
    for name, (request, response) in SERVICES.items():
        store.register(
            {
                f"{name}_Request": _parse(request),
                f"{name}_Response": _parse(response),
                f"{name}_Event": _event(name),
            }
        )
        # Only for its hash: rosidl hashes a service as a structure of these three members.
        store.fielddefs[name] = (
            [],
            [
                ("request_message", (Nodetype.NAME, f"{name}_Request")),
                ("response_message", (Nodetype.NAME, f"{name}_Response")),
                ("event_message", (Nodetype.NAME, f"{name}_Event")),
            ],
        )
    return store


@cache
def type_hash(name: str) -> str:
    """The RIHS01 hash (REP-2016) of a message or service type."""
    return store().hash_rihs01(name)


def _as_idl(desc: FieldDesc) -> FieldDesc:
    """The field as rosidl hashes it: it turns ``char`` into uint8, which rosbags leaves out."""
    octet: BaseDesc = (Nodetype.BASE, ("uint8", 0))
    if desc[0] == Nodetype.BASE:
        return octet if desc[1][0] == "char" else desc
    if desc[0] == Nodetype.NAME:
        return desc
    element, count = desc[1]
    is_char = element[0] == Nodetype.BASE and element[1][0] == "char"
    return desc[0], (octet if is_char else element, count)


def _parse(text: str) -> Definition:
    (definition,) = get_types_from_msg(text, "any_msgs/Any").values()
    return definition


def _event(name: str) -> Definition:
    request: FieldDesc = (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{name}_Request"), 1))
    response: FieldDesc = (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{name}_Response"), 1))
    info: FieldDesc = (Nodetype.NAME, "service_msgs/msg/ServiceEventInfo")
    return [], [("info", info), ("request", request), ("response", response)]
