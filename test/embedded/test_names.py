# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names: how they expand, which are refused, and what the command line makes of them."""

import pytest
import rclpy
import rclpy.logging
from rclpy.arguments import Arguments, UnknownROSArgsError
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from std_msgs.msg import String
from std_srvs.srv import Trigger

from magma_ros.embedded.wire import names


@pytest.fixture
def initialised():
    """Initialises rclpy with a command line, and cleans up."""

    def init(*arguments):
        rclpy.init(args=["program", *arguments])

    yield init
    rclpy.try_shutdown()
    rclpy.logging.set_logger_level("", rclpy.logging.LoggingSeverity.INFO)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("image", "/cell/arm/image"),
        ("camera/image", "/cell/arm/camera/image"),
        ("/image", "/image"),
        ("~", "/cell/arm/guard"),
        ("~/mode", "/cell/arm/guard/mode"),
    ],
)
def test_names_expand_in_their_namespace(given, full):
    assert names.expand(given, "guard", "/cell/arm") == full


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "a/", "1a", "a-b", "a b", "~a", "a/~/b", "a__b", "\u00e4"]
)
def test_names_that_break_the_rules_are_refused(initialised, name):
    initialised()
    node = Node("tester")
    with pytest.raises(InvalidTopicNameException):
        node.create_publisher(String, name, 1)
    with pytest.raises(InvalidServiceNameException):
        node.create_client(Trigger, name)
    assert node.publishers == [p for p in node.publishers if not p.topic.startswith("/tester/")]
    node.destroy_node()


@pytest.mark.parametrize("name", ["", "a/b", "1a", "a-b"])
def test_a_node_needs_a_proper_name(initialised, name):
    initialised()
    with pytest.raises(InvalidNodeNameException):
        Node(name)
    with pytest.raises(InvalidNamespaceException):
        Node("proper", namespace="a//b")


def test_the_command_line_remaps_names(initialised):
    initialised(
        *("--ros-args", "-r", "image:=/camera/image", "-r", "__ns:=/cell", "-r", "a:__node:=b"),
        *("--remap", "~/mode:=mode", "-r", "c:go:=run", "--log-level", "warn"),
    )
    node = Node("a")
    assert node.get_fully_qualified_name() == "/cell/b"
    assert node.resolve_topic_name("image") == "/camera/image"
    assert node.resolve_topic_name("/cell/image") == "/camera/image"
    assert node.resolve_topic_name("image", only_expand=True) == "/cell/image"
    assert node.resolve_topic_name("~/mode") == "/cell/mode"
    assert node.resolve_service_name("go") == "/cell/go"
    other = Node("c", namespace="elsewhere")
    assert other.get_fully_qualified_name() == "/cell/c"
    assert other.resolve_service_name("go") == "/cell/run"
    free = Node("d", use_global_arguments=False, cli_args=["-r", "go:=/walk"])
    assert free.resolve_service_name("go") == "/walk"
    for one in (node, other, free):
        one.destroy_node()


def test_only_the_ros_part_of_a_command_line_is_taken():
    words = ["program", "--seed", "1", "--ros-args", "-p", "a:=1", "--", "task", "--ros-args"]
    arguments = Arguments.parse(words)
    assert arguments.ros_arguments == ["-p", "a:=1"]
    assert remove_ros_args(words) == ["program", "--seed", "1", "task"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--ros-args", "--colour", "red"], "unknown ROS argument '--colour'"),
        (["--ros-args", "-r"], "'-r' lacks its value"),
        (["--ros-args", "-r", "a=b"], "'a=b' is not a remapping rule"),
    ],
)
def test_a_wrong_ros_argument_is_named(words, problem):
    with pytest.raises(UnknownROSArgsError, match=problem):
        Arguments.parse(words)


def test_dds_names_lead_back_to_ros_names():
    assert names.topic_from_dds(names.topic_on_dds("/a/b")) == "/a/b"
    assert names.service_from_dds(names.request_on_dds("/a/b")) == "/a/b"
    assert names.service_from_dds(names.reply_on_dds("/a/b")) == "/a/b"
    assert names.topic_from_dds("ros_discovery_info") is None
    assert names.service_from_dds("rt/chat") is None
    assert names.type_from_dds("std_msgs::msg::dds_::String_") == "std_msgs/msg/String"
    assert names.type_from_dds("HelloWorld") is None
