# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and messages to record."""

import struct

import pytest
from rosbags.typesys import Stores, get_typestore

from magma_ros.episodes.bag import Topic, profile

STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture
def make_topic():
    """A topic of a standard type."""

    def make(name, kind="std_msgs/msg/String", *, latched=False):
        definition, _ = STORE.generate_msgdef(kind, ros_version=2)
        qos = profile(depth=10, reliable=True, latched=latched)
        return Topic(name, kind, definition, STORE.hash_rihs01(kind), (qos,))

    return make


@pytest.fixture
def text():
    """A serialised std_msgs/String."""
    kind = "std_msgs/msg/String"
    return lambda content: bytes(STORE.serialize_cdr(STORE.types[kind](content), kind))


@pytest.fixture
def stamped():
    """The beginning of a serialised message with a header, and some more bytes."""
    return lambda seconds, nanoseconds=0, size=0: (
        b"\0\1\0\0" + struct.pack("<iI", seconds, nanoseconds) + bytes(size)
    )
