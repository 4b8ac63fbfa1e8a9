# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real processes over DDS: every test has a domain of its own, and leaves no process behind."""

import itertools
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from magma_ros import embedded

embedded.install()

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]
DOMAINS = itertools.cycle(random.SystemRandom().sample(range(20, 230), 210))
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


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain that no other test uses at the same time."""
    number = next(DOMAINS)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


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
