# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files run on real processes: small programs of a package made for the test."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node

from magma_ros.embedded.launch.packages import share_directory

Launch = Callable[..., Any]


def ros_arguments(told: dict) -> list[str]:
    argv = told["argv"]
    return argv[argv.index("--ros-args") + 1 :]


def test_a_node_gets_its_name_namespace_remaps_environment_and_words(run: Launch) -> None:
    launched = run(
        """
        launch:
        - arg: {name: topic, default: "a topic"}
        - node:
            pkg: probe
            exec: tell
            name: eye
            namespace: left
            output: screen
            args: --file $(var topic) "two words"-$(var topic) -v
            ros_args: --log-level debug
            remap:
            - {from: image, to: camera/$(env NO_SUCH_VARIABLE front)}
            env:
            - {name: COLOUR, value: "red"}
        """,
    )
    (told,) = launched.told()
    assert launched.process.returncode == 0, launched.text
    words = ["--file", "a topic", "two words-a topic", "-v", "--ros-args", "--log-level", "debug"]
    names = ["-r", "__node:=eye", "-r", "__ns:=/left", "-r", "image:=camera/front"]
    assert told["argv"] == [*words, *names]
    assert told["env"]["COLOUR"] == "red"


def test_parameters_keep_the_order_and_the_types_of_the_launch_file(
    run: Launch, package: Path
) -> None:
    (package / "robot.yaml").write_text("/**: {ros__parameters: {gain: 1.0}}")
    launched = run(
        """
        launch:
        - let: {name: number, value: "2.5"}
        - node:
            pkg: probe
            exec: tell
            output: screen
            param:
            - {name: first, value: $(var number)}
            - {from: robot.yaml}
            - {name: text, value: $(var number), type: str}
            - {name: literal, value: "7"}
            - {name: list, value: [1, 2]}
            - {name: limits.speed, value: "$(var number)", type: float}
        """,
    )
    (told,) = launched.told()
    files = [yaml.safe_load(text) for text in told["parameters"]]
    assert [file["/**"]["ros__parameters"] for file in files] == [
        {"first": 2.5},
        {"gain": 1.0},
        {"text": "2.5"},
        {"literal": "7"},
        {"list": [1, 2]},
        {"limits.speed": 2.5},
    ]


def test_a_group_forgets_its_settings_at_its_end(run: Launch) -> None:
    tell = "node: {pkg: probe, exec: tell, output: screen, args: $(var colour)}"
    launched = run(
        f"""
        launch:
        - let: {{name: colour, value: red}}
        - group:
          - push_ros_namespace: {{namespace: outer}}
          - push_ros_namespace: {{namespace: ""}}
          - let: {{name: colour, value: blue}}
          - set_env: {{name: MARK, value: "1"}}
          - group:
            - push_ros_namespace: {{namespace: inner}}
            - {tell}
          - {tell}
        - {tell}
        - group:
            scoped: false
            children:
            - set_env: {{name: MARK, value: "2"}}
        - {tell}
        """,
    )
    told = launched.told()
    assert [t["argv"][0] for t in told] == ["blue", "blue", "red", "red"]
    spaces = [ros_arguments(t)[1:2] for t in told]
    assert spaces == [["__ns:=/outer/inner"], ["__ns:=/outer"], [], []]
    assert [t["env"].get("MARK") for t in told] == ["1", "1", None, "2"]


def test_remaps_of_a_group_come_before_those_of_the_node(run: Launch) -> None:
    launched = run(
        """
        launch:
        - group:
          - set_remap: {from: a, to: b}
          - node: {pkg: probe, exec: tell, output: screen, remap: [{from: c, to: d}]}
        - node: {pkg: probe, exec: tell, output: screen}
        """,
    )
    inside, outside = launched.told()
    assert ros_arguments(inside) == ["-r", "a:=b", "-r", "c:=d"]
    assert ros_arguments(outside) == []


def test_conditions_choose_the_nodes(run: Launch) -> None:
    launched = run(
        """
        launch:
        - arg: {name: robot, default: sim, choice: [{value: sim}, {value: arm}]}
        - arg: {name: record, default: "true"}
        - node: {pkg: probe, exec: tell, output: screen, args: a, if: $(var record)}
        - node: {pkg: probe, exec: tell, output: screen, args: b, unless: $(var record)}
        - node: {pkg: probe, exec: tell, output: screen, args: c, if: "$(equals $(var robot) arm)"}
        - node:
            {pkg: probe, exec: tell, output: screen, args: d, unless: "$(not $(var record))"}
        """,
        "robot:=arm",
        "record:=False",
    )
    assert [t["argv"][0] for t in launched.told()] == ["b", "c"]


def test_a_launched_node_has_the_name_parameters_and_topics_it_was_given(
    begin: Launch, package: Path, node: Node
) -> None:
    (package / "robot.yaml").write_text("/**: {ros__parameters: {gain: 1.5, mode: slow}}")
    launched = begin(
        """
        launch:
        - group:
          - push_ros_namespace: {namespace: left}
          - node:
              pkg: probe
              exec: node
              name: seeing
              output: screen
              param:
              - {from: robot.yaml}
              - {name: mode, value: fast}
              remap: [{from: image, to: /camera}]
        """,
    )
    launched.wait_for(r"\[node-1\] /left/seeing 1\.5 fast")
    for _ in range(300):
        rclpy.spin_once(node, timeout_sec=0.1)
        names = node.get_node_names_and_namespaces()
        if ("seeing", "/left") in names and node.count_publishers("/camera"):
            break
    else:
        pytest.fail(f"only {names} were discovered")
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 0, launched.text
    assert "[node-1] goodbye" in launched.output


def test_an_included_file_gets_its_arguments_and_its_own_folder(run: Launch, package: Path) -> None:
    share = package / "prefix" / "share" / "probe"
    launched = run(
        """
        launch:
        - include:
            file: $(find-pkg-share probe)/inner.launch.yaml
            arg:
            - {name: word, value: hello}
        - node: {pkg: probe, exec: tell, output: screen, args: $(dirname)}
        """,
        "loud:=yes",
    )
    inner, outer = launched.told()
    assert inner["argv"][:3] == ["hello", "yes", str(share)]
    assert outer["argv"][0] == str(package)


def test_the_share_folder_of_this_package_is_found() -> None:
    assert (share_directory("magma_ros") / "launch").is_dir()


def test_standard_output_goes_to_the_log_unless_the_screen_is_asked_for(
    run: Launch, package: Path
) -> None:
    launched = run(
        """
        launch:
        - node: {pkg: probe, exec: tell}
        - node: {pkg: probe, exec: fail}
        """,
    )
    assert launched.told() == []
    assert "[fail-2] cannot go on" in launched.output
    (log,) = (package / "log").glob("*/launch.log")
    assert "[tell-1] {" in log.read_text()
