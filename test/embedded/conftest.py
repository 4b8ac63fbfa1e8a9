# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes over DDS; no test leaves one behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
RUN = """
import runpy, signal, sys
from magma_ros import embedded
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if the tests run in background
embedded.install()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

LAUNCHER = """
import sys
from pathlib import Path
from magma_ros.embedded.launch import launch, parse_arguments, LaunchError
try:
    sys.exit(launch(Path(sys.argv[1]), parse_arguments(sys.argv[2:])))
except LaunchError as error:
    sys.exit(f"error: {error}")
"""

INNER = """
launch:
- arg: {name: word, description: What to say.}
- arg: {name: loud, default: "no"}
- node: {pkg: probe, exec: tell, output: screen, args: $(var word) $(var loud) $(dirname)}
"""


class Process:
    """A process whose output is read line by line."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", *command],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        for line in self.process.stdout:
            self.output.append(line.rstrip())
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line matches {pattern!r} in\n" + "\n".join(self.output))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


class Program(Process):
    """A program of the folder ``programs`` in a process of its own."""

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(RUN, str(PROGRAMS / f"{name}.py"), *arguments)


class Launched(Process):
    """A launch in a process of its own."""

    def __init__(self, package: Path, text: str, *arguments: str) -> None:
        file = package / "test.launch.yaml"
        file.write_text(text)
        super().__init__(
            LAUNCHER,
            str(file),
            *arguments,
            PYTHONPATH=f"{package / 'site'}{os.pathsep}{ROOT}",
            AMENT_PREFIX_PATH=str(package / "prefix"),
            ROS_LOG_DIR=str(package / "log"),
        )

    def finish(self) -> int:
        """Read to the end; what it ends with."""
        rest, _ = self.process.communicate(timeout=60)
        self.output += rest.splitlines()
        return self.process.returncode

    @property
    def text(self) -> str:
        """Everything read so far."""
        return "\n".join(self.output)

    def told(self) -> list[dict]:
        """What the ``tell`` programs reported, in the order of the launch file."""
        found = {}
        for line in self.output:
            if match := re.match(r"\[tell-(\d+)\] (\{.*\})", line):
                found[int(match[1])] = json.loads(match[2])
        return [found[number] for number in sorted(found)]


@pytest.fixture
def node() -> Iterator[Node]:
    """A node of the test's own process."""
    rclpy.init()
    node = Node("tester")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def program() -> Iterator[type[Program]]:
    """Starts programs, and ends them after the test."""
    started = []

    def start(name: str, *arguments: str) -> Program:
        started.append(Program(name, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An installed package ``probe`` with console scripts and a share folder."""
    site = tmp_path / "site"
    info = site / "probe-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(PROGRAMS / "probe.py", site / "probe_programs.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    names = ("tell", "wait", "stubborn", "fail", "node", "succeed", "unusable", "deaf", "talk")
    lines = [f"{name} = probe_programs:{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[console_scripts]", *lines]))
    share = tmp_path / "prefix" / "share" / "probe"
    share.mkdir(parents=True)
    (share / "package.xml").write_text("<package/>")
    (share / "inner.launch.yaml").write_text(INNER)
    return tmp_path


@pytest.fixture
def begin(package: Path) -> Iterator[Callable[..., Launched]]:
    """Launches a file that knows ``probe``, and ends it after the test."""
    started = []

    def start(text: str, *arguments: str) -> Launched:
        started.append(Launched(package, text, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def run(begin: Callable[..., Launched]) -> Callable[..., Launched]:
    """Launches a file and waits until everything has ended."""

    def run_to_the_end(text: str, *arguments: str) -> Launched:
        launched = begin(text, *arguments)
        launched.finish()
        return launched

    return run_to_the_end
