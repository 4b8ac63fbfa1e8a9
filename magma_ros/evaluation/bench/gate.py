# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the cells of a bench plan and stores each, so that an interrupted run can be resumed.

Coins come second: what they spend is what the gates they measure spent in the cells before.

A cell is stored under a hash of all that it depends on but the code: the episodes, the policy, its
calibration if its gate uses it, the suite, the profiles and the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console

from magma_ros import __version__
from magma_ros.evaluation.bench.coin import Coin, Match, is_judged, match, mix
from magma_ros.evaluation.bench.gate_plan import BenchSpec, Cell, Section
from magma_ros.evaluation.computers.hardware import load_costs, load_hardware
from magma_ros.evaluation.computers.modelled import Conditions
from magma_ros.evaluation.figures.compare import RecordedEvaluation, paired_counts
from magma_ros.evaluation.figures.exit_costs import exit_costs
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.figures.statistics import PairedCounts, ratio
from magma_ros.evaluation.play.evaluate import Evaluation, play_scene, priced, require_match
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import outcomes
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import Scene
from magma_ros.files import make_folder, read_json, write_json
from magma_ros.gate.gate_file import GateFile, find_gate_file
from magma_ros.gate.gates import is_calibrated, make_gate
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest, sha256_of
from magma_ros.types import MagmaError

FORMAT = "magma-bench/1"
"""Mark of a bench's JSON."""

CELLS = "cells"
"""Folder of the cells played, inside that of the report."""


class Sums(BaseModel):
    """What the episodes of a cell add up to; see ``evaluation.figures.summary.Summary``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    episodes: int
    successes: int
    success: float
    interval: tuple[float, float]
    completion_time: float | None
    jerk: float
    decisions: int
    mean_depth: float | None
    flops: float | None
    flops_fraction: float | None
    weight_fraction: float | None
    late: int
    stalls: int
    reasons: dict[str, int]


class _Results(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    overall: Sums
    tasks: dict[str, Sums]


class PlayedCell(RecordedEvaluation):
    """The stored evaluation of one cell."""

    results: dict[str, _Results]

    @property
    def sums(self) -> Sums:
        """Of all its tasks."""
        return self.results["none"].overall

    @property
    def by_task(self) -> dict[str, Sums]:
        """Of each of its tasks."""
        return self.results["none"].tasks


def coin_beside(path: Path, bundle: Path, exits: Sequence[int] = ()) -> Coin:
    """The coin that spends what an evaluation spent.

    Args:
        path: JSON of ``magma eval``.
        bundle: Folder of its policy's bundle.
        exits: The two exits to mix, or none for those whose operations lie next to its own.

    Raises:
        MagmaError: The file is no such evaluation or one of another policy, this one has no such
            exits, or no mixture of them spends as much.
    """
    played = read_json(path, PlayedCell, remedy="give a file that magma eval --json wrote")
    manifest = read_manifest(bundle)
    if played.bundle.manifest_sha256 != sha256_of(bundle / MANIFEST):
        raise MagmaError(f"{path} was played with another bundle than {bundle}")
    spent = played.sums.flops_fraction
    costs = exit_costs(manifest)
    depths = sorted(exits or range(1, len(costs) + 1))
    if not set(depths) <= set(range(1, len(costs) + 1)):
        raise MagmaError(f"{manifest.name} has exits 1 to {len(costs)}; choose among them")
    low, high = costs[depths[0] - 1], costs[depths[-1] - 1]
    if spent is None or not low <= spent <= high:
        found = "nothing" if spent is None else f"{spent:.1%} of full depth"
        raise MagmaError(
            f"{path} spent {found}, and a coin between exits {depths[0]} and {depths[-1]} spends "
            f"{low:.1%} to {high:.1%}; choose other exits"
        )
    return mix(costs, depths, spent)


@dataclass(frozen=True, slots=True)
class Row:
    """One cell beside full depth without latency, in the same episodes.

    Attributes:
        cell: What was played.
        played: What came out.
        paired: Against full depth in a world that waits, which is the first of each pair.
    """

    cell: Cell
    played: PlayedCell
    paired: PairedCounts

    @property
    def kept(self) -> float | None:
        """Success as a share of that of full depth without latency; None if that is zero."""
        counts = self.paired
        return ratio(counts.both + counts.only_second, counts.both + counts.only_first)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        cell, spec = self.cell, self.cell.spec
        return {
            "section": cell.section.name.lower(),
            "place": cell.place,
            "contender": cell.contender.label,
            "suite": cell.suite,
            "tasks": {name: sums.model_dump() for name, sums in self.played.by_task.items()},
            "clock": spec.clock,
            "conditions": asdict(spec.conditions) if spec.clock == "modelled" else None,
            "gate": spec.gate,
            "gate_options": spec.options,
            "minds_deadline": not spec.patient,
            "deadline": spec.deadline,
            "execute": spec.execute,
            "sums": self.played.sums.model_dump(),
            "kept": self.kept,
            "difference": self.paired.difference,
            "difference_interval": self.paired.difference_interval(),
            "p_value": self.paired.p_value(),
        }


@dataclass(frozen=True, slots=True)
class Duel:
    """A gate beside a coin that spends as much, in the same episodes.

    Attributes:
        gate: What the gate did.
        coin: What the coin did.
        best: Whether the coin mixes those two of all fixed exits that promise most; else the two
            whose operations bracket the gate's.
        paired: The coin is the first of each pair, the gate the second.
    """

    gate: Row
    coin: Row
    best: bool
    paired: PairedCounts

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        cell, counts = self.gate.cell, self.paired
        return {
            "section": cell.section.name.lower(),
            "place": cell.place,
            "suite": cell.suite,
            "gate": cell.contender.label,
            "coin": self.coin.cell.contender.label,
            "best_pair": self.best,
            **asdict(counts),
            "difference": counts.difference,
            "difference_interval": counts.difference_interval(),
            "p_value": counts.p_value(),
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """All rows.

    Attributes:
        spec: The specification.
        manifest: The policy's contract.
        checksum: SHA-256 of the manifest.
        calibrated: Whether the policy has a ``gate.yaml``.
        rows: In the order of the plan, then the coins.
        duels: Every gate of which something is claimed beside its coins, in the same order.
    """

    spec: BenchSpec
    manifest: Manifest
    checksum: str
    calibrated: bool
    rows: tuple[Row, ...]
    duels: tuple[Duel, ...]

    @property
    def suites(self) -> tuple[str, ...]:
        """Those that were played, in order."""
        return tuple(dict.fromkeys(row.cell.suite for row in self.rows))

    def select(self, section: Section, suite: str) -> list[Row]:
        """The rows about one question in one suite."""
        return [row for row in self.rows if (row.cell.section, row.cell.suite) == (section, suite)]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "format": FORMAT,
            "spec": asdict(self.spec),
            "bundle": {"name": self.manifest.name, "manifest_sha256": self.checksum},
            "calibrated": self.calibrated,
            "rows": [row.to_json() for row in self.rows],
            "duels": [duel.to_json() for duel in self.duels],
        }


def run_bench(
    spec: BenchSpec,
    bundle: Path,
    folder: Path,
    *,
    workers: int,
    console: Console | None = None,
) -> Bench:
    """Play the missing cells, and compare all of them.

    Args:
        spec: What to compare.
        bundle: Folder of the policy's bundle.
        folder: Where cells are kept.
        workers: Processes that play side by side; no result depends on their number.
        console: Where to draw a progress bar, or None for none.

    Raises:
        MagmaError: The bundle or its calibration is damaged, a folder cannot be written, or a
            worker died.
    """
    manifest = read_manifest(bundle)
    gate_file = find_gate_file(bundle)
    cells = spec.plan(manifest, gate_file)
    for cell in cells:
        require_match(cell.spec, manifest)
        make_gate(cell.spec.gate, bundle=bundle, **cell.spec.options)
    make_folder(folder / CELLS)
    store = _CellStore(folder / CELLS, manifest, sha256_of(bundle / MANIFEST), gate_file)
    play = partial(_play, bundle=bundle, store=store, workers=workers, console=console)
    found = _found(cells, store, play)
    matches = _matches(cells, found, manifest)
    coins = tuple(dict.fromkeys(coin for each in matches for coin in each.coins))
    found |= _found(coins, store, play)
    references = {
        cell.suite: found[cell.spec] for cell in cells if cell.section is Section.REFERENCE
    }
    rows = {
        cell: Row(cell, found[cell.spec], _pair(references[cell.suite], found[cell.spec]))
        for cell in (*cells, *coins)
    }
    duels = tuple(duel for each in matches for duel in _duels(each, rows))
    calibrated = gate_file is not None
    return Bench(spec, manifest, store.checksum, calibrated, tuple(rows.values()), duels)


def _found(
    cells: Sequence[Cell], store: _CellStore, play: Callable[[Sequence[EvaluationSpec]], None]
) -> dict[EvaluationSpec, PlayedCell]:
    """What came out in cells, those played that are missing."""
    specs = tuple(dict.fromkeys(cell.spec for cell in cells))
    if missing := [spec for spec in specs if store.find(spec) is None]:
        play(missing)
    return {spec: store.read(spec) for spec in specs}


def _matches(
    cells: Sequence[Cell], found: Mapping[EvaluationSpec, PlayedCell], manifest: Manifest
) -> tuple[Match, ...]:
    """The gates of which something is claimed, with the coins that spend as much."""
    fixed: dict[tuple[str, Conditions], dict[int, float]] = {}
    for cell in cells:
        if cell.section in (Section.FAST, Section.BUDGETS) and cell.spec.gate == "fixed":
            rates = fixed.setdefault((cell.suite, cell.spec.conditions), {})
            rates[cell.spec.options["depth"]] = found[cell.spec].sums.success
    matches = []
    for cell in filter(is_judged, cells):
        costs = exit_costs(priced(cell.spec, manifest))
        rates = fixed.get((cell.suite, cell.spec.conditions), {})
        by_depth = [rates[depth] for depth in sorted(rates)] if len(rates) == len(costs) else None
        mean = found[cell.spec].sums.flops_fraction or 0.0
        matches.append(match(cell, costs, mean, by_depth))
    return tuple(matches)


def _duels(pair: Match, rows: Mapping[Cell, Row]) -> Iterator[Duel]:
    gate = rows[pair.gate]
    for coin, best in ((pair.neighbours, False), (pair.best, True)):
        if coin is not None:
            row = rows[coin]
            yield Duel(gate, row, best, _pair(row.played, gate.played))


class _CellStore:
    """The files of the cells played, named by their hashes."""

    def __init__(
        self, folder: Path, manifest: Manifest, checksum: str, gate_file: GateFile | None
    ) -> None:
        self.checksum = checksum
        self._folder = folder
        self._manifest = manifest
        self._gate = None if gate_file is None else gate_file.model_dump(mode="json")

    def find(self, spec: EvaluationSpec) -> PlayedCell | None:
        """A cell, or None if it has not been played or is damaged."""
        try:
            return self.read(spec)
        except MagmaError:
            return None

    def read(self, spec: EvaluationSpec) -> PlayedCell:
        """A cell that is there."""
        return read_json(self._path(spec), PlayedCell)

    def write(self, spec: EvaluationSpec, results: Sequence[EpisodeResult]) -> None:
        """Put a cell there."""
        manifest = priced(spec, self._manifest)
        evaluation = Evaluation(spec, manifest, self.checksum, tuple(results))
        write_json(evaluation.to_json(), self._path(spec))

    def _path(self, spec: EvaluationSpec) -> Path:
        conditions = spec.conditions
        content = {
            "release": __version__,
            "spec": asdict(spec) | {"workers": None},
            "manifest": self.checksum,
            "gate": self._gate if is_calibrated(spec.gate) else None,
            "suites": [find_suite(suite).definition() for suite in spec.suites],
            "hardware": load_hardware(conditions.hardware).model_dump(),
            "costs": load_costs(conditions.costs).model_dump() if conditions.costs else None,
        }
        text = json.dumps(content, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _play(
    specs: Sequence[EvaluationSpec],
    bundle: Path,
    store: _CellStore,
    *,
    workers: int,
    console: Console | None,
) -> None:
    """Play cells one after the other, in processes that go on from one to the next."""
    scenes = [(spec, scene) for spec in specs for scene in spec.scenes()]
    results = outcomes(
        partial(_play_scene, bundle),
        scenes,
        workers=workers,
        console=console,
        description=f"{len(specs)} cells of {len(scenes) // len(specs)} episodes on average",
    )
    for spec in specs:
        store.write(spec, [next(results) for _ in spec.scenes()])
    next(results, None)  # lets the progress bar and the processes end


def _play_scene(bundle: Path, item: tuple[EvaluationSpec, Scene]) -> EpisodeResult:
    spec, scene = item
    return play_scene(spec, bundle, scene)


def _pair(reference: PlayedCell, other: PlayedCell) -> PairedCounts:
    theirs = {episode.key: episode for episode in reference.episodes}
    return paired_counts([(theirs[episode.key], episode) for episode in other.episodes])
