# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS names: expansion, validation, and their form on DDS.

The rules are those of https://design.ros2.org/articles/topic_and_service_names.html.
"""

import re

TOPIC_PREFIX = "rt"
REQUEST_PREFIX, REQUEST_SUFFIX = "rq", "Request"
REPLY_PREFIX, REPLY_SUFFIX = "rr", "Reply"

_TOKEN = "[A-Za-z_][A-Za-z0-9_]*"  # noqa: S105 - a token of a name
_NODE_NAME = re.compile(_TOKEN)
_NAMESPACE = re.compile(f"/|(/{_TOKEN})+")
_FULL_NAME = re.compile(f"(/{_TOKEN})+")
_GIVEN_NAME = re.compile(f"(~/|/)?{_TOKEN}(/{_TOKEN})*|~")


def is_node_name(name: str) -> bool:
    """Whether a node may be called so."""
    return _NODE_NAME.fullmatch(name) is not None


def is_namespace(namespace: str) -> bool:
    """Whether it is an absolute namespace."""
    return _NAMESPACE.fullmatch(namespace) is not None


def is_given_name(name: str) -> bool:
    """Whether a topic or service may be given so: relative, private (``~/``) or absolute."""
    return _GIVEN_NAME.fullmatch(name) is not None


def is_full_name(name: str) -> bool:
    """Whether it is the full name of a topic or service."""
    return _FULL_NAME.fullmatch(name) is not None and "__" not in name


def join(namespace: str, name: str) -> str:
    """The absolute name of something in a namespace."""
    return f"{namespace.rstrip('/')}/{name}"


def expand(name: str, node_name: str, namespace: str) -> str:
    """The absolute form of a relative, private or absolute name."""
    if name.startswith("/"):
        return name
    if name == "~" or name.startswith("~/"):
        return join(namespace, node_name) + name[1:]
    return join(namespace, name)


def topic_on_dds(name: str) -> str:
    """The DDS topic of a ROS topic."""
    return TOPIC_PREFIX + name


def request_on_dds(name: str) -> str:
    """The DDS topic that carries the requests of a service."""
    return f"{REQUEST_PREFIX}{name}{REQUEST_SUFFIX}"


def reply_on_dds(name: str) -> str:
    """The DDS topic that carries the replies of a service."""
    return f"{REPLY_PREFIX}{name}{REPLY_SUFFIX}"


def topic_from_dds(name: str) -> str | None:
    """The ROS topic that a DDS topic carries, if it carries one."""
    return name.removeprefix(TOPIC_PREFIX) if name.startswith(f"{TOPIC_PREFIX}/") else None


def service_from_dds(name: str) -> str | None:
    """The ROS service whose requests or replies a DDS topic carries, if any."""
    for prefix, suffix in ((REQUEST_PREFIX, REQUEST_SUFFIX), (REPLY_PREFIX, REPLY_SUFFIX)):
        if name.startswith(f"{prefix}/") and name.endswith(suffix):
            return name.removeprefix(prefix).removesuffix(suffix)
    return None


def type_from_dds(name: str) -> str | None:
    """The ROS name of a DDS type such as ``std_msgs::msg::dds_::String_``, if it is one."""
    parts = name.removesuffix("_").split("::")
    if len(parts) != 4 or parts[2] != "dds_":
        return None
    return f"{parts[0]}/{parts[1]}/{parts[3]}"
