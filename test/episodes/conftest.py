# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and messages to record."""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from magma_ros.episodes.bag import Topic, profile
from magma_ros.episodes.writer import EpisodeWriter

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


START = 1_700_000_000.0
"""When made-up episodes begin [s]."""


@dataclass
class Scene:
    """A made-up episode: a robot in a namespace whose messages are given one by one.

    Times are seconds since the start; every message is heard ``delay`` after its stamp.
    """

    folder: Path
    namespace: str = ""
    delay: float = 0.002
    facts: dict = field(default_factory=dict)
    messages: list = field(default_factory=list)

    def add(self, topic, kind, time, *, heard=None, raw=None, **values):
        message = raw if raw is not None else self.make(kind, time, **values)
        heard = time + self.delay if heard is None else heard
        self.messages.append((heard, f"{self.namespace}/{topic}", kind, message))

    def make(self, kind, time, **values):
        kind_class = STORE.types[kind]
        if "header" in kind_class.__dataclass_fields__:
            values["header"] = self.header(time, values.pop("frame_id", "base_link"))
        return bytes(STORE.serialize_cdr(kind_class(**values), kind))

    @staticmethod
    def header(time, frame_id):
        nanoseconds = round((START + time) * 1e9)
        stamp = STORE.types["builtin_interfaces/msg/Time"](*divmod(nanoseconds, 10**9))
        return STORE.types["std_msgs/msg/Header"](stamp, frame_id)

    def pose(self, time, x, yaw=0.0, **where):
        point = STORE.types["geometry_msgs/msg/Point"](x, 0.1, 0.2)
        turn = STORE.types["geometry_msgs/msg/Quaternion"](
            0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)
        )
        pose = STORE.types["geometry_msgs/msg/Pose"](point, turn)
        self.add("ee_pose", "geometry_msgs/msg/PoseStamped", time, pose=pose, **where)

    def twist(self, time, linear=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)):
        vector = STORE.types["geometry_msgs/msg/Vector3"]
        twist = STORE.types["geometry_msgs/msg/Twist"](vector(*linear), vector(*angular))
        kind = "geometry_msgs/msg/TwistStamped"
        self.add("servo_node/delta_twist_cmds", kind, time, twist=twist)

    def joint(self, time, position, topic="joint_states"):
        self.add(
            topic,
            "sensor_msgs/msg/JointState",
            time,
            name=["finger"],
            position=np.array([position]),
            velocity=np.zeros(0),
            effort=np.zeros(0),
        )

    def text(self, topic, time, text):
        self.add(topic, "std_msgs/msg/String", time, data=text)

    def status(self, topic, time, message="", **values):
        pair = STORE.types["diagnostic_msgs/msg/KeyValue"]
        self.add(
            topic,
            "diagnostic_msgs/msg/DiagnosticStatus",
            time,
            level=0,
            name=topic,
            message=message,
            hardware_id="",
            values=[pair(key, str(value)) for key, value in values.items()],
        )

    def mode(self, time, mode, source, reason=""):
        self.status("guard/mode", time, mode=mode, reason=reason, source=source)

    def point(self, time, x, y, camera="front"):
        place = STORE.types["geometry_msgs/msg/Point"](x, y, 0.0)
        kind = "geometry_msgs/msg/PointStamped"
        frame = f"{camera}_camera_optical"
        self.add("instruction/point", kind, time, point=place, frame_id=frame)

    def picture(self, time, grey, camera="front", size=(48, 64), **where):
        height, width = size
        self.add(
            f"camera/{camera}/image_raw",
            "sensor_msgs/msg/Image",
            time,
            height=height,
            width=width,
            encoding="rgb8",
            is_bigendian=0,
            step=3 * width,
            data=np.full(3 * height * width, grey, np.uint8),
            **where,
        )

    def usual(self, seconds=2.0, instruction="pick the red cube"):
        """A robot that moves at 0.1 m/s along x under its policy, its gripper open."""
        self.text("instruction", 0.0, instruction)
        self.mode(0.0, "AUTO", "policy")
        for tick in range(round(50 * seconds) + 1):
            time = tick / 50
            self.pose(time, 0.4 + 0.1 * time)
            self.joint(time, 0.04)
            self.joint(time, 0.04, "gripper/command")
            self.twist(time, (0.1, 0.0, 0.0))
            if tick % 5 == 0:
                self.picture(time, tick % 256)
                self.status("policy/status", time, depth=1 + tick % 3)
        return self

    def write(self):
        """Make the bag, and return its folder."""
        self.folder.mkdir(parents=True)
        writer = EpisodeWriter(self.folder, self.facts)
        channels = {}
        for heard, topic, kind, data in sorted(self.messages, key=lambda m: m[0]):
            if topic not in channels:
                definition, _ = STORE.generate_msgdef(kind, ros_version=2)
                qos = profile(depth=10, reliable=True, latched=False)
                channels[topic] = writer.add(
                    Topic(topic, kind, definition, STORE.hash_rihs01(kind), (qos,))
                )
            when = round((START + heard) * 1e9)
            writer.write(channels[topic], data, log_time=when, publish_time=when)
        writer.close()
        return self.folder


@pytest.fixture
def scene(tmp_path):
    """Make an episode message by message."""
    return lambda name="episode_0", **settings: Scene(tmp_path / "runs" / name, **settings)
