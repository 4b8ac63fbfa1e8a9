# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files hand what a user sets to the nodes, and nothing else is asked of a user."""

import os
from pathlib import Path

import pytest
import yaml

from magma_ros.embedded.launch.plan import declared_arguments, plan
from magma_ros.share import share_file

ROBOT = share_file("launch", "robot.launch.yaml")
DEMO = share_file("launch", "demo.launch.yaml")


@pytest.fixture
def planned(tmp_path):
    """The processes of a launch file by their executable."""

    def make(file, **arguments):
        found = plan(file, arguments, tmp_path, os.environ)
        return {process.name.rpartition("-")[0]: process for process in found}

    return make


def options(process, flag):
    words = process.command
    return [words[i + 1] for i, word in enumerate(words) if word == flag]


def parameters(process):
    values = {}
    for file in options(process, "--params-file"):
        (content,) = yaml.safe_load(Path(file).read_text()).values()
        values |= content["ros__parameters"]
    return values


def test_a_robot_is_told_where_its_topics_are(planned):
    nodes = planned(
        ROBOT,
        robot="franka_fr3",
        servo="/servo_node",
        joint_states="/franka/joint_states",
        gripper="hand/command",
        instruction="/voice/instruction",
        clearance="lidar/clearance",
        e_stop="/cell/e_stop",
        ee_pose="/franka/pose",
    )
    for node in nodes.values():
        remaps = dict(rule.split(":=") for rule in options(node, "-r"))
        assert remaps["servo_node/delta_twist_cmds"] == "/servo_node/delta_twist_cmds"
        assert remaps["joint_states"] == "/franka/joint_states"
        assert remaps["gripper/command"] == "hand/command"
        assert remaps["instruction"] == "/voice/instruction"
        assert remaps["clearance"] == "lidar/clearance"
        assert remaps["e_stop"] == "/cell/e_stop"
        assert remaps["ee_pose"] == "/franka/pose"


def test_cameras_and_transport_reach_whoever_hears_pictures(planned):
    nodes = planned(ROBOT, robot="franka_fr3", cameras="top=/rgb", transport="raw")
    for name in ("policy_node", "recorder_node"):
        given = parameters(nodes[name])
        assert (given["camera_topics"], given["transport"]) == ("top=/rgb", "raw")


def test_defaults_fit_the_usual_cameras_and_what_a_network_can_carry(planned):
    given = parameters(planned(ROBOT, robot="franka_fr3")["policy_node"])
    assert given["camera_topics"] == "front=camera/camera/color, wrist=wrist/camera/color"
    assert given["transport"] == "compressed"


def test_a_robot_may_be_given_by_any_file(planned, tmp_path):
    file = tmp_path / "my arm.yaml"
    file.write_text("/**: {ros__parameters: {base_frame: my_base}}")
    nodes = planned(ROBOT, robot_file=str(file))
    for name in ("policy_node", "guard_node"):
        assert parameters(nodes[name])["base_frame"] == "my_base"


def test_no_topic_of_a_robot_is_absolute_unless_the_user_says_so(planned):
    for process in planned(ROBOT, robot="franka_fr3", namespace="left").values():
        assert "__ns:=/left" in options(process, "-r")
        targets = [rule.split(":=")[1] for rule in options(process, "-r") if "__" not in rule]
        assert not [target for target in targets if target.startswith("/")]
        assert "=/" not in parameters(process).get("camera_topics", "")


def test_a_demo_keeps_even_frames_and_clock_to_itself(planned):
    for process in planned(DEMO).values():
        rules = options(process, "-r")
        assert {"__ns:=/demo", "/tf:=tf", "/tf_static:=tf_static", "/clock:=clock"} <= set(rules)


def test_a_console_is_started_on_request_alone_and_knows_the_robot_and_its_cameras(planned):
    assert "console_node" not in planned(ROBOT, robot="franka_fr3")
    asked = {"console": "true", "console_port": "8081", "console_token": "0123456789abcdef"}
    console = planned(ROBOT, robot="franka_fr3", cameras="top=/rgb", **asked)["console_node"]
    given = parameters(console)
    assert (given["port"], given["token"], given["host"]) == (8081, "0123456789abcdef", "127.0.0.1")
    assert (given["camera_topics"], given["base_frame"]) == ("top=/rgb", "fr3_link0")
    assert console.respawn
    assert not console.required


def test_a_demo_with_a_console_asks_nobody_but_its_operator_to_hand_over(planned):
    nodes = planned(DEMO, console="true")
    assert "console_node" in nodes
    assert "report_node" not in nodes  # which would ask for it, and end the demo


def test_only_a_demo_without_a_console_runs_out_of_time(planned):
    assert parameters(planned(DEMO)["sim_node"])["time_limit"] == 30.0
    assert parameters(planned(DEMO, time_limit="60")["sim_node"])["time_limit"] == 60.0
    watched = planned(DEMO, console="true", time_limit="60")["sim_node"]
    assert parameters(watched)["time_limit"] == 0.0, "none"


def test_policy_and_guard_come_back_a_few_times_and_the_simulation_not_at_all(planned):
    nodes = planned(DEMO)
    for name in ("policy_node", "guard_node"):
        assert nodes[name].respawn
        assert 0 < nodes[name].respawn_max_retries < 10
    assert nodes["sim_node"].required
    assert nodes["report_node"].required


@pytest.mark.parametrize("file", [ROBOT, DEMO], ids=lambda file: file.name)
def test_every_argument_is_described_and_none_is_internal(file):
    arguments = declared_arguments(file)
    assert all(argument.description != "no description given" for argument in arguments)
    assert not declared_arguments(share_file("launch", "stack.launch.yaml"))


@pytest.mark.parametrize("file", [ROBOT, DEMO])
def test_eyes_for_obstacles_are_opened_on_request_and_then_the_guard_needs_them(planned, file):
    robot = {"robot": "franka_fr3"} if file == ROBOT else {}
    blind = planned(file, **robot)
    assert "perception_node" not in blind
    assert "source" not in parameters(blind["guard_node"])["proximity"]
    seeing = planned(file, perception="true", **robot)
    assert parameters(seeing["guard_node"])["proximity"]["source"] == "vectors"
    assert parameters(seeing["perception_node"])["body"]["guarded_links"]
    assert parameters(seeing["perception_node"])["depth_topics"].startswith("front=")
    if file == DEMO:
        assert parameters(blind["sim_node"])["depth_rate"] == 0.0
        assert parameters(seeing["sim_node"])["depth_rate"] == 15.0
