# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: declared here, read and set from another process, overridden on a command line."""

import re
from array import array
from ast import literal_eval
from pathlib import Path

import pytest
import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    ParameterDescriptor,
    ParameterEvent,
    ParameterType,
    SetParametersResult,
)
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.parameter_overrides import ParameterOverrideError, parameter_overrides


@pytest.fixture
def limits(program, node):
    """The node ``/limits`` in another process, reached through its services."""
    process = program("parameter_node")
    process.wait_for("ready")
    return Remote(node, process)


class Remote:
    def __init__(self, node, process):
        self.node = node
        self.process = process

    def call(self, service_type, name, **fields):
        client = self.node.create_client(service_type, f"/limits/{name}")
        assert client.wait_for_service(timeout_sec=20.0)
        future = client.call_async(service_type.Request(**fields))
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=20.0)
        assert future.done()
        return future.result()

    def set(self, **values):
        """Set parameters; double underscores stand for dots."""
        messages = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg()
            for name, value in values.items()
        ]
        return self.call(SetParameters, "set_parameters", parameters=messages).results

    def get(self, *names):
        values = self.call(GetParameters, "get_parameters", names=list(names)).values
        return [parameter_value_to_python(value) for value in values]


# From another process


def test_a_parameter_set_from_another_process_is_kept_and_told(limits) -> None:
    (result,) = limits.set(colour="green")
    assert result.successful
    assert limits.get("colour", "count") == ["green", 3]
    limits.process.wait_for("set {'colour': 'green'}")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arm__speed": 2.5}, "arm.speed out of range. Min: 0.0, Max: 2.0, value: 2.5"),
        ({"arm__speed": 0.7}, "arm.speed is not a valid step. Min: 0.0, value: 0.7, step: 0.5"),
        ({"arm__speed": 1}, "expected 'DOUBLE' got 'INTEGER'"),
        ({"count": 11}, "count out of range. Min: 1, Max: 9, value: 11"),
        ({"count": 4}, "count is not a valid step"),
        ({"count": None}, "expected 'INTEGER' got 'NOT_SET'"),
        ({"colour": "red"}, "red is for emergencies"),
        ({"robot": "arm"}, "read-only parameter: robot"),
        ({"nothing": 1}, "undeclared parameter(s): ['nothing']"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_with_its_reason(limits, change, reason) -> None:
    before = limits.get("arm.speed", "count", "colour", "robot")
    (result,) = limits.set(**change)
    assert not result.successful
    assert reason in result.reason
    assert limits.get("arm.speed", "count", "colour", "robot") == before


def test_an_unknown_type_on_the_wire_is_refused(limits) -> None:
    message = Parameter("count", value=3).to_parameter_msg()
    message.value.type = 77
    (result,) = limits.call(SetParameters, "set_parameters", parameters=[message]).results
    assert not result.successful
    assert limits.get("count") == [3]


def test_an_atomic_change_is_made_wholly_or_not_at_all(limits) -> None:
    def set_both(speed, colour):
        messages = [
            Parameter("arm.speed", value=speed).to_parameter_msg(),
            Parameter("colour", value=colour).to_parameter_msg(),
        ]
        service = (SetParametersAtomically, "set_parameters_atomically")
        return limits.call(*service, parameters=messages).result

    assert not set_both(1.5, "red").successful
    assert limits.get("arm.speed", "colour") == [1.0, "blue"]
    assert set_both(1.5, "green").successful
    assert limits.get("arm.speed", "colour") == [1.5, "green"]


def test_parameters_are_listed_by_prefix_and_depth(limits) -> None:
    def names(**fields):
        found = limits.call(ListParameters, "list_parameters", **fields).result
        return set(found.names) - {"use_sim_time"}, found.prefixes

    everything = {"arm.speed", "arm.home", "count", "colour", "robot", "names"}
    assert names() == (everything, ["arm"])
    assert names(depth=1) == ({"count", "colour", "robot", "names"}, [])
    assert names(prefixes=["arm"]) == ({"arm.speed", "arm.home"}, ["arm"])


def test_parameters_are_described_with_type_range_and_text(limits) -> None:
    request = {"names": ["arm.speed", "robot"]}
    found = limits.call(DescribeParameters, "describe_parameters", **request).descriptors
    speed, robot = found
    assert (speed.name, speed.type) == ("arm.speed", ParameterType.PARAMETER_DOUBLE)
    assert speed.description == "m/s"
    assert speed.floating_point_range[0].to_value == 2.0
    assert robot.read_only
    types = limits.call(GetParameterTypes, "get_parameter_types", **request).types
    assert list(types) == [ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_STRING]


def test_asked_for_an_unknown_name_the_services_answer_with_nothing(limits) -> None:
    names = {"names": ["colour", "nothing"]}
    assert limits.call(GetParameters, "get_parameters", **names).values == []
    assert limits.call(DescribeParameters, "describe_parameters", **names).descriptors == []
    assert len(limits.call(GetParameterTypes, "get_parameter_types", **names).types) == 0


def test_a_change_is_announced_to_everyone(limits) -> None:
    events = []
    limits.node.create_subscription(ParameterEvent, "/parameter_events", events.append, 10)
    while not any(event.changed_parameters for event in events):
        limits.set(count=5)
        rclpy.spin_once(limits.node, timeout_sec=0.1)
    event = next(event for event in events if event.changed_parameters)
    assert event.node == "/limits"
    assert event.stamp.sec > 0
    assert [p.name for p in event.changed_parameters] == ["count"]


# From a command line


def started_with(program, *arguments):
    found = program("parameter_node", "--ros-args", *arguments).wait_for(r"ready (\{.*\})")
    return literal_eval(found[1])


def test_values_come_from_files_and_from_the_command_line(program, tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(
        """
        /**:
          ros__parameters:
            colour: white
            arm: {speed: 5.0e-1, home: [1.0, 2.0]}
        left:
          picky:
            ros__parameters: {count: 7}
        /other:
          ros__parameters: {robot: wrong}
        """
    )
    values = started_with(
        program,
        *("-r", "__node:=picky", "-r", "__ns:=/left"),
        *("--params-file", str(file)),
        *("-p", "colour:=black", "-p", "picky:robot:=ur5e", "-p", "names:=[x]"),
        *("-p", "use_sim_time:=false"),
    )
    assert values["arm.speed"] == 0.5
    assert values["arm.home"] == [1.0, 2.0]
    assert values["count"] == 7
    assert values["colour"] == "black"
    assert values["names"] == ["x"]
    assert values["robot"] == "sim"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("arm.speed:=1", "Trying to set parameter 'arm.speed' to 1 of type INTEGER"),
        ("arm.speed:=9.0", "arm.speed out of range"),
        ("colour", "'colour' is not a parameter; write it as name:=value"),
    ],
)
def test_a_wrong_value_on_the_command_line_keeps_the_node_from_starting(
    program, rule, sentence
) -> None:
    process = program("parameter_node", "--ros-args", "-p", rule)
    assert process.process.wait(timeout=60) == 1
    process.wait_for(re.escape(sentence))


def overrides(*words, node="/limits"):
    return {name: p.value for name, p in parameter_overrides(words, node).items()}


def test_what_names_the_node_outranks_what_is_for_all(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("limits: {ros__parameters: {a: 1, b: 1}}\n/**: {ros__parameters: {a: 2, c: 2}}")
    words = ("--params-file", str(file), "-p", "b:=3", "-p", "c:=3")
    assert overrides(*words) == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("/**", True),
        ("/left/arm", True),
        ("/left/*", True),
        ("/*/arm", True),
        ("/**/arm", True),
        ("/left/**", True),
        ("/*", False),
        ("arm", False),
        ("/left", False),
        ("/left/ar", False),
    ],
)
def test_a_pattern_in_a_file_fits_whole_names(tmp_path: Path, pattern: str, fits: bool) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f'"{pattern}": {{ros__parameters: {{a: 1}}}}')
    assert overrides("--params-file", str(file), node="/left/arm") == ({"a": 1} if fits else {})


def test_numbers_are_read_as_ros_reads_them() -> None:
    words = ("-p", "a:=1e-3", "-p", "b:=2", "-p", "c:='2'", "-p", "d:=[1.0, 2.5]", "-p", "e:=true")
    assert overrides(*words) == {"a": 0.001, "b": 2, "c": "2", "d": [1.0, 2.5], "e": True}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("limits: {gain: 1}", "'/limits/gain' holds no ros__parameters"),
        ("ros__parameters: {gain: 1}", "must stand below a node's name"),
        ("limits: {ros__parameters: {gain: [1, a]}}", r"'gain' cannot be \[1, 'a'\]"),
        ("limits: [", "is not valid YAML"),
        ("", "is empty"),
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence(tmp_path: Path, text, sentence) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ParameterOverrideError, match=sentence):
        overrides("--params-file", str(file))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ParameterOverrideError, match=r"/no/file\.yaml cannot be read"):
        overrides("--params-file", "/no/file.yaml")


# In the node itself


def test_a_parameter_is_declared_once_and_with_a_name(node) -> None:
    node.declare_parameters("group", [("a", 1), ("b", "x", ParameterDescriptor())])
    assert node.get_parameters_by_prefix("group")["b"].value == "x"
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("group.a", 2)
    with pytest.raises(InvalidParameterException):
        node.declare_parameter("", 2)
    with pytest.raises(ValueError, match="needs a default value"):
        node.declare_parameter("c")


def test_an_undeclared_parameter_is_no_parameter(node) -> None:
    for use in (
        lambda: node.get_parameter("a"),
        lambda: node.set_parameters([Parameter("a", value=1)]),
        lambda: node.describe_parameter("a"),
        lambda: node.undeclare_parameter("a"),
    ):
        with pytest.raises(ParameterNotDeclaredException):
            use()
    assert node.get_parameter_or("a", Parameter("a", value=7)).value == 7
    assert not node.has_parameter("a")


def test_a_parameter_without_a_value_must_get_one_before_it_is_read(node) -> None:
    node.declare_parameter("a", Parameter.Type.DOUBLE)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("a")
    node.set_parameters([Parameter("a", value=1.0)])
    assert node.get_parameter("a").value == 1.0


def test_a_declaration_that_breaks_its_own_range_is_refused(node) -> None:
    span = FloatingPointRange(from_value=0.0, to_value=1.0)
    descriptor = ParameterDescriptor(floating_point_range=[span])
    with pytest.raises(InvalidParameterValueException, match="out of range"):
        node.declare_parameter("a", 2.0, descriptor)
    assert not node.has_parameter("a")
    assert descriptor.name == ""


def test_a_type_that_may_change_changes(node) -> None:
    node.declare_parameter("a", 1, ParameterDescriptor(dynamic_typing=True))
    assert node.set_parameters([Parameter("a", value="x")])[0].successful
    assert node.describe_parameter("a").type == ParameterType.PARAMETER_STRING
    assert node.set_parameters([Parameter("a")])[0].successful
    assert not node.has_parameter("a")


def test_a_read_only_parameter_cannot_be_undeclared(node) -> None:
    node.declare_parameter("a", 1, ParameterDescriptor(read_only=True))
    node.declare_parameter("b", 1)
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("a")
    node.undeclare_parameter("b")
    assert not node.has_parameter("b")


def test_callbacks_change_judge_and_learn_in_this_order(node) -> None:
    node.declare_parameter("a", 1)
    node.declare_parameter("double_a", 2)
    seen = []

    def add_the_double(parameters):
        doubles = [Parameter("double_a", value=2 * p.value) for p in parameters]
        return [*parameters, *doubles]

    def judge(parameters):
        seen.append(("judged", [p.value for p in parameters]))
        return SetParametersResult(successful=parameters[0].value < 10, reason="too many")

    def learn(parameters):
        seen.append(("learnt", [p.value for p in parameters]))

    node.add_pre_set_parameters_callback(add_the_double)
    node.add_on_set_parameters_callback(judge)
    node.add_post_set_parameters_callback(learn)
    assert node.set_parameters([Parameter("a", value=4)])[0].successful
    assert node.set_parameters([Parameter("a", value=40)])[0].reason == "too many"
    assert seen == [("judged", [4, 8]), ("learnt", [4, 8]), ("judged", [40, 80])]
    assert [p.value for p in node.get_parameters(["a", "double_a"])] == [4, 8]
    node.remove_on_set_parameters_callback(judge)
    assert node.set_parameters([Parameter("a", value=40)])[0].successful


def test_an_override_of_the_wrong_type_is_refused(node) -> None:
    other = Node("other", parameter_overrides=[Parameter("a", value=1)])
    with pytest.raises(InvalidParameterTypeException, match="DOUBLE"):
        other.declare_parameter("a", 1.0)
    assert other.declare_parameter("a", 1.0, ignore_override=True).value == 1.0
    other.destroy_node()


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (None, Parameter.Type.NOT_SET),
        (True, Parameter.Type.BOOL),
        (1, Parameter.Type.INTEGER),
        (1.0, Parameter.Type.DOUBLE),
        ("1", Parameter.Type.STRING),
        ([b"1"], Parameter.Type.BYTE_ARRAY),
        ([True], Parameter.Type.BOOL_ARRAY),
        ([1, 2], Parameter.Type.INTEGER_ARRAY),
        (array("d", [1.0]), Parameter.Type.DOUBLE_ARRAY),
        (("a", "b"), Parameter.Type.STRING_ARRAY),
    ],
)
def test_the_type_follows_from_the_value_and_survives_the_message(value, type_) -> None:
    parameter = Parameter("a", value=value)
    assert parameter.type_ is type_
    back = Parameter.from_parameter_msg(parameter.to_parameter_msg())
    assert back.type_ is type_
    assert back.value == (list(value) if isinstance(value, tuple | array) else value)


@pytest.mark.parametrize("value", [{}, [1, 2.0], [1, "a"], object()])
def test_a_value_without_a_type_is_refused(value) -> None:
    with pytest.raises(TypeError, match="is not a value that a parameter can have"):
        Parameter("a", value=value)
