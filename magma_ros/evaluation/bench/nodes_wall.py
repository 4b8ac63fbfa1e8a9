# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long from a camera's stamp to the guard's command, through the real nodes over DDS.

Everything between is in the figure: DDS and the executor of the policy node, decoding,
preprocessing, inference, the hand-over, the command stream, DDS again, the guard and its period.
This module specifies the runs and evaluates the records; the processes are started by the command
line, and the records are made by ``magma_ros.nodes.latency_probe_node``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from magma_ros.evaluation.bench.gate_plan import ADAPTIVE, Contender, full_depth
from magma_ros.evaluation.bench.wall import (
    HOG,
    QUIET,
    SERVED,
    WATCHED,
    Machine,
    Tick,
    WallBenchError,
    example_clips,
    this_machine,
)
from magma_ros.evaluation.computers.browsers import find_browser
from magma_ros.evaluation.computers.hog import find_hog
from magma_ros.files import json_mapping
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of
from magma_ros.types import FloatArray, MagmaError, Observation, Reason

RESERVE = 0.002
"""Part of a period that is reserved for DDS, besides the guard's own [s]."""

NO_DEADLINE = 10.0
"""Deadline of a contender without a clock [s]."""

LEAD = 1.0
"""Time for which the policy drives before pictures count [s]."""

LEAST_SEEN = 1.0
"""Pictures of each camera a second at and below which nobody can be said to have watched [Hz]."""

TOOL_DOWN = (1.0, 0.0, 0.0, 0.0)
"""Orientation of the tool while the bench plays, as a quaternion x y z w."""


@dataclass(frozen=True, slots=True)
class NodesSpec:
    """What to measure.

    Attributes:
        ticks: Pictures shown to each contender at each rate under each condition.
        rates: Pictures a second [Hz].
        block: Ticks of one contender before it is the next one's turn; with each block all
            processes are started anew.
        hog: Whether to repeat everything with every core kept busy.
        browsers: How many watch the console while everything is repeated, before which as many
            programs take its pictures without drawing them; 0 for neither.
        full_depth: Whether full depth takes turns with the gate.

    Raises:
        WallBenchError: A number is out of range.
        HogError: The hog is asked for, but not installed.
        BrowserError: Browsers are asked for, but not installed.
    """

    ticks: int = 10_000
    rates: tuple[float, ...] = (10.0, 50.0)
    block: int = 1000
    hog: bool = True
    browsers: int = 0
    full_depth: bool = True

    def __post_init__(self) -> None:
        for name in ("ticks", "block"):
            if (value := getattr(self, name)) < 1:
                raise WallBenchError(f"{name} must be at least 1, not {value}")
        if not self.rates or not all(0.5 <= rate <= 100.0 for rate in self.rates):
            raise WallBenchError(
                f"rates must be one or more numbers from 0.5 to 100 Hz, not {self.rates}"
            )
        if self.hog:
            find_hog()  # fail now, not after minutes
        if self.browsers < 0:
            raise WallBenchError(f"browsers must not be negative, but are {self.browsers}")
        if self.browsers:
            find_browser()

    @property
    def alternating(self) -> tuple[str, ...]:
        """Conditions that take turns block by block."""
        return (QUIET, SERVED, WATCHED) if self.browsers else (QUIET,)


@dataclass(frozen=True, slots=True)
class Block:
    """One run of the nodes.

    Attributes:
        rate: Pictures a second [Hz].
        contender: How the policy decides.
        ticks: Pictures that count.
    """

    rate: float
    contender: Contender
    ticks: int

    @property
    def deadline(self) -> float:
        """Time from a camera's stamp to the guard's command [s]: one period."""
        return 1.0 / self.rate

    @property
    def guard_rate(self) -> float:
        """Commands of the guard a second [Hz]: 50 as by default, or four for each picture."""
        return min(200.0, max(50.0, 4.0 * self.rate))

    @property
    def policy_deadline(self) -> float:
        """What of the deadline is left to the policy [s]."""
        if self.contender.patient:
            return NO_DEADLINE
        return self.deadline - 1.0 / self.guard_rate - RESERVE

    @property
    def warm_up(self) -> int:
        """Pictures shown before those that count."""
        return math.ceil(LEAD * self.rate)

    def arguments(self) -> dict[str, str]:
        """Those of ``launch/latency.launch.yaml`` that depend on the block."""
        depth = dict(self.contender.options).get("depth", 1)
        return {
            "gate": self.contender.gate,
            "depth": str(depth),
            "deadline": repr(self.policy_deadline),
            "rate": repr(self.rate),
            "command_rate": repr(self.guard_rate),
            "ticks": str(self.ticks),
            "warm_up": str(self.warm_up),
        }


class Shown(BaseModel):
    """A picture that was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stamp_ns: int
    late_s: float


class Planned(BaseModel):
    """The policy's report on one observation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    observation_ns: int
    command_ns: int
    depth: int
    flops_fraction: float
    reason: str


class Record(BaseModel):
    """The probe's record of one block.

    Attributes:
        shown: Pictures that count, in order.
        plans: The policy's reports, those of the warm-up included.
        follows: Pairs: stamp of a command of the guard, stamp of the policy's command it follows.
        holds: Why the guard held, as often as it did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shown: tuple[Shown, ...]
    plans: tuple[Planned, ...]
    follows: tuple[tuple[int, int], ...]
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What those who watched a console took of its pictures while a block was played.

    Attributes:
        pictures: By watcher: pictures of the camera of which it took fewest.
        seconds: In how long a time [s].
    """

    pictures: tuple[int, ...]
    seconds: float

    @property
    def rates(self) -> tuple[float, ...]:
        """Pictures a second, by watcher [Hz]."""
        return tuple(count / self.seconds for count in self.pictures)


@dataclass(frozen=True, slots=True)
class NodesBench:
    """What came out.

    Attributes:
        spec: What was asked for.
        manifest: The policy's contract.
        checksum: SHA-256 of the manifest.
        machine: Where it ran.
        ticks: By rate [Hz], condition and contender.
        holds: How often the guard held, by the same key.
        seen: What was seen of the console's pictures, block by block; no key where none watched.
    """

    spec: NodesSpec
    manifest: Manifest
    checksum: str
    machine: Machine
    ticks: dict[tuple[float, str, str], list[Tick]] = field(default_factory=dict)
    holds: dict[tuple[float, str, str], int] = field(default_factory=dict)
    seen: dict[tuple[float, str, str], list[Seen]] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: NodesSpec, bundle: Path) -> NodesBench:
        """An empty one, for a bundle on this machine.

        Raises:
            BundleError: The bundle is missing or damaged.
        """
        return cls(spec, read_manifest(bundle), sha256_of(bundle / MANIFEST), this_machine())

    def add(self, block: Block, condition: str, record: Record, seen: Seen | None = None) -> None:
        """Add the record of a block, and what was seen of it."""
        key = block.rate, condition, block.contender.label
        full = sum(stage.flops for stage in self.manifest.stages)
        self.ticks.setdefault(key, []).extend(ticks_of(record, full, 0.05 / block.rate))
        self.holds[key] = self.holds.get(key, 0) + len(record.holds)
        if seen is not None:
            self.seen.setdefault(key, []).append(seen)


def contenders(exits: int) -> tuple[Contender, ...]:
    """The gate, and full depth without a clock."""
    return ADAPTIVE, full_depth(exits)


def blocks(spec: NodesSpec, rate: float, exits: int) -> Iterator[tuple[str, Block]]:
    """All blocks of one rate and their conditions: these and contenders take turns.

    So whatever comes over the machine comes over all alike. The hog comes last.
    """
    playing = [who for who in contenders(exits) if spec.full_depth or not who.patient]
    for conditions in (spec.alternating, (HOG,) if spec.hog else ()):
        for first in range(0, spec.ticks, spec.block):
            for condition, contender in product(conditions, playing):
                yield condition, Block(rate, contender, min(spec.block, spec.ticks - first))


def read_record(path: Path) -> Record:
    """What the probe wrote.

    Raises:
        WallBenchError: The file is missing or not of that form, or no picture counted.
    """
    log = path.with_suffix(".log")
    try:
        record = Record.model_validate(json_mapping(path))
    except (MagmaError, ValueError) as error:
        raise WallBenchError(f"the nodes left no usable record ({error}); see {log}") from error
    if not record.shown:
        why = record.holds[-1] if record.holds else "it was never handed to the policy"
        raise WallBenchError(f"the arm was not driven, so no picture counted: {why}; see {log}")
    return record


def ticks_of(record: Record, full_flops: int, tolerance: float) -> list[Tick]:
    """What became of each picture.

    Its answer is the guard's first command that follows the first twist of its plan, or a later one
    of the policy's.

    Args:
        record: Of the probe.
        full_flops: Floating-point operations of thinking to the end.
        tolerance: How late a picture may be shown before that is called the probe's fault [s].
    """
    follows = sorted(record.follows, key=lambda pair: pair[1])
    references = [reference for _, reference in follows]
    plans = sorted(record.plans, key=lambda plan: plan.observation_ns)
    observed = [plan.observation_ns for plan in plans]
    ticks = []
    for shown in record.shown:
        tick = Tick(1e-9 * shown.stamp_ns, loop_late=shown.late_s > tolerance)
        ticks.append(tick)
        # A stamp in seconds, as an observation carries it, is rounded to a quarter microsecond.
        place = bisect_left(observed, shown.stamp_ns - 1000)
        if place == len(plans) or observed[place] > shown.stamp_ns + 1000:
            continue
        plan = plans[place]
        tick.reason = Reason[plan.reason]
        tick.flops = round(plan.flops_fraction * full_flops)
        if plan.command_ns == 0:
            continue
        first = bisect_left(references, plan.command_ns)
        if first < len(follows):
            tick.depth = plan.depth
            tick.waited = 1e-9 * (follows[first][0] - shown.stamp_ns)
    return ticks


def save_pictures(path: Path, period: float) -> None:
    """Write camera images of the first moments of every task, for the probe to publish.

    Args:
        path: A file whose name ends in ``.npz``.
        period: Time between two pictures [s].
    """
    seen = [observation for clip in example_clips(period) for observation in clip]
    content: dict[str, Any] = {
        f"camera/{name}": np.stack([each.images[name] for each in seen]) for name in seen[0].images
    }
    content |= {"position": _position(seen[0]), "instruction": seen[0].instruction}
    np.savez_compressed(path, **content)


def _position(observation: Observation) -> FloatArray:
    named = dict(zip(observation.fields, observation.proprioception, strict=True))
    return np.array([named["ee_x"], named["ee_y"], named["ee_z"]])
