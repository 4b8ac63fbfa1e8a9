# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what happened as an MCAP episode in rosbag2's layout.

Messages are taken as they came over the wire and written unread, so recording costs little and
changes nothing. Commands are distinguished by topic: ``policy/``, ``teleop/`` and the guard's
output, whose source stands in the latched mode. When nothing can be written any more, the recorder
says so and the robot goes on.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.typesys import Stores, get_typestore

from magma_ros.episodes.bag import Topic, make_episode, profile
from magma_ros.episodes.log import EpisodeLog, LogStatus, Source
from magma_ros.episodes.times import LogClock
from magma_ros.files import make_folder
from magma_ros.nodes import names, qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.convert import status_message
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.recorded import TOPICS, Recorded, camera_topics
from magma_ros.nodes.settings import Setting

REPORT_PERIOD = 1.0
"""Time between two reports [s]."""

PATIENCE = 5.0
"""Time after which a camera that has sent nothing is named [s]."""


class RecorderNode(ManagedNode):
    """Records one episode from activation to deactivation."""

    SETTINGS = (
        Setting("directory", "runs", "Folder in which episodes are written."),
        Setting(
            "cameras", ["front", "wrist"], "Cameras to record, where camera_topics names none."
        ),
        CAMERA_TOPICS,
        Setting(
            "transport",
            "raw",
            "Pictures to record; two cameras of 1280 x 720 fill a small disk in minutes when raw.",
            choices=("raw", "compressed"),
        ),
        *GRIPPER_SETTINGS,
    )

    def __init__(self) -> None:
        """Declare parameters; the file is opened on activation."""
        super().__init__("recorder")
        self._log: EpisodeLog | None = None
        self._inputs: list[Any] = []
        self._lost = 0
        self._failed = False

    def setup(self) -> None:
        """Make the folder to write into, and the publisher of the status."""
        make_folder(Path(self.settings["directory"]))
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._status_publisher = self.create_publisher(
            DiagnosticStatus, names.RECORDER_STATUS, qos.LATCHED
        )
        self._diagnostics_publisher = self.create_publisher(
            DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS
        )

    def start(self) -> None:
        """Open the next free episode and listen."""
        compressed = self.settings["transport"] == "compressed"
        where = CameraTopics(self.settings[CAMERA_TOPICS.name])
        cameras = list(where.bases) or self.settings["cameras"]
        topics = [*TOPICS, *camera_topics(cameras, where, compressed=compressed)]
        folder = make_episode(Path(self.settings["directory"]))
        clock = LogClock(
            lambda: self.get_clock().now().nanoseconds,
            time.monotonic_ns,
            simulated=self.get_parameter("use_sim_time").value,
        )
        self._lost, self._failed = 0, False
        self._log = EpisodeLog(
            folder,
            [self._source(topic) for topic in topics],
            clock,
            # Without them nobody could tell from the recording how open the gripper was.
            {f"gripper.{name}": str(v) for name, v in self.settings.group("gripper").items()},
        )
        for index, topic in enumerate(topics):
            self._listen(index, topic)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._reports = 0
        self._timer = self.create_timer(REPORT_PERIOD, self._report, clock=steady)
        self.get_logger().info(f"recording into {folder}")

    def stop(self) -> None:
        """Close the episode: index and metadata are written last."""
        self._hear_no_more()
        log, self._log = self._log, None
        if log is None:
            return
        self.destroy_timer(self._timer)
        status = log.close()
        self._publish(status)
        recording = status.recording
        if recording.failure:
            self._fail(recording.failure)
            return
        text = f"{recording.messages} messages recorded into {recording.path.parent}"
        self.get_logger().info(text + (f"; {_losses(status)}" if status.lost else ""))

    def _listen(self, index: int, topic: Recorded) -> None:
        assert self._log is not None
        profiles = [topic.profile]
        if topic.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            profiles.append(qos.VOLATILE)  # a latched subscription does not match a volatile one
        for heard in profiles:
            subscription = self.create_subscription(
                topic.kind,
                topic.topic,
                partial(self._hear, self._log, index),
                heard,
                event_callbacks=SubscriptionEventCallbacks(
                    use_default_callbacks=len(profiles) == 1
                ),
                raw=True,
            )
            self._inputs.append(subscription)

    @staticmethod
    def _hear(log: EpisodeLog, index: int, data: bytes, info: Any) -> None:
        log.hear(index, data, info["source_timestamp"])

    def _hear_no_more(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs = []

    def _source(self, topic: Recorded) -> Source:
        kind = _type_name(topic.kind)
        definition, _ = self._types.generate_msgdef(kind, ros_version=2)
        fields = list(topic.kind.get_fields_and_field_types().values())
        return Source(
            Topic(
                name=self.resolve_topic_name(topic.topic),
                type=kind,
                definition=definition,
                hash=self._types.hash_rihs01(kind),
                profiles=(_as_recorded(topic.profile),),
            ),
            stamped=fields[0] == "std_msgs/Header",
            latched=topic.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
            steady=topic.steady,
        )

    def _report(self) -> None:
        """Publish the status, and log a failure once."""
        assert self._log is not None
        status = self._log.status
        self._publish(status)
        self._reports += 1
        if status.recording.failure and not self._failed:
            self._hear_no_more()
            self._fail(status.recording.failure)
        elif status.lost > self._lost and not self._failed:
            self._lost = status.lost
            self.get_logger().warning(_losses(status), throttle_duration_sec=5.0)
        if self._reports == round(PATIENCE / REPORT_PERIOD) and status.silent:
            self.get_logger().warning(
                f"no picture yet on {', '.join(status.silent)}; transport is "
                f"{self.settings['transport']}"
            )

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self.exit_status = 1
            self.get_logger().error(reason)

    def _publish(self, status: LogStatus) -> None:
        message = _status_message(status)
        self._status_publisher.publish(message)
        message.name = "recorder: episode"
        stamp = self.get_clock().now().to_msg()
        array = DiagnosticArray(status=[message])
        array.header.stamp = stamp
        self._diagnostics_publisher.publish(array)


def _status_message(status: LogStatus) -> DiagnosticStatus:
    recording = status.recording
    level, text = DiagnosticStatus.OK, "recording"
    if recording.failure:
        level, text = DiagnosticStatus.ERROR, recording.failure
    elif status.lost:
        level, text = DiagnosticStatus.WARN, _losses(status)
    values = {
        "path": recording.path,
        "messages": recording.messages,
        "dropped": recording.dropped,
        "missing": sum(status.missing.values()),
        "before_clock": status.early,
        "waiting_bytes": recording.waiting,
        "silent": ", ".join(status.silent),
    }
    return status_message(level, "recorder", text, values)


def _losses(status: LogStatus) -> str:
    """What is not in the recording, and what helps."""
    parts = [f"{count} missing from {topic}" for topic, count in status.missing.items()]
    if status.recording.dropped:
        parts.append(f"{status.recording.dropped} dropped because disk or processor were too slow")
    return "messages lost: " + ", ".join(parts) + "; transport: compressed needs a tenth"


def _type_name(kind: Any) -> str:
    """The full ROS name of a message class, for example ``std_msgs/msg/String``."""
    package = kind.__module__.split(".")[0]
    return f"{package}/msg/{kind.__name__}"


def _as_recorded(heard: QoSProfile) -> dict[str, Any]:
    return profile(
        depth=heard.depth,
        reliable=heard.reliability == ReliabilityPolicy.RELIABLE,
        latched=heard.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def main(args: list[str] | None = None) -> int:
    """Entry point of ``recorder_node``."""
    return run(RecorderNode, args)
