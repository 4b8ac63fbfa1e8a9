# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts a robot for each fault, lets its arm move, makes the fault, and watches what follows."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from magma_ros.embedded.domains import own_domain
from magma_ros.environment import environment
from magma_ros.evaluation.bench.faults import WATCHED, Fault, Trial
from magma_ros.evaluation.bench.handovers import HandOver
from magma_ros.machine import free_port
from magma_ros.share import share_file
from magma_ros.types import MagmaError

START_TIME = 60.0
"""Longest wait for the arm to move [s]."""

LEAD_IN = 0.5
"""Time for which the arm moves before the fault [s]."""

_STARTED = re.compile(r"\[(\w+)-\d+\]: process started with pid \[(\d+)\]")


class Robot:
    """The processes of one launch.

    Args:
        arguments: Of the launch file.
        log: File for what they say.
        launch: The launch file, in ``launch/``.
    """

    def __init__(
        self, arguments: dict[str, str], log: Path, launch: str = "faults.launch.yaml"
    ) -> None:
        words = [f"{name}:={value}" for name, value in arguments.items()]
        file_of_launch = share_file("launch", launch)
        self._log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
                [sys.executable, "-m", "magma_ros.cli", "launch", str(file_of_launch), *words],
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def pid(self, executable: str) -> int:
        """The newest process of an executable.

        Raises:
            LookupError: None has been started.
        """
        found = dict(_STARTED.findall(self._log.read_text(errors="replace")))
        if executable not in found:
            raise LookupError(f"{executable} was not started; see {self._log}")
        return int(found[executable])

    def signal(self, executable: str, number: signal.Signals) -> None:
        """Send a signal to one process."""
        os.kill(self.pid(executable), number)

    def terminate(self) -> None:
        """Ask all to end."""
        self._process.terminate()

    def launcher_words(self) -> str:
        """What the launcher last said about its own end, or empty."""
        said = re.findall(r"\[launch\]: (.*shutting down)", self._log.read_text(errors="replace"))
        return said[-1] if said else ""

    def close(self) -> None:
        """End all, also those that have been stopped."""
        for _, pid in _STARTED.findall(self._log.read_text(errors="replace")):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGCONT)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self._process.kill()
        self._process.wait()


def run_faults(
    faults: tuple[Fault, ...], folder: Path, repeats: int = 1, *, console: Console | None = None
) -> list[Trial]:
    """Try each fault on a robot of its own.

    Args:
        faults: What to try.
        folder: For the logs and recordings.
        repeats: How often to try each, one time after the other.
        console: Where to draw a progress bar, or None for none.
    """
    trials = []
    with Progress(console=console, auto_refresh=False, disable=console is None) as progress:
        bar = progress.add_task("faults", total=repeats * len(faults))
        for fault, number in product(faults, range(repeats)):
            name = f"{fault.name}-{number}" if number else fault.name
            progress.update(bar, description=name, refresh=True)
            trials.append(_try(fault, folder, name))
            progress.update(bar, advance=1, refresh=True)
    return trials


def _try(fault: Fault, folder: Path, name: str) -> Trial:
    from magma_ros.nodes.fault_injection import INJECTIONS, Scene, drive
    from magma_ros.nodes.fault_wire import FaultWire

    with own_domain() as domain, environment(ROS_DOMAIN_ID=str(domain)):
        wire = FaultWire()
        port = free_port()
        arguments = dict(fault.arguments) | {
            "run_dir": str((folder / name).absolute()),
            "console_port": str(port),
        }
        robot = Robot(arguments, folder / f"{name}.log")
        scene = Scene(wire, robot, port)
        try:
            drive(fault.driver, scene, START_TIME)
            time.sleep(LEAD_IN)
            began = time.monotonic()
            INJECTIONS[fault.name](scene)
            time.sleep(WATCHED)
            return scene.trial(fault, began)
        except (LookupError, TimeoutError, OSError) as error:
            return Trial(fault.name, problem=str(error))
        finally:
            scene.close()
            robot.close()
            wire.close()


def run_handovers(
    count: int, seed: int, folder: Path, *, console: Console | None = None
) -> list[HandOver]:
    """Let a person at the console take the arm from the policy and give it back.

    Args:
        count: Hand-overs, both ways together.
        seed: Of the random moments and motions.
        folder: For the logs and recordings.
        console: Where to draw a progress bar, or None for none.

    Raises:
        MagmaError: They could not be made.
    """
    from magma_ros.console.operator import Operator
    from magma_ros.nodes.fault_injection import Scene, drive
    from magma_ros.nodes.fault_wire import FaultWire
    from magma_ros.nodes.handover_trial import HandOvers

    port = free_port()
    arguments = {
        "run_dir": str((folder / "handovers").absolute()),
        "console": "true",
        "console_port": str(port),
    }
    handed: list[HandOver] = []
    with own_domain() as domain, environment(ROS_DOMAIN_ID=str(domain)):
        wire = FaultWire()
        robot = Robot(arguments, folder / "handovers.log")
        operator: Operator | None = None
        try:
            drive("policy", Scene(wire, robot, port), START_TIME)
            operator = Operator(f"http://127.0.0.1:{port}", "bench")
            operator.take_lease()
            trial = HandOvers(wire, operator, seed)
            with Progress(console=console, disable=console is None) as progress:
                bar = progress.add_task("hand-overs", total=count)
                while len(handed) < count:
                    handed += trial.both_ways()
                    progress.update(bar, completed=len(handed))
        except (TimeoutError, LookupError) as error:
            log = folder / "handovers.log"
            raise MagmaError(f"no hand-over after {len(handed)}: {error}; see {log}") from error
        finally:
            if operator is not None:
                operator.close()
            robot.close()
            wire.close()
    return handed
