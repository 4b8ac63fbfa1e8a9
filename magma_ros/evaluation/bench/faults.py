# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a moving arm when a part fails: which faults are tried, and how each is judged.

The processes are started by the command line; the faults are made, and what follows is recorded, by
``magma_ros.nodes.fault_wire``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from statistics import median_high
from typing import Any

from magma_ros.evaluation.report.tables import Grid

FORMAT = "magma-faults-bench/1"
"""Mark of the JSON."""

LIMIT = 0.3
"""Longest time from a fault to zero velocity [s]."""

STILL = 0.005
"""Speed below which the arm counts as still [m/s]."""

WATCHED = 5.0
"""Time for which is watched what follows a fault [s]."""


class Outcome(Enum):
    """What must follow a fault."""

    STILL = "the arm stands still"
    GOES_ON = "the arm is driven on, safely"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is made while the arm moves.

    Attributes:
        name: Short name, as the command line knows it.
        what: What is done, for people.
        outcome: What must follow.
        driver: Who drives the arm: ``policy``, ``person``, or ``bench``, which plays the policy.
        arguments: Of ``launch/faults.launch.yaml``.
    """

    name: str
    what: str
    outcome: Outcome = Outcome.STILL
    driver: str = "policy"
    arguments: tuple[tuple[str, str], ...] = ()


_NO_POLICY = (("policy", "false"),)
_DEPTH = (("perception", "true"), ("depth_rate", "15.0"))
_CONSOLE = (("policy", "false"), ("console", "true"))

FAULTS: tuple[Fault, ...] = (
    Fault("policy-killed", "policy killed (SIGKILL)"),
    Fault("policy-hung", "policy hung (SIGSTOP)"),
    Fault("guard-killed", "guard killed (SIGKILL); the robot's own time-out must hold"),
    Fault("guard-hung", "guard hung (SIGSTOP); likewise"),
    Fault("camera-silent", "camera unplugged"),
    Fault("camera-frozen", "camera frozen: the same picture with new stamps"),
    Fault("camera-black", "camera black"),
    Fault("stamps-stale", "pictures stamped 5 s ago"),
    Fault("stamps-future", "pictures stamped 5 s ahead"),
    Fault("joints-lost", "joint states lost"),
    Fault("pose-lost", "pose of the end effector lost"),
    Fault("depth-lost", "depth lost, where obstacles are looked for", arguments=_DEPTH),
    Fault(
        "clock-back", "clock and all stamps jump back by 3 s", arguments=(("use_sim_time", "true"),)
    ),
    Fault("twist-nan", "policy sends NaN", driver="bench", arguments=_NO_POLICY),
    Fault("twist-infinite", "policy sends infinity", driver="bench", arguments=_NO_POLICY),
    Fault("twist-huge", "policy sends 1e6 m/s", driver="bench", arguments=_NO_POLICY),
    Fault("foreign-policy", "a second publisher on policy/twist"),
    Fault("foreign-robot", "a second publisher on the robot's commands"),
    Fault(
        "console-killed", "console killed mid-jog (SIGKILL)", driver="person", arguments=_CONSOLE
    ),
    Fault("console-hung", "console hung mid-jog (SIGSTOP)", driver="person", arguments=_CONSOLE),
    Fault(
        "page-lost", "the operator's connection lost mid-jog", driver="person", arguments=_CONSOLE
    ),
    Fault(
        "page-stalled",
        "the operator's connection stalls mid-jog",
        driver="person",
        arguments=_CONSOLE,
    ),
    Fault(
        "two-operators",
        "a second operator wants to jog",
        Outcome.GOES_ON,
        driver="person",
        arguments=_CONSOLE,
    ),
    Fault("flood", "every message ten times", Outcome.GOES_ON),
    Fault("disk-full", "the recorder can write no more", Outcome.GOES_ON),
    Fault("terminated", "SIGTERM of everything"),
)
"""Every fault that is tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What followed a fault.

    Attributes:
        fault: Name of the fault.
        command_zero: Time to the first zero command after which none was other than zero [s];
            ``inf`` if there was none, or the last command was no zero.
        arm_still: Time to the moment from which on the arm was measured still [s].
        told: Time to the first word about it [s]; ``inf`` for none.
        sentence: What the operator was told: the guard's mode and reason, or another node's words.
        problem: Why the trial could not be made, or empty.
    """

    fault: str
    command_zero: float = math.inf
    arm_still: float = math.inf
    told: float = math.inf
    sentence: str = ""
    problem: str = ""

    def failure(self, outcome: Outcome) -> str:
        """What is wrong with it, or empty."""
        if self.problem:
            return self.problem
        if not self.sentence:
            return "nobody was told"
        if outcome is Outcome.STILL and self.arm_still > LIMIT:
            return f"the arm moved for {self.arm_still:.2f} s"
        if outcome is Outcome.GOES_ON and math.isfinite(self.arm_still):
            return "the arm stopped"
        return ""


def find_faults(names: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of these names, all without any.

    Raises:
        ValueError: There is no such fault.
    """
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no fault {unknown[0]!r}; known: {', '.join(known)}")
    return tuple(known[name] for name in names) or FAULTS


def faults_grid(trials: Sequence[Trial]) -> Grid:
    """The trials as a table, a row for each fault: what was worst, and in brackets the median."""
    by_name = {fault.name: fault for fault in FAULTS}
    tried: dict[str, list[Trial]] = {}
    for trial in trials:
        tried.setdefault(trial.fault, []).append(trial)
    repeats = max(map(len, tried.values()), default=1)
    note = f" Each was tried {repeats} times: the longest times, and in brackets the medians."
    return Grid(
        "What follows when a part fails while the arm moves",
        ("fault", "what is told", "verdict", "zero command [s]", "arm still [s]", "told [s]"),
        [_row(by_name[name], same) for name, same in tried.items()],
        f"Within {LIMIT} s the arm must be still, measured below {1e3 * STILL:.0f} mm/s."
        + (note if repeats > 1 else ""),
        text_columns=3,
    )


def _row(fault: Fault, trials: list[Trial]) -> tuple[str, ...]:
    """Every trial of a fault; what is told is that of the first that failed, or else the first."""
    failures = [trial.failure(fault.outcome) for trial in trials]
    failed = [wrong for wrong in failures if wrong]
    verdict = failed[0] if failed else "ok"
    if len(trials) > 1:
        verdict = f"{len(failed)} of {len(trials)}: {verdict}" if failed else f"ok, {len(trials)}"
    told = trials[failures.index(failed[0])] if failed else trials[0]
    times = [
        [getattr(trial, name) for trial in trials] for name in ("command_zero", "arm_still", "told")
    ]
    return fault.what, told.sentence, verdict, *map(_worst, times)


def faults_json(trials: Sequence[Trial]) -> dict[str, Any]:
    """The trials as plain data; infinite times are null."""
    rows = []
    for trial in trials:
        row = asdict(trial)
        rows.append({k: None if v == math.inf else v for k, v in row.items()})
    return {"format": FORMAT, "limit_s": LIMIT, "trials": rows}


def _worst(values: list[float]) -> str:
    """The longest of several times and their median [s]."""
    longest = _seconds(max(values))
    return longest if len(values) == 1 else f"{longest} ({_seconds(median_high(values))})"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "never"
