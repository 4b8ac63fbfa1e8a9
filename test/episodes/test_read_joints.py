# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An episode of a robot that is commanded joint by joint: where its joints were, and were sent."""

import numpy as np
import pytest

from magma_ros.episodes import topics
from magma_ros.episodes.bag import EpisodeError, remapping
from magma_ros.episodes.read import FIELDS, read_episode
from magma_ros.nodes.robot_output import COMMAND_TOPICS
from magma_ros.spaces import ACTION_DIMS

NAMES = ("pan", "rail")
SPEED = np.array([0.5, -0.1])
FINGER = {
    "gripper.joint": "finger",
    "gripper.closed_position": "0.0",
    "gripper.open_position": "0.04",
}


def place(time):
    """Where the joints are at a time [s]."""
    return np.array([0.2, 0.3]) + time * SPEED


def facts(interface):
    return {"joints.names": ",".join(NAMES), "command_interface": interface, **FINGER}


@pytest.fixture
def robot(scene):
    """A robot whose joints move at constant speed, each command 20 ms ahead of what is measured."""

    def make(interface, *, told=None, until=2.0, measured=NAMES, send=None):
        made = scene(facts=facts(interface) if told is None else told)
        made.text("instruction", 0.0, "move")
        made.mode(0.0, "AUTO", "policy")
        for tick in range(101):
            time = tick / 50
            at = dict(zip(NAMES, place(time), strict=True))
            made.joints(time, **{name: at[name] for name in measured})
            made.joint(time, 0.04)
            if time <= until:
                (send or command)(made, interface, time)
        return made

    return make


def command(made, interface, time):
    target = place(time + 0.02)
    if interface == "joint_trajectory":
        made.trajectory(time, **dict(zip(NAMES[::-1], target[::-1], strict=True)))
    else:
        values = SPEED if interface == "forward_velocity" else target
        made.numbers(topics.COMMANDS[interface], time, values)


def test_commands_are_looked_for_where_the_guard_sends_them():
    assert {kind.value: topic for kind, topic in COMMAND_TOPICS.items()} == topics.COMMANDS


@pytest.mark.parametrize("interface", [name for name in topics.COMMANDS if name != "twist"])
def test_actions_are_where_the_joints_were_sent_by_whichever_controller(robot, interface):
    episode = read_episode(robot(interface).write())
    assert episode.fields == ("pan.position", "rail.position", FIELDS[-1])
    assert episode.action_names == (*NAMES, "gripper")
    begins = episode.proprioception[:, :2]
    moved = np.broadcast_to(0.1 * SPEED, (len(episode), 2))
    np.testing.assert_allclose(episode.actions[:, :2] - begins, moved, atol=0.02)
    np.testing.assert_allclose(episode.actions[:, 2], 1.0)
    assert set(episode.sources) == {"policy"}
    assert not [text for text in episode.warnings if "camera" not in text]


def test_joints_that_nobody_sends_go_where_they_are_moved(robot):
    episode = read_episode(robot("joint_trajectory", until=1.0).write())
    later = episode.times - episode.times[0] > 1.2
    ends = episode.proprioception[:, :2] + 0.1 * SPEED
    np.testing.assert_allclose(episode.actions[later, :2], ends[later], atol=1e-3)


def test_names_in_a_trajectory_are_enough_where_nothing_was_noted(robot):
    episode = read_episode(robot("joint_trajectory", told=FINGER).write())
    assert episode.action_names == ("rail", "pan", "gripper")


def test_each_gripper_is_recorded_by_its_name(robot):
    told = facts("joint_trajectory") | {
        "gripper.name": "left",
        "more_grippers.names": "right,third",
        "more_grippers.joint": "thumb,none",
        "more_grippers.closed_position": "0.8,0.0",
        "more_grippers.open_position": "0.0,1.0",
    }

    def send(made, interface, time):
        command(made, interface, time)
        made.joints(time, thumb=0.2)
        made.joint(time, 0.0, "gripper/command")
        made.joints(time, "right/command", thumb=0.8)

    episode = read_episode(robot("joint_trajectory", told=told, send=send).write())
    assert episode.fields[2:] == ("left_opening", "right_opening")
    assert episode.action_names == (*NAMES, "left", "right")
    np.testing.assert_allclose(episode.proprioception[:, 2:], [[1.0, 0.75]] * len(episode))
    np.testing.assert_allclose(episode.actions[:, 2:], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("interface", "settings", "sentence"),
    [
        ("forward_position", {"told": FINGER}, "does not say which joints it moves.*robot's file"),
        (
            "forward_position",
            {"told": facts("forward_position") | {"joints.names": "pan"}},
            "does not say which joints it moves",
        ),
        ("forward_velocity", {"measured": ("pan",)}, "no position of the joint rail was recorded"),
    ],
)
def test_what_would_have_to_be_made_up_is_one_sentence(robot, interface, settings, sentence):
    with pytest.raises(EpisodeError, match=sentence) as error:
        read_episode(robot(interface, **settings).write())
    assert "\n" not in str(error.value)


def test_a_trajectory_of_moveit_servo_is_no_command_of_the_guard(scene):
    made = scene().usual()
    for tick in range(100):
        made.trajectory(tick / 50, pan=0.1, rail=0.2)
    episode = read_episode(made.write())
    assert episode.action_names == ACTION_DIMS
    np.testing.assert_allclose(episode.actions[1:, 0], 0.01, atol=1e-6)


def test_commands_on_a_topic_that_was_remapped_are_found(robot):
    elsewhere = "arm_controller/joint_trajectory"
    told = facts("joint_trajectory") | {remapping(topics.ROBOT_TRAJECTORY): f"/{elsewhere}"}

    def send(made, _, time):
        made.trajectory(time, elsewhere, **dict(zip(NAMES, place(time), strict=True)))

    episode = read_episode(robot("joint_trajectory", told=told, send=send).write())
    sent = place(0.0) + SPEED * (episode.times - 1_700_000_000.0 + 0.1)[:, None]
    np.testing.assert_allclose(episode.actions[:, :2], sent, atol=0.02)
    assert not [text for text in episode.warnings if "command" in text]
