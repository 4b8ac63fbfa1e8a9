# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder keeps all that is said on the public topics, and no disk of its stops the robot."""

import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from magma_ros.nodes import names, qos
from magma_ros.nodes.recorded import TOPICS
from magma_ros.nodes.recorder_node import RecorderNode

DONE = TransitionCallbackReturn.SUCCESS
SERVICES = {
    names.GUARD_TAKE_OVER,
    names.GUARD_HAND_BACK,
    names.GUARD_HOLD,
    names.GUARD_STOP,
    names.GUARD_RESET,
    names.RECORDER_RECORD,
    names.SERVO_PARAMETERS,
}
DERIVED = {names.POINTS, names.OBSTACLE_MARKERS, names.OVERLAY}
"""What can be made again from what is recorded."""


class Stage:
    """A recorder and a node that talks, in one process."""

    def __init__(self, directory, *words):
        rclpy.init(args=["--ros-args", "-p", f"directory:={directory}", *words])
        self.folder = directory / "episode_0"
        self.recorder, self.node = (
            RecorderNode(),
            rclpy.create_node("talker", use_global_arguments=False),
        )
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.recorder)
        self.executor.add_node(self.node)
        assert self.recorder.trigger_configure() == DONE

    def activate(self):
        assert self.recorder.trigger_activate() == DONE

    def until(self, true, repeat=lambda: None, timeout=30.0):
        end = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < end, "waited in vain"
            repeat()
            self.spin(0.05)

    def spin(self, duration):
        end = time.monotonic() + duration
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def recorded(self):
        """Close the episode; how often each topic was recorded."""
        assert self.recorder.trigger_deactivate() == DONE
        with AnyReader([self.folder]) as bag:
            return {c.topic: c.msgcount for c in bag.connections}


@pytest.fixture
def stage(tmp_path):
    made = []

    def make(*words, directory=tmp_path):
        made.append(Stage(directory, *words))
        return made[-1]

    yield make
    for each in made:
        each.recorder.destroy_node()
        each.node.destroy_node()
    rclpy.try_shutdown()


def test_every_public_topic_is_recorded():
    public = {value for name, value in vars(names).items() if name.isupper()} - SERVICES - DERIVED
    assert {topic.topic for topic in TOPICS} == public


def test_compressed_pictures_calibration_and_static_frames_are_recorded(stage):
    all_there = stage("-p", "transport:=compressed", "-p", "cameras:=[front]")
    create = all_there.node.create_publisher
    static = create(TFMessage, names.TF_STATIC, qos.LATCHED)
    static.publish(TFMessage(transforms=[TransformStamped()]))  # before anybody records
    picture = create(CompressedImage, names.camera_topic("front", compressed=True), qos.EVENTS)
    info = create(CameraInfo, names.camera_info_topic("front"), qos.EVENTS)
    moving = create(TFMessage, names.TF, qos.EVENTS)
    stop = create(Bool, names.E_STOP, qos.VOLATILE)
    told = create(String, names.INSTRUCTION, qos.LATCHED)
    told.publish(String(data="pick"))
    all_there.activate()

    def talk():
        picture.publish(CompressedImage(format="jpeg", data=b"x"))
        info.publish(CameraInfo())
        moving.publish(TFMessage())
        stop.publish(Bool())

    wanted = ["/tf_static", "/tf", "/e_stop", "/instruction", "/camera/front/camera_info"]
    wanted += ["/camera/front/image_raw/compressed"]
    counts = [c for c in all_there.recorder._log._channels if c.source.topic.name in wanted]
    all_there.until(lambda: all(channel.count for channel in counts), talk)
    recorded = all_there.recorded()
    assert all(recorded[topic] > 0 for topic in wanted)
    assert recorded["/tf_static"] == recorded["/instruction"] == 1  # though two can hear them
    assert "/camera/front/image_raw" not in recorded


def test_a_camera_that_sends_nothing_is_named(stage):
    silent = stage("-p", "cameras:=[front]")
    heard = []
    silent.node.create_subscription(
        DiagnosticStatus, names.RECORDER_STATUS, heard.append, qos.LATCHED
    )
    silent.activate()
    silent.until(lambda: heard)
    values = {pair.key: pair.value for pair in heard[-1].values}
    assert values["silent"] == "/camera/front/image_raw"


def test_a_full_disk_is_reported_and_the_rest_goes_on(stage, capfd, full_disk):
    full = stage("-p", "cameras:=[front]")
    picture = full.node.create_publisher(Image, names.camera_topic("front"), qos.EVENTS)
    diagnostics = {}
    full.node.create_subscription(
        DiagnosticArray,
        names.DIAGNOSTICS,
        lambda message: diagnostics.update({s.name: s for s in message.status}),
        qos.EVENTS,
    )
    full.activate()
    failed = lambda: (  # noqa: E731
        "recorder: episode" in diagnostics
        and diagnostics["recorder: episode"].level == DiagnosticStatus.ERROR
    )
    with full_disk(2 << 20):
        full.until(failed, lambda: picture.publish(Image(data=bytes(300_000))))
    assert "File too large" in diagnostics["recorder: episode"].message
    answered = []
    service = full.node.create_service(Trigger, "alive", lambda _, response: response)
    future = full.node.create_client(Trigger, service.srv_name).call_async(Trigger.Request())
    future.add_done_callback(answered.append)
    full.until(lambda: answered)
    assert full.recorder.trigger_deactivate() == DONE
    assert full.recorder.exit_status == 1
    log = capfd.readouterr()
    assert "Traceback" not in log.out + log.err
    assert (log.out + log.err).count("ends here (File too large)") == 1


def test_on_simulated_time_the_recording_begins_with_the_first_clock(stage):
    simulated = stage("-p", "use_sim_time:=true", "-p", "cameras:=[front]")
    clock = simulated.node.create_publisher(Clock, "/clock", qos.IMAGES)
    told = simulated.node.create_publisher(String, names.INSTRUCTION, qos.LATCHED)
    mode = simulated.node.create_publisher(DiagnosticStatus, names.POLICY_STATUS, qos.EVENTS)
    told.publish(String(data="pick"))
    simulated.activate()
    channels = {c.source.topic.name: c for c in simulated.recorder._log._channels}
    simulated.until(
        lambda: channels["/policy/status"].count, lambda: mode.publish(DiagnosticStatus())
    )
    simulated.until(lambda: channels["/instruction"].count)
    message = Clock()
    message.clock.sec = 1000
    simulated.until(
        lambda: simulated.recorder.get_clock().now().nanoseconds, lambda: clock.publish(message)
    )
    seen = channels["/policy/status"].count
    simulated.until(
        lambda: channels["/policy/status"].count > seen, lambda: mode.publish(DiagnosticStatus())
    )
    assert simulated.recorder.trigger_deactivate() == DONE
    with AnyReader([simulated.folder]) as bag:
        assert bag.start_time == 1000 * 10**9
        assert bag.duration < 10**9
        assert {c.topic for c in bag.connections if c.msgcount} >= {
            "/instruction",
            "/policy/status",
        }


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/runs"])
def test_where_nothing_can_be_written_the_recorder_does_not_start(place, capfd):
    rclpy.init(args=["--ros-args", "-p", f"directory:={place}"])
    node = RecorderNode()
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    log = capfd.readouterr()
    assert f"cannot make the folder {place}" in log.out + log.err
    assert "Traceback" not in log.out + log.err
    node.destroy_node()
    rclpy.shutdown()
