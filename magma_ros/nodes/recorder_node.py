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
from rclpy.qos import DurabilityPolicy
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import String
from std_srvs.srv import SetBool

from magma_ros.episodes.bag import EpisodeError, make_episode, remapping
from magma_ros.episodes.log import EpisodeLog, LogStatus
from magma_ros.episodes.recording import CLOSE_TIMEOUT
from magma_ros.episodes.times import LogClock
from magma_ros.files import make_folder
from magma_ros.nodes import names, qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.gripper import GRIPPER_SETTINGS, MORE_GRIPPERS, robot_grippers
from magma_ros.nodes.limits import BASE_FRAME, COMMAND_INTERFACE, EE_FRAME, JOINT_NAMES
from magma_ros.nodes.managed_node import ManagedNode, run
from magma_ros.nodes.recorded import TOPICS, Recorded, camera_topics, more_grippers, source
from magma_ros.nodes.recorder_status import Labels, losses, recorder_status
from magma_ros.nodes.settings import Setting
from magma_ros.types import Answer

REPORT_PERIOD = 1.0
"""Time between two reports [s]."""

ANSWER_TIMEOUT = 3.0
"""Longest time that an answer to ``recorder/record`` waits for the disk [s]; a person waits too."""

PATIENCE = 5.0
"""Time after which a camera that has sent nothing is named [s]."""


class RecorderNode(ManagedNode):
    """Records one episode after the other while it is active, the first without being asked."""

    SETTINGS = (
        Setting("directory", "runs", "Folder in which episodes are written."),
        Setting("record_at_start", True, "Begin an episode on activation, without being asked."),
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
        Setting(BASE_FRAME.name, "", "Frame of the robot's file; without one, nothing is noted."),
        EE_FRAME,
        COMMAND_INTERFACE,
        JOINT_NAMES,
        *GRIPPER_SETTINGS,
        *MORE_GRIPPERS,
    )

    def __init__(self) -> None:
        """Declare parameters; the first file is opened on activation."""
        super().__init__("recorder")
        self._log: EpisodeLog | None = None
        self._inputs: list[Any] = []
        self._last: LogStatus | None = None
        self._labels = Labels()
        self._problem = ""
        self._lost = 0
        self._failed = False

    def setup(self) -> None:
        """Make the folder to write into, and what does not depend on an episode."""
        make_folder(Path(self.settings["directory"]))
        self._topics = [*TOPICS, *more_grippers(robot_grippers(self.settings))]
        self._status_publisher = self.create_publisher(
            DiagnosticStatus, names.RECORDER_STATUS, qos.LATCHED
        )
        self._diagnostics_publisher = self.create_publisher(
            DiagnosticArray, names.DIAGNOSTICS, qos.EVENTS
        )
        self.create_service(SetBool, names.RECORDER_RECORD, self._on_record)
        self.create_subscription(String, names.EPISODE_LABEL, self._on_label, qos.EVENTS)

    def start(self) -> None:
        """Begin the first episode; a folder that cannot be written is told, and kills nothing."""
        self._problem, self._last = "", None
        if self.settings["record_at_start"]:
            self._begin()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(REPORT_PERIOD, self._report, clock=steady)

    def stop(self) -> None:
        """Close the episode: index and metadata are written last."""
        if hasattr(self, "_timer"):
            self.destroy_timer(self._timer)
        self._end()

    # Episodes

    def _on_record(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if not self.working:
            answer = Answer(accepted=False, sentence="The recorder is not active; activate it.")
        else:
            answer = self._begin() if request.data else self._end(ANSWER_TIMEOUT)
            self._publish()
        response.success, response.message = answer
        return response

    def _begin(self) -> Answer:
        """Open the next free episode and listen."""
        if self._log is not None and not self._log.status.recording.failure:
            path = self._log.status.recording.path
            return Answer(accepted=True, sentence=f"Already recording into {path.parent}.")
        self._end(ANSWER_TIMEOUT)  # one that has failed
        compressed = self.settings["transport"] == "compressed"
        where = CameraTopics(self.settings[CAMERA_TOPICS.name])
        cameras = list(where.bases) or self.settings["cameras"]
        topics = [*self._topics, *camera_topics(cameras, where, compressed=compressed)]
        clock = LogClock(
            lambda: self.get_clock().now().nanoseconds,
            time.monotonic_ns,
            simulated=self.get_parameter("use_sim_time").value,
        )
        types = get_typestore(Stores.ROS2_JAZZY)
        try:
            folder = make_episode(Path(self.settings["directory"]))
            sources = [
                source(topic, self.resolve_topic_name(topic.topic), types) for topic in topics
            ]
            self._log = EpisodeLog(folder, sources, clock, self._facts())
        except EpisodeError as error:
            self._fail(str(error))
            return Answer(accepted=False, sentence=str(error))
        self._problem, self._lost, self._failed, self._reports = "", 0, False, 0
        self._labels.clear()
        for index, topic in enumerate(topics):
            self._listen(index, topic)
        self.get_logger().info(f"recording into {folder}")
        return Answer(accepted=True, sentence=f"Recording into {folder}.")

    def _end(self, timeout: float = CLOSE_TIMEOUT) -> Answer:
        """Close the episode, if there is one; waits for the disk so long, unless told to end."""
        self._hear_no_more()
        log, self._log = self._log, None
        if log is None:
            return Answer(accepted=True, sentence="No episode is being recorded.")
        status = self._last = log.close(timeout, ending=self.done.done)
        recording = status.recording
        if recording.failure:
            self._fail(recording.failure)
            self._publish()
            return Answer(accepted=False, sentence=recording.failure)
        self._note_problem(self._labels.write(status))
        self._publish()
        text = f"{recording.messages} messages recorded into {recording.path.parent}"
        self.get_logger().info(text + (f"; {losses(status)}" if status.lost else ""))
        return Answer(accepted=True, sentence=f"{text}.")

    def _facts(self) -> dict[str, str]:
        """What a reader must know: topics that were remapped, and the robot, if its file was given.

        Lists stand as their entries, separated by commas.
        """
        facts = {
            remapping(name): self.resolve_topic_name(name)
            for name, *_ in self._topics
            if self.resolve_topic_name(name) != self.resolve_topic_name(name, only_expand=True)
        }
        if self.settings[BASE_FRAME.name]:
            noted = [BASE_FRAME, EE_FRAME, COMMAND_INTERFACE, JOINT_NAMES]
            noted += [*GRIPPER_SETTINGS, *MORE_GRIPPERS]
            values = {setting.name: self.settings[setting.name] for setting in noted}
            lists = {n: ",".join(map(str, v)) for n, v in values.items() if isinstance(v, list)}
            facts |= {name: str(value) for name, value in values.items()} | lists
        return facts

    def _on_label(self, message: String) -> None:
        """Keep what a person says until the episode is closed, or write it beside the last one."""
        if self._log is None and self._last is None:
            self.get_logger().warning("an episode was labelled, but none has been recorded")
            return
        self._labels.hear(message.data)
        if self._log is None and self._last is not None:
            self._note_problem(self._labels.write(self._last, [message.data]))
        self._publish()

    def _note_problem(self, problem: str) -> None:
        self._problem = problem
        if problem:
            self.get_logger().error(problem)

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

    def _report(self) -> None:
        """Publish the status, and log a failure once."""
        self._publish()
        if self._log is None:
            return
        status = self._log.status
        self._reports += 1
        if status.recording.failure and not self._failed:
            self._hear_no_more()
            self._fail(status.recording.failure)
        elif status.lost > self._lost and not self._failed:
            self._lost = status.lost
            self.get_logger().warning(losses(status), throttle_duration_sec=5.0)
        if self._reports == round(PATIENCE / REPORT_PERIOD) and status.silent:
            self.get_logger().warning(
                f"no picture yet on {', '.join(status.silent)}; transport is "
                f"{self.settings['transport']}"
            )

    def _fail(self, reason: str) -> None:
        self.exit_status = 1
        if not self._failed or reason != self._problem:
            self.get_logger().error(reason)
        self._failed, self._problem = True, reason

    def _publish(self) -> None:
        status = self._last if self._log is None else self._log.status
        message = recorder_status(
            status,
            recording=self._log is not None and not self._log.status.recording.failure,
            label=self._labels.outcome.label,
            problem=self._problem,
        )
        self._status_publisher.publish(message)
        message.name = "recorder: episode"
        array = DiagnosticArray(status=[message])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``recorder_node``."""
    return run(RecorderNode, args)
