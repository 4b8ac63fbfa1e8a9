# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is given to a node's parameters is used, or named together with what is wrong with it."""

import math

import pytest
import rclpy
import rclpy.logging
from rclpy.lifecycle import TransitionCallbackReturn

from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.limits import LIMIT_SETTINGS
from magma_ros.nodes.managed_node import UNUSABLE, ManagedNode, run
from magma_ros.nodes.settings import Setting, SettingError
from magma_ros.share import share_file

ROBOT = ["--params-file", str(share_file("config", "robots", "sim.yaml"))]


class Spoon(ManagedNode):
    SETTINGS = (
        Setting("length", float, "Length [m].", 0.1, 2.0),
        Setting("depth", 0.02, "Depth [m].", 0.0, 1.0, live=True),
        Setting("holes", [0.1], "Where the holes are [m]."),
        Setting("metal", "tin", "What it is made of.", choices=("tin", "silver")),
        Setting("count", 3, "How many.", 1, 9),
    )

    def __init__(self):
        super().__init__("spoon")


@pytest.fixture
def given():
    """A spoon with the given ROS arguments."""
    nodes = []

    def make(*words):
        rclpy.init(args=["--ros-args", *words])
        nodes.append(Spoon())
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_whole_numbers_are_legal_where_real_ones_are_meant(given):
    spoon = given("-p", "length:=1", "-p", "depth:=0", "-p", "holes:=[0, 1, 2]")
    assert spoon.settings["length"] == 1.0
    assert isinstance(spoon.settings["depth"], float)
    assert spoon.settings["holes"] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("length:=long", "parameter length is 'long', but must be a finite number"),
        ("length:=3.0", "must lie between 0.1 and 2: Length"),
        ("length:=.nan", "must be a finite number"),
        ("length:=[1.0]", "must be a finite number"),
        ("length:=true", "must be a finite number"),
        ("count:=2.5", "must be a whole number"),
        ("count:=10", "must lie between 1 and 9"),
        ("holes:=[a, b]", "a list of finite numbers"),
        ("holes:=[0.1, .inf]", "a list of finite numbers"),
        ("holes:=0.1", "a list of finite numbers"),
        ("metal:=gold", "must be one of: tin, silver"),
        ("metal:=1", "must be text"),
    ],
)
def test_odd_value_is_refused_in_one_sentence_that_names_the_parameter(given, rule, says):
    with pytest.raises(SettingError) as caught:
        given("-p", rule)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_process_with_an_odd_value_ends_without_a_traceback(capfd):
    assert run(Spoon, ["--ros-args", "-p", "length:=.nan"]) == UNUSABLE
    said = capfd.readouterr().err
    assert "length" in said
    assert "Traceback" not in said


def test_misspelt_name_is_named_in_the_log_with_the_right_one(given, capfd):
    spoon = given("-p", "dept:=0.5")
    said = capfd.readouterr().err
    assert "parameter dept is given but does not exist" in said
    assert "did you mean depth?" in said
    assert spoon.settings["depth"] == 0.02


def test_what_a_robots_file_holds_for_other_nodes_is_not_misspelt(given, capfd):
    given(*ROBOT)
    assert "does not exist" not in capfd.readouterr().err


def test_live_value_out_of_range_is_refused_and_the_old_one_stays(given):
    spoon = given()
    for value in (math.nan, 7.0):
        result = spoon.set_parameters([rclpy.parameter.Parameter("depth", value=value)])[0]
        assert not result.successful
        assert result.reason
    assert spoon.settings["depth"] == 0.02


def test_node_does_not_configure_before_every_required_parameter_is_given(given, capfd):
    spoon = given()
    assert spoon.trigger_configure() == TransitionCallbackReturn.FAILURE
    said = capfd.readouterr().err
    assert "without the parameters length" in said
    assert "robot_file:=" in said


def test_guard_has_no_limits_workspace_or_frame_of_its_own(capfd):
    names = {setting.name for setting in GuardNode.SETTINGS if setting.required}
    bounds = {setting.name for setting in LIMIT_SETTINGS}
    assert names >= bounds | {"base_frame", "workspace.lower", "workspace.upper"}
    assert run(GuardNode, []) == UNUSABLE
    said = capfd.readouterr().err
    assert "guard cannot be configured" in said
    assert "limits.linear_speed" in said
    assert "Traceback" not in said
