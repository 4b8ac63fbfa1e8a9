# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files run on real processes: small programs of a package made for the test."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rclpy
import yaml
from rclpy.node import Node

from magma_ros.embedded.launch import LaunchError, describe_arguments, launch, parse_arguments
from magma_ros.embedded.launch.packages import share_directory

ROOT = Path(__file__).parents[2]

LAUNCHER = """
import sys
from pathlib import Path
from magma_ros.embedded.launch import launch, parse_arguments, LaunchError
try:
    sys.exit(launch(Path(sys.argv[1]), parse_arguments(sys.argv[2:])))
except LaunchError as error:
    sys.exit(f"error: {error}")
"""

PROGRAMS = '''
"""Programs that tell what they were given, or behave as badly as real ones do."""
import json, os, pathlib, signal, sys, time

def tell():
    files = [b for a, b in zip(sys.argv, sys.argv[1:]) if a == "--params-file"]
    parameters = [pathlib.Path(file).read_text() for file in files]
    told = {"argv": sys.argv[1:], "env": dict(os.environ), "parameters": parameters}
    print(json.dumps(told), flush=True)

def wait():
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        time.sleep(0.05)

def stubborn():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        time.sleep(0.05)

def node():
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node
    from std_msgs.msg import String

    rclpy.init()
    node = Node("eye")
    node.create_publisher(String, "image", 1)
    gain, mode = node.declare_parameter("gain", 0.0), node.declare_parameter("mode", "off")
    print(node.get_fully_qualified_name(), gain.value, mode.value, flush=True)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        print("goodbye", flush=True)

def fail():
    print("cannot go on", file=sys.stderr, flush=True)
    return 3
'''


INNER = """
launch:
- arg: {name: word, description: What to say.}
- arg: {name: loud, default: "no"}
- node: {pkg: probe, exec: tell, output: screen, args: $(var word) $(var loud) $(dirname)}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An installed package ``probe`` with console scripts and a share folder."""
    site = tmp_path / "site"
    info = site / "probe-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "probe_programs.py").write_text(PROGRAMS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    names = ("tell", "wait", "stubborn", "fail", "node")
    lines = [f"{name} = probe_programs:{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[console_scripts]", *lines]))
    share = tmp_path / "prefix" / "share" / "probe"
    share.mkdir(parents=True)
    (share / "package.xml").write_text("<package/>")
    (share / "inner.launch.yaml").write_text(INNER)
    return tmp_path


class Launched:
    """A launch in a process of its own."""

    def __init__(self, package: Path, text: str, *arguments: str) -> None:
        self.file = package / "test.launch.yaml"
        self.file.write_text(text)
        environment = {
            **os.environ,
            "PYTHONPATH": f"{package / 'site'}{os.pathsep}{ROOT}",
            "AMENT_PREFIX_PATH": str(package / "prefix"),
            "ROS_LOG_DIR": str(package / "log"),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(self.file), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        for line in self.process.stdout:
            self.output.append(line.rstrip())
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line matches {pattern!r} in {self.output}")

    def finish(self) -> int:
        rest, _ = self.process.communicate(timeout=60)
        self.output += rest.splitlines()
        return self.process.returncode

    @property
    def text(self) -> str:
        return "\n".join(self.output)

    def told(self) -> list[dict]:
        """What the ``tell`` programs reported, in the order of the launch file."""
        found = {}
        for line in self.output:
            if match := re.match(r"\[tell-(\d+)\] (\{.*\})", line):
                found[int(match[1])] = json.loads(match[2])
        return [found[number] for number in sorted(found)]


def run(package: Path, text: str, *arguments: str) -> Launched:
    launched = Launched(package, text, *arguments)
    launched.finish()
    return launched


def ros_arguments(told: dict) -> list[str]:
    argv = told["argv"]
    return argv[argv.index("--ros-args") + 1 :]


def test_a_node_gets_its_name_namespace_remaps_environment_and_words(package: Path) -> None:
    launched = run(
        package,
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


def test_parameters_keep_the_order_and_the_types_of_the_launch_file(package: Path) -> None:
    (package / "robot.yaml").write_text("/**: {ros__parameters: {gain: 1.0}}")
    launched = run(
        package,
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


def test_a_group_forgets_its_settings_at_its_end(package: Path) -> None:
    tell = "node: {pkg: probe, exec: tell, output: screen, args: $(var colour)}"
    launched = run(
        package,
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


def test_remaps_of_a_group_come_before_those_of_the_node(package: Path) -> None:
    launched = run(
        package,
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


def test_conditions_choose_the_nodes(package: Path) -> None:
    launched = run(
        package,
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


def test_a_launched_node_has_the_name_parameters_and_topics_it_was_given(package: Path) -> None:
    (package / "robot.yaml").write_text("/**: {ros__parameters: {gain: 1.5, mode: slow}}")
    launched = Launched(
        package,
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
    rclpy.init()
    tester = Node("tester")
    while not tester.count_publishers("/camera"):
        rclpy.spin_once(tester, timeout_sec=0.1)
    assert ("seeing", "/left") in tester.get_node_names_and_namespaces()
    tester.destroy_node()
    rclpy.shutdown()
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 0, launched.text
    assert "[node-1] goodbye" in launched.output


def test_an_included_file_gets_its_arguments_and_its_own_folder(package: Path) -> None:
    share = package / "prefix" / "share" / "probe"
    launched = run(
        package,
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


def test_a_killed_node_is_respawned_after_its_delay(package: Path) -> None:
    launched = Launched(
        package,
        """
        launch:
        - node:
            {pkg: probe, exec: wait, output: screen, respawn: "true", respawn_delay: 0.5}
        """,
    )
    first = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    launched.wait_for("ready")
    killed = time.monotonic()
    os.kill(first, signal.SIGKILL)
    second = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    assert time.monotonic() - killed >= 0.5
    assert second != first
    assert f"process has died [pid {first}, exit code -9]" in launched.text
    launched.wait_for("ready")
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 0, launched.text


def test_respawning_ends_after_its_retries_and_the_launch_fails(package: Path) -> None:
    launched = run(
        package,
        """
        launch:
        - node: {pkg: probe, exec: fail, respawn: "true", respawn_max_retries: 2}
        """,
    )
    assert launched.text.count("process started") == 3
    assert launched.text.count("[fail-1] cannot go on") == 3
    assert launched.process.returncode == 1


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launch_ends_every_process(package: Path, asked: signal.Signals) -> None:
    launched = Launched(
        package,
        """
        launch:
        - node: {pkg: probe, exec: wait, output: screen}
        - node: {pkg: probe, exec: wait, output: screen}
        """,
    )
    launched.wait_for("ready")
    launched.wait_for("ready")
    launched.process.send_signal(asked)
    assert launched.finish() == 0, launched.text
    assert launched.text.count("process has finished cleanly") == 2


def test_a_process_that_will_not_end_is_killed_and_the_launch_fails(package: Path) -> None:
    launched = Launched(
        package,
        """
        launch:
        - node:
            pkg: probe
            exec: stubborn
            output: screen
            sigterm_timeout: 0.3
            sigkill_timeout: 0.3
        """,
    )
    pid = int(launched.wait_for(r"started with pid \[(\d+)\]")[1])
    launched.wait_for("ready")
    launched.process.send_signal(signal.SIGINT)
    assert launched.finish() == 1
    sent = re.findall(r"sending signal '(\w+)'", launched.text)
    assert sent == ["SIGINT", "SIGTERM", "SIGKILL"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_required_process_takes_the_others_with_it(package: Path) -> None:
    launched = run(
        package,
        """
        launch:
        - node: {pkg: probe, exec: wait}
        - node: {pkg: probe, exec: fail, on_exit: shutdown}
        """,
    )
    assert "process[fail-2] was required" in launched.text
    assert launched.process.returncode == 1


def test_standard_output_goes_to_the_log_unless_the_screen_is_asked_for(package: Path) -> None:
    launched = run(
        package,
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
        "executable 'nothing' of package 'probe' was not found; it has fail, node, stubborn,",
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


def test_an_argument_that_no_file_declares_is_refused(package: Path) -> None:
    launched = run(package, f"launch:\n- arg: {{name: robot, default: a}}\n{NODE}", "robt:=b")
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
