# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes over DDS; no test leaves one behind."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
RUN = """
import runpy, sys
from magma_ros import embedded
embedded.install()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Program:
    """A program of the folder ``programs`` in a process of its own."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(PROGRAMS / f"{name}.py"), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
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
