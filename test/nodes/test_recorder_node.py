# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder keeps all that is said on the public topics, and no disk of its stops the robot."""

import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage

from magma_ros.episodes.bag import remapping
from magma_ros.episodes.labels import read_label
from magma_ros.episodes.log import LogStatus
from magma_ros.episodes.messages import Bag
from magma_ros.episodes.recording import END_TIMEOUT, RecordingStatus
from magma_ros.episodes.writer import EpisodeWriter
from magma_ros.nodes import names, qos
from magma_ros.nodes.recorded import TOPICS
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.nodes.recorder_status import losses

DONE = TransitionCallbackReturn.SUCCESS
SERVICES = {
    names.GUARD_TAKE_OVER,
    names.GUARD_HAND_BACK,
    names.GUARD_HOLD,
    names.GUARD_STOP,
    names.GUARD_RESET,
    names.RECORDER_RECORD,
    names.PROBE_BEGIN,
    names.GUARD_PARAMETERS,
    names.POLICY_PARAMETERS,
    names.SERVO_PARAMETERS,
    names.SIM_RESET,
    names.SIM_SET_PARAMETERS,
}
DERIVED = {
    names.POINTS,
    names.OBSTACLE_MARKERS,
    names.OVERLAY,
    names.EXPERT_TWIST,
    names.EXPERT_GRIPPER,
}
"""What can be made again from what is recorded, or from a scene's seed."""


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

    def record(self, *, on):
        """Ask for the beginning or the end of an episode."""
        client = self.node.create_client(SetBool, names.RECORDER_RECORD)
        answers = []
        self.until(client.service_is_ready)
        client.call_async(SetBool.Request(data=on)).add_done_callback(answers.append)
        self.until(lambda: answers)
        self.node.destroy_client(client)
        return answers[0].result()

    def follow_status(self):
        """The values and the message of each status, as they come."""
        heard = []
        self.node.create_subscription(
            DiagnosticStatus,
            names.RECORDER_STATUS,
            lambda m: heard.append({p.key: p.value for p in m.values} | {"text": m.message}),
            qos.LATCHED,
        )
        return heard

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
    given = {value for name, value in vars(names).items() if name.isupper()}
    public = given - SERVICES - DERIVED - {names.TOOL_TWISTS}
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


def test_what_may_never_have_been_sent_is_not_called_lost():
    def said(dropped, missing):
        recording = RecordingStatus(Path("e.mcap"), 100, dropped, 0, "")
        return losses(LogStatus(recording, 0, missing, ()))

    missing = said(0, {"/camera/front/image_raw": 4, "/camera/wrist/image_raw": 2})
    assert "messages are missing: 4 of /camera/front/image_raw, 2 of /camera/wrist" in missing
    assert "a busy sender left them out, or they were lost" in missing
    assert "dropped" not in missing
    assert said(3, {}).startswith("messages lost: 3 dropped")
    assert said(3, {"/camera/front/image_raw": 4}).count("; ") == 2


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


class SlowWriter(EpisodeWriter):
    """A disk that stalls, for longer than a process that is told to end may take."""

    stall = END_TIMEOUT + 0.2

    def close(self):
        time.sleep(self.stall)
        super().close()


@pytest.fixture
def slow_disk(monkeypatch):
    """What every recorder writes to from now on."""
    monkeypatch.setattr("magma_ros.episodes.log.EpisodeWriter", SlowWriter)
    return SlowWriter


@pytest.mark.parametrize("asked", ["recorder/record", "deactivation"])
def test_an_episode_on_a_slow_disk_is_whole_when_its_end_is_answered(stage, slow_disk, asked):
    slow = stage("-p", "cameras:=[front]")
    slow.activate()
    if asked == "deactivation":
        assert slow.recorder.trigger_deactivate() == DONE
    else:
        assert slow.record(on=False).success
    with AnyReader([slow.folder]):
        pass  # a whole bag
    assert slow.recorder.exit_status == 0


def test_a_recorder_that_is_told_to_end_does_not_wait_for_its_disk(stage, slow_disk, monkeypatch):
    monkeypatch.setattr(slow_disk, "stall", 5.0)
    slow = stage("-p", "cameras:=[front]")
    slow.activate()
    slow.recorder.done.set_result(None)  # as a signal does
    slow.recorder.end()
    assert not (slow.folder / "metadata.yaml").exists()
    assert slow.recorder.exit_status == 1


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


def test_episodes_begin_and_end_when_asked(stage, tmp_path):
    asked = stage("-p", "record_at_start:=false", "-p", "cameras:=[front]")
    heard = asked.follow_status()
    refused = asked.record(on=True)
    assert not refused.success
    assert "not active" in refused.message
    asked.activate()
    assert list(tmp_path.iterdir()) == []
    assert asked.record(on=False).success  # nothing to end is no mistake
    for number in range(2):
        begun = asked.record(on=True)
        assert begun.success
        assert asked.record(on=True).message == f"Already recording into {begun.message[15:]}"
        asked.until(lambda: heard and heard[-1]["recording"] == "True")
        assert asked.record(on=False).success
        asked.until(lambda: heard[-1]["recording"] == "False")
        with AnyReader([tmp_path / f"episode_{number}"]):
            pass  # a whole bag
    assert asked.recorder.trigger_deactivate() == DONE
    assert asked.recorder.exit_status == 0


def test_what_a_person_says_of_an_episode_stands_beside_it(stage, tmp_path):
    judged = stage("-p", "cameras:=[front]")
    heard = judged.follow_status()
    publisher = judged.node.create_publisher(String, names.EPISODE_LABEL, qos.EVENTS)
    judged.activate()
    judged.until(lambda: publisher.get_subscription_count() >= 2)  # as a message, and as a fact
    for text in ("good", "note: the cube\x1b slipped", "bad"):
        publisher.publish(String(data=text))
    judged.until(lambda: heard and heard[-1]["label"] == "bad")
    assert judged.record(on=False).success
    outcome = read_label(tmp_path / "episode_0" / "episode_0_0.mcap")
    assert (outcome.label, len(outcome.notes)) == ("bad", 1)
    with AnyReader([tmp_path / "episode_0"]) as bag:
        assert {c.topic: c.msgcount for c in bag.connections}["/episode/label"] == 3
    publisher.publish(String(data="good"))  # nothing is being recorded: the last one is meant
    judged.until(lambda: heard[-1]["label"] == "good")
    assert read_label(tmp_path / "episode_0" / "episode_0_0.mcap").label == "good"


def test_a_folder_without_permission_is_named_and_the_node_lives_on(stage, capfd, tmp_path):
    away = stage("-p", "cameras:=[front]", directory=Path("/sys"))  # nobody may write there
    heard = away.follow_status()
    away.activate()
    away.until(lambda: heard and "cannot record into /sys" in heard[-1]["text"])
    refused = away.record(on=True)
    assert not refused.success
    assert "cannot record into /sys" in refused.message
    log = capfd.readouterr()
    assert "Traceback" not in log.out + log.err
    assert (log.out + log.err).count("cannot record into /sys") == 1
    assert away.recorder.trigger_deactivate() == DONE
    assert away.recorder.exit_status == 1


def test_the_gripper_of_a_robots_file_is_noted_in_the_episode(stage, tmp_path):
    words = ("base_frame:=base", "gripper.joint:=finger", "gripper.open_position:=0.036")
    noted = stage("-p", "cameras:=[front]", *(w for word in words for w in ("-p", word)))
    told = noted.node.create_publisher(String, names.INSTRUCTION, qos.LATCHED)
    told.publish(String(data="pick"))
    noted.activate()
    noted.until(lambda: sum(channel.count for channel in noted.recorder._log._channels))
    assert noted.recorder.trigger_deactivate() == DONE
    facts = Bag(tmp_path / "episode_0").facts
    assert (facts["base_frame"], facts["gripper.joint"]) == ("base", "finger")
    assert facts["gripper.open_position"] == "0.036"


def test_further_grippers_are_recorded_and_noted(stage, tmp_path):
    more = {"names": "right", "joint": "thumb", "open_position": 0.1}
    more |= {"closed_position": 0.0, "max_effort": 5.0}
    words = ["base_frame:=base", *(f"more_grippers.{key}:=[{v}]" for key, v in more.items())]
    noted = stage("-p", "cameras:=[front]", *(w for word in words for w in ("-p", word)))
    told = noted.node.create_publisher(JointState, "right/command", qos.STATE)
    noted.activate()

    def heard():
        told.publish(JointState(name=["thumb"], position=[0.05]))
        return sum(channel.count for channel in noted.recorder._log._channels)

    noted.until(heard)
    assert "/right/command" in noted.recorded()
    assert Bag(tmp_path / "episode_0").facts["more_grippers.joint"] == "thumb"


def test_a_reader_is_told_of_joints_and_of_topics_that_were_remapped(stage, tmp_path):
    words = ("base_frame:=base", "command_interface:=joint_trajectory", "joints.names:=[pan, lift]")
    settings = [w for word in words for w in ("-p", word)]
    remap = ("-r", f"{names.ROBOT_TRAJECTORY}:=arm/joint_trajectory", "-r", "__ns:=/left")
    noted = stage("-p", "cameras:=[front]", *settings, *remap)
    told = noted.node.create_publisher(String, names.INSTRUCTION, qos.LATCHED)
    told.publish(String(data="pick"))
    noted.activate()
    noted.until(lambda: sum(channel.count for channel in noted.recorder._log._channels))
    noted.recorded()
    facts = Bag(tmp_path / "episode_0").facts
    assert facts["joints.names"] == "pan,lift"
    moved = {key: value for key, value in facts.items() if key.startswith(remapping(""))}
    assert moved == {remapping(names.ROBOT_TRAJECTORY): "/left/arm/joint_trajectory"}
