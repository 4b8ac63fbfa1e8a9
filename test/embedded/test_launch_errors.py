# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files and words that are refused, and the words that describe what may be said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magma_ros.embedded.launch import LaunchError, describe_arguments, launch, parse_arguments

Launch = Callable[..., Any]


NODE = "- node: {pkg: probe, exec: tell, output: screen}"

REFUSED = {
    "an unknown key": (
        f"launch:\n{NODE}\n- node:\n    pkg: probe\n    exec: tell\n    parm: []",
        r"test\.launch\.yaml:3: unknown key 'parm' in node; its keys are args, env, exec, if,",
    ),
    "an unknown key in a list": (
        "launch:\n- node: {pkg: probe, exec: tell, remap: [{from: a, too: b}]}",
        r"yaml:2: unknown key 'too' in remap; its keys are from, to|remap lacks the key 'to'",
    ),
    "an unknown action": (
        f"launch:\n{NODE}\n- noed: {{}}",
        r"yaml:3: unknown action 'noed'; known are arg, let,",
    ),
    "a missing key": ("launch:\n- node: {pkg: probe}", r"yaml:2: node lacks the key 'exec'"),
    "a missing argument": (
        f"launch:\n{NODE}\n- arg: {{name: robot, description: The arm to drive.}}",
        r"yaml:3: argument 'robot' is required \(The arm to drive\.\); give it as robot:=VALUE",
    ),
    "a value outside the choices": (
        f"launch:\n{NODE}\n- arg: {{name: robot, default: z, choice: [{{value: a}}]}}",
        r"argument 'robot' cannot be 'z'; choose from a",
    ),
    "an unknown substitution": (
        f"launch:\n{NODE}\n- let: {{name: a, value: $(eval 1+1)}}",
        r"yaml:3: let value: unknown substitution \$\(eval\); known are and,",
    ),
    "an unset variable": (f"launch:\n{NODE}\n- let: {{name: a, value: $(var b)}}", r"yaml:3: "),
    "an unset environment variable": (
        f"launch:\n{NODE}\n- let: {{name: a, value: $(env NO_SUCH_VARIABLE)}}",
        "NO_SUCH_VARIABLE is not set and has no default",
    ),
    "text that is no text": (
        f"launch:\n{NODE}\n- arg: {{name: a, default: true}}",
        "yaml:3: arg default: must be text; put it in quotes",
    ),
    "an executable that is not there": (
        f"launch:\n{NODE}\n- node: {{pkg: probe, exec: nothing}}",
        "executable 'nothing' of package 'probe' was not found; it has deaf, fail, node,",
    ),
    "a package that is not there": (
        f"launch:\n{NODE}\n- let: {{name: a, value: $(find-pkg-share nothing)}}",
        "package 'nothing' was not found",
    ),
    "a parameter file that is not there": (
        f"launch:\n{NODE}\n- node: {{pkg: probe, exec: tell, param: [{{from: /no/file.yaml}}]}}",
        "parameter file /no/file.yaml does not exist",
    ),
    "an included file that is not there": (
        f"launch:\n{NODE}\n- include: {{file: nothing.launch.yaml}}",
        "nothing.launch.yaml cannot be read",
    ),
    "an include without a required argument": (
        "launch:\n- include: {file: prefix/share/probe/inner.launch.yaml}",
        r"yaml:2: .*inner\.launch\.yaml requires the argument 'word' \(What to say\.\); pass it",
    ),
    "a file that includes itself": (
        f"launch:\n{NODE}\n- include: {{file: test.launch.yaml}}",
        "includes itself",
    ),
    "a parameter of the wrong type": (
        "launch:\n- node: {pkg: probe, exec: tell, param: [{name: a, value: x, type: int}]}",
        "parameter 'a' is 'x', not int",
    ),
    "a condition that is none": (
        f"launch:\n{NODE}\n- let: {{name: a, value: b, if: maybe}}",
        "'maybe' is not a condition",
    ),
    "a namespace that is none": (
        f"launch:\n- push_ros_namespace: {{namespace: robot-1}}\n{NODE}",
        "'/robot-1' is not a namespace: it takes letters, digits and _",
    ),
    "a node's name that is none": (
        "launch:\n- node: {pkg: probe, exec: tell, name: 2nd}",
        "'2nd' is not a node name",
    ),
    "a topic's name that is none": (
        "launch:\n- node: {pkg: probe, exec: tell, remap: [{from: a, to: b c}]}",
        "'b c' is not the name of a topic or service",
    ),
    "a command that fails": (
        f"launch:\n{NODE}\n- let: {{name: a, value: $(command 'ls /nowhere')}}",
        r"yaml:3: ls: cannot access '?/nowhere'?: No such file",
    ),
    "a command that is not there": (
        f"launch:\n{NODE}\n- let: {{name: a, value: $(command no-such-command)}}",
        "the command 'no-such-command' cannot be run",
    ),
    "words that cannot be split": (
        f"launch:\n{NODE}\n- node: {{pkg: probe, exec: tell, args: it's}}",
        "No closing quotation",
    ),
    "no YAML": ("launch: [", "is not valid YAML"),
    "no launch file": ("nodes: []", "must hold one key, 'launch'"),
}


@pytest.fixture
def here(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes ``probe`` known in this process, for launches that end before they start anything."""
    monkeypatch.syspath_prepend(str(package / "site"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(package / "prefix"))
    monkeypatch.setenv("ROS_LOG_DIR", str(package / "log"))
    return package


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_file_is_refused_in_one_sentence_before_anything_starts(
    here: Path, name: str
) -> None:
    text, sentence = REFUSED[name]
    file = here / "test.launch.yaml"
    file.write_text(text)
    with pytest.raises(LaunchError, match=sentence) as raised:
        launch(file)
    assert "\n" not in str(raised.value)
    assert not (here / "log").exists()


def test_an_argument_that_no_file_declares_is_refused(run: Launch) -> None:
    launched = run(f"launch:\n- arg: {{name: robot, default: a}}\n{NODE}", "robt:=b")
    assert launched.process.returncode == 1
    (line,) = launched.output
    assert line.endswith("has no argument 'robt'; its arguments are robot")


def test_a_missing_launch_file_is_named() -> None:
    with pytest.raises(LaunchError, match=r"nowhere\.launch\.yaml cannot be read"):
        launch(Path("nowhere.launch.yaml"))


@pytest.mark.parametrize("word", ["robot", "robot=sim", ":=sim"])
def test_a_word_that_is_no_argument_is_refused(word: str) -> None:
    with pytest.raises(LaunchError, match="write it as name:=value"):
        parse_arguments([word])


def test_the_arguments_are_described_with_defaults_and_choices(tmp_path: Path) -> None:
    file = tmp_path / "a.launch.yaml"
    file.write_text(
        """
        launch:
        - arg: {name: robot, description: The arm., default: sim, choice: [{value: sim}]}
        - group:
          - arg: {name: config, default: $(find-pkg-share probe)/config}
        - arg: {name: must}
        """
    )
    assert describe_arguments(file).splitlines()[2:] == [
        "    'robot':",
        "        The arm. Choose from sim.",
        "        (default: 'sim')",
        "",
        "    'config':",
        "        no description given",
        "        (default: '$(find-pkg-share probe)/config')",
        "",
        "    'must':",
        "        no description given",
    ]
