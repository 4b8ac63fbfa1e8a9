# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode becomes rows of one clock: nothing from the future, nothing made up."""

import functools
import itertools
import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from scipy.spatial.transform import Rotation

from magma_ros.episodes import resample, topics
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.grippers import GripperEnds
from magma_ros.episodes.read import FIELDS, read_episode

FINGER = GripperEnds("finger", 0.0, 0.04)


def test_rows_follow_one_clock_and_see_nothing_of_the_future(scene):
    episode = read_episode(scene().usual().write(), gripper=FINGER)
    np.testing.assert_allclose(np.diff(episode.times), 0.1, atol=1e-6)
    assert episode.fields == FIELDS
    assert len(episode) == 20
    for name, ages in episode.picture_ages.items():
        assert name == "front"
        assert (ages >= 0.0).all()
        assert ages.max() < 0.01  # the clock's phase fits the camera's
    assert not episode.warnings


def test_an_action_is_what_was_sent_during_its_row(scene):
    episode = read_episode(scene().usual().write(), gripper=FINGER)
    np.testing.assert_allclose(episode.actions[1:, 0], 0.01, atol=1e-6)
    np.testing.assert_allclose(episode.actions[:, 1:6], 0.0, atol=1e-6)
    moved = np.diff(episode.proprioception[:, 0])
    np.testing.assert_allclose(moved, episode.actions[:-1, 0], atol=1e-5)
    np.testing.assert_allclose(episode.actions[:, 6], 1.0)


def test_a_command_without_a_successor_ends_as_on_the_robot():
    times, twists = np.array([0.0]), np.array([[1.0, 0, 0, 0, 0, 0]])
    ticks = np.array([0.0, 0.1, 0.2])
    moved = resample.displacements(times, twists, ticks, 0.1, 0.15)
    np.testing.assert_allclose(moved[:, 0], [0.1, 0.05, 0.0])


@given(
    st.lists(
        st.tuples(st.floats(0.005, 0.3), st.floats(-1, 1), st.floats(-1, 1)),
        min_size=1,
        max_size=12,
    ),
    st.floats(0.02, 0.5),
)
def test_no_motion_is_lost_or_counted_twice_between_rows(commands, period):
    times = np.cumsum([gap for gap, _, _ in commands])
    twists = np.zeros((len(commands), 6))
    twists[:, 0] = [x for _, x, _ in commands]
    twists[:, 5] = [yaw for _, _, yaw in commands]
    ticks = np.arange(0.0, times[-1] + 0.2, period)
    moved = resample.displacements(times, twists, ticks, period, 0.1)
    lengths = np.minimum(np.append(np.diff(times), np.inf), 0.1)
    np.testing.assert_allclose(moved.sum(axis=0), lengths @ twists, atol=1e-9)


def test_rotations_about_changing_axes_are_composed_in_the_base_frame():
    times, ticks = np.array([0.0, 0.1]), np.array([0.0])
    twists = np.array([[0, 0, 0, 0, 0, 5.0], [0, 0, 0, 5.0, 0, 0]])
    turned = resample.displacements(times, twists, ticks, 0.2, 0.1)[0, 3:]
    whole = Rotation.from_rotvec([0.5, 0, 0]) * Rotation.from_rotvec([0, 0, 0.5])
    np.testing.assert_allclose(turned, whole.as_rotvec(), atol=1e-9)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30), st.floats(0.02, 0.5))
def test_the_phase_of_the_clock_is_one_at_which_pictures_are_young(times, period):
    times = np.sort(times)
    phase = resample.best_phase(times, period)
    assert 0.0 <= phase < period + 1e-9

    def age(start):
        return np.mod(start - times, period).mean()

    assert age(phase) <= min(age(start) for start in np.linspace(0, period, 20)) + 1e-5


def test_a_take_over_is_seen_in_source_intervention_and_depth(scene):
    made = scene().usual(seconds=3.0)
    made.mode(1.0, "TELEOP", "teleop", "HELP_REQUESTED")
    made.text("policy/help", 0.9, "unsure")
    made.mode(2.0, "HOLD", "guard", "OPERATOR_HOLD")
    made.text("episode/label", 2.5, "good")
    made.text("episode/label", 2.6, "note: slipped once")
    made.status("task/status", 2.9, "Done.", state="SUCCEEDED")
    episode = read_episode(made.write(), gripper=FINGER)
    middle = episode.times + 0.05 - episode.times[0]
    human = (middle > 1.05) & (middle < 1.95)
    assert {s for s, h in zip(episode.sources, human, strict=True) if h} == {"human"}
    assert episode.interventions[human].all()
    assert not episode.interventions[middle < 0.95].any()
    assert (episode.depths[human] == 0).all()
    assert (episode.depths[middle < 0.95] > 0).all()
    assert set(episode.sources) == {"policy", "human", "guard"}
    assert 0.2 < episode.share("human") < 0.45
    assert (episode.outcome.task, episode.outcome.label) == ("SUCCEEDED", "good")
    assert episode.outcome.notes == ("slipped once",)
    kinds = [event.kind for event in episode.events]
    assert kinds == ["instruction", "mode", "help", "mode", "mode", "label", "label", "task"]


def test_a_point_belongs_to_the_instruction_that_named_it(scene):
    made = scene().usual(seconds=3.0)
    made.point(0.5, 100.0, 200.0)
    made.text("instruction", 1.0, "push it")
    made.point(2.0, 30.0, 40.0)
    made.point(2.5, math.nan, math.nan)
    episode = read_episode(made.write(), gripper=FINGER)
    at = lambda time: episode.points[round((time) / 0.1)]  # noqa: E731
    assert np.isnan(at(0.2)).all()
    np.testing.assert_array_equal(at(0.8), [100, 200])
    assert np.isnan(at(1.5)).all()
    np.testing.assert_array_equal(at(2.3), [30, 40])
    assert np.isnan(at(2.8)).all()
    assert episode.point_camera == "front"
    assert episode.instructions[12] == "push it"


def test_pictures_are_read_one_at_a_time_in_the_rows_asked_for(scene):
    episode = read_episode(scene().usual().write(), gripper=FINGER)
    found = {row: int(picture[0, 0, 0]) for row, picture in episode.pictures("front", [7, 2, 3])}
    assert list(found) == [2, 3, 7]
    every = [int(picture[0, 0, 0]) for _, picture in episode.pictures("front")]
    assert len(every) == len(episode)
    assert every == sorted(every)
    assert found == {row: every[row] for row in (2, 3, 7)}
    part = episode.part(slice(5, 9))
    assert [int(picture[0, 0, 0]) for _, picture in part.pictures("front")] == every[5:9]
    assert [row for row, _ in part.pictures("front", [1, 3])] == [1, 3]
    with pytest.raises(EpisodeError, match="no camera 'back'; there is front"):
        list(episode.pictures("back"))


def test_pictures_heard_out_of_order_are_still_each_in_its_row(scene):
    made = scene()
    made.usual()
    images = [m for m in made.messages if "image_raw" in m[1]]
    late, early = images[5], images[6]
    at = made.messages.index
    made.messages[at(late)], made.messages[at(early)] = (
        (early[0] + 1e-4, *late[1:]),
        (late[0] - 1e-4, *early[1:]),
    )
    episode = read_episode(made.write(), gripper=FINGER)
    every = [int(picture[0, 0, 0]) for _, picture in episode.pictures("front")]
    assert len(every) == len(episode)


def test_compressed_pictures_and_cameras_elsewhere_are_found(scene):
    cv2 = pytest.importorskip("cv2")
    made = scene()
    made.usual()
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (250, 10, 10), np.uint8))[1].ravel()
    for tick in range(20):
        made.add(
            "gripper_cam/color/image_raw/compressed",
            "sensor_msgs/msg/CompressedImage",
            tick / 10,
            format="jpeg",
            data=jpeg,
        )
    episode = read_episode(made.write(), gripper=FINGER)
    assert list(episode.cameras) == ["front", "gripper_cam_color"]
    _, picture = next(episode.pictures("gripper_cam_color"))
    assert picture.shape == (48, 64, 3)
    np.testing.assert_allclose(picture[20, 20], [10, 10, 250], atol=6)  # RGB


def test_the_grippers_ends_come_from_the_recorder_else_from_the_range_seen(scene):
    noted = {
        "gripper.joint": "finger",
        "gripper.open_position": "0.08",
        "gripper.closed_position": "0.0",
    }
    episode = read_episode(scene("a", facts=noted).usual().write())
    np.testing.assert_allclose(episode.proprioception[:, -1], 0.5)
    made = scene("b").usual()
    made.joint(1.01, 0.0)
    (warning,) = read_episode(made.write()).warnings
    assert "range seen, 0 to 0.04, is taken as closed to open" in warning


def test_a_robot_in_a_namespace_is_found_and_two_are_told_apart(scene):
    left = scene("one", namespace="/left").usual()
    assert len(read_episode(left.write(), gripper=FINGER)) == 20
    both = scene("two", namespace="/left").usual()
    both.messages += scene("other", namespace="/right").usual(seconds=1.0).messages
    folder = both.write()
    with pytest.raises(EpisodeError, match="several robots were recorded: there are /left, /right"):
        read_episode(folder)
    assert len(read_episode(folder, namespace="right")) == 10
    with pytest.raises(EpisodeError, match="no robot in the namespace /middle"):
        read_episode(folder, namespace="middle")


def without(made, *topics):
    made.messages = [m for m in made.messages if not m[1].endswith(topics)]
    return made


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        ("image_raw", "no camera was recorded"),
        ("ee_pose", "no ee_pose was recorded, and no transforms from 'base_link' to 'tool0' were"),
        ("joint_states", "its opening is not known"),
        ("delta_twist_cmds", "every action is zero"),
        ("guard/mode", "not known who drove"),
        ("instruction", "no instruction was recorded"),
    ],
)
def test_what_was_not_recorded_is_said_and_the_rest_is_read(scene, topic, sentence):
    episode = read_episode(without(scene().usual(), topic).write(), gripper=FINGER)
    assert len(episode) >= 19
    (warning,) = episode.warnings
    assert sentence in warning


def test_without_a_pose_the_transforms_tell_where_the_end_effector_is(scene):
    facts = {"base_frame": "base_link", "ee_frame": "hand"}
    made = without(scene(facts=facts).usual(), "ee_pose")
    made.transform("tf_static", 0.0, "world", "base_link", (5.0, 0.0, 0.0))
    made.transform("tf_static", 0.0, "arm", "hand", (0.0, 0.3, 0.0))
    for tick in range(101):
        yaw = 0.5 * tick / 50
        made.transform("tf", tick / 50, "base_link", "arm", (0.4, 0.0, 0.1), yaw)
    episode = read_episode(made.write(), gripper=FINGER)
    assert not episode.warnings
    yaw = 0.5 * (episode.times - 1_700_000_000.0)
    wanted = [0.4 - 0.3 * np.sin(yaw), 0.3 * np.cos(yaw), np.full(len(yaw), 0.1)]
    np.testing.assert_allclose(episode.proprioception[:, :3], np.stack(wanted, axis=1), atol=1e-4)
    np.testing.assert_allclose(episode.proprioception[:, 3], np.sin(yaw), atol=1e-4)


def test_transforms_that_go_round_in_a_circle_are_no_way(scene):
    made = without(scene().usual(), "ee_pose")
    made.transform("tf", 0.5, "arm", "tool0", (0.0, 0.0, 0.0))
    made.transform("tf", 0.5, "tool0", "arm", (0.0, 0.0, 0.0))
    (warning,) = read_episode(made.write(), gripper=FINGER).warnings
    assert "no transforms from 'base_link' to 'tool0'" in warning


def test_a_camera_that_stands_still_is_named(scene):
    made = scene().usual()
    made.messages = [m for m in made.messages if "image_raw" not in m[1] or not 0.5 < m[0] < 1.4]
    (warning,) = read_episode(made.write(), gripper=FINGER).warnings
    assert "camera front stood still" in warning


def test_stamps_of_another_clock_are_not_believed(scene):
    made = scene()
    made.usual()
    made.messages = [m for m in made.messages if "ee_pose" not in m[1]]
    for tick in range(101):
        made.pose(tick / 50 + 3600.0, 0.4 + 0.002 * tick, heard=tick / 50)
    episode = read_episode(made.write(), gripper=FINGER)
    assert "the stamps of /ee_pose are -3600.0 s" in episode.warnings[0]
    np.testing.assert_allclose(np.diff(episode.proprioception[:, 0]), 0.01, atol=1e-4)


def test_damaged_and_infinite_messages_are_counted_and_left_out(scene):
    made = scene().usual()
    made.pose(1.001, math.nan)
    made.pose(1.0015, 1e300)  # finite, but not as a float32
    made.add("ee_pose", "geometry_msgs/msg/PoseStamped", 1.002, raw=b"\0\1\0\0\7")
    episode = read_episode(made.write(), gripper=FINGER)
    (warning,) = episode.warnings
    assert warning.startswith("3 messages on /ee_pose are damaged or no possible numbers")
    assert np.isfinite(episode.proprioception).all()


def test_an_empty_or_foreign_or_broken_recording_is_one_sentence(scene, tmp_path, text, make_topic):
    empty = scene("empty")
    with pytest.raises(EpisodeError, match="holds no message"):
        read_episode(empty.write())
    foreign = scene("foreign")
    foreign.text("chatter", 0.0, "hello")
    with pytest.raises(EpisodeError, match="no picture, no pose and no command"):
        read_episode(foreign.write())
    short = scene("short").usual(seconds=0.06)
    with pytest.raises(EpisodeError, match="less than one row"):
        read_episode(short.write(), gripper=FINGER)
    whole = scene("cut").usual().write()
    file = whole / "cut_0.mcap"
    file.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(EpisodeError, match="run magma episodes recover"):
        read_episode(whole)
    with pytest.raises(EpisodeError, match="does not exist"):
        read_episode(tmp_path / "nowhere")
    with pytest.raises(EpisodeError, match="period"):
        read_episode(whole, period=0.0)


@examples(15)
@given(
    spoilt=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.binary(max_size=12)),
        min_size=1,
        max_size=60,
    )
)
def test_no_content_of_a_message_ends_the_reading_with_anything_but_a_sentence(scene, spoilt):
    made = scene(f"episode_{next(NUMBERS)}", messages=list(whole_messages(scene)))
    for which, where, data in spoilt:
        heard, topic, kind, content = made.messages[which % len(made.messages)]
        at = where % (len(content) + 1)
        made.messages[which % len(made.messages)] = (
            heard,
            topic,
            kind,
            content[:at] + data + content[at + len(data) :],
        )
    with suppress(EpisodeError):
        episode = read_episode(made.write())
        assert np.isfinite(episode.proprioception).all()
        assert np.isfinite(episode.actions).all()
        for camera in episode.cameras:
            for _, picture in episode.pictures(camera):
                assert picture.dtype == np.uint8


NUMBERS = itertools.count()


@functools.cache
def whole_messages(scene):
    made = scene().usual(seconds=0.5)
    made.mode(0.2, "TELEOP", "teleop")
    made.point(0.1, 3.0, 4.0)
    made.text("episode/label", 0.3, "good")
    return made.messages


def test_the_topics_are_those_of_the_nodes():
    names = pytest.importorskip("magma_ros.nodes.names")
    ours = {k: v for k, v in vars(topics).items() if k.isupper() and isinstance(v, str)}
    assert {k: v.lstrip("/") for k, v in ours.items()} == {
        name: getattr(names, name).lstrip("/") for name in ours
    }
