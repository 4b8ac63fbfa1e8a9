# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The coin that a gate is measured against: two fixed exits, mixed to the gate's own operations.

A gate that looks at nothing and draws one of two exits for each decision can spend any amount, too.
Only what a gate does better than such a coin does it owe to what it looks at. The coin drives
episodes of its own, the same ones as the gate: nothing is put together from those of fixed exits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from magma_ros.evaluation.bench.gate_plan import Cell, Contender, Section
from magma_ros.evaluation.figures.statistics import PairedCounts

COIN = "coin"
"""What all coins are called in plots."""

JUDGED = (Section.SLOWNESS, Section.FAST, Section.BUDGETS)
"""The sections whose gates are measured against a coin."""

DECIMALS = 4
"""Places of a share; the operations follow to a hundredth of a percent."""


@dataclass(frozen=True, slots=True)
class Coin:
    """Which exits to mix, and how.

    Attributes:
        shallow: The cheaper exit, 1 for the shallowest of all.
        deep: The dearer one; may be the same.
        share: Share of the decisions that go on to the dearer one.
    """

    shallow: int
    deep: int
    share: float

    @property
    def contender(self) -> Contender:
        """It as a way to decide; it keeps to the deadline, as the gates it is a measure for do."""
        options = ("depths", (self.shallow, self.deep)), ("share", self.share)
        setting = f"{self.shallow}-{self.deep} {self.share:.0%}"
        return Contender(COIN, "coin", options, setting, patient=False)


def mix(costs: Sequence[float], depths: Sequence[int], mean: float) -> Coin:
    """The coin over two neighbours among ``depths`` that spends ``mean`` in expectation.

    Beyond the cheapest and the dearest of them it always takes that one.

    Args:
        costs: Operations up to each exit of the policy, the shallowest first.
        depths: The exits to choose from, in order.
        mean: Operations of a decision, in the same unit.
    """
    if mean <= costs[depths[0] - 1]:
        return Coin(depths[0], depths[0], 0.0)
    for shallow, deep in pairwise(depths):
        low, high = costs[shallow - 1], costs[deep - 1]
        if mean < high:
            return Coin(shallow, deep, round((mean - low) / (high - low), DECIMALS))
    return Coin(depths[-1], depths[-1], 0.0)


def hull(costs: Sequence[float], rates: Sequence[float]) -> tuple[int, ...]:
    """The exits of which some mixture is as good as any at its price, in order.

    They lie on the lower convex hull of failures over operations, from the cheapest exit to the
    best one; of equally good ones the cheapest. What lies beyond costs more and does no better.

    Args:
        costs: Operations up to each exit, the shallowest first.
        rates: Success of each.
    """
    best = max(range(len(rates)), key=lambda place: (rates[place], -place))
    chain: list[int] = []
    for place in range(best + 1):
        while len(chain) > 1 and _above(costs, rates, chain[-2], chain[-1], place):
            chain.pop()
        chain.append(place)
    return tuple(place + 1 for place in chain)


def _above(
    costs: Sequence[float], rates: Sequence[float], first: int, middle: int, last: int
) -> bool:
    """Whether mixing the first and the last is at least as good as the one in the middle."""
    gained = (rates[last] - rates[first]) * (costs[middle] - costs[first])
    return gained >= (rates[middle] - rates[first]) * (costs[last] - costs[first])


@dataclass(frozen=True, slots=True)
class Match:
    """A gate and the coins it is measured against.

    Attributes:
        gate: The gate's cell.
        neighbours: The coin over the two fixed exits whose operations bracket the gate's.
        best: The coin over those two of all fixed exits that promise most at its operations, by
            what fixed exits did in these very episodes; None where not all were played.
    """

    gate: Cell
    neighbours: Cell
    best: Cell | None

    @property
    def coins(self) -> tuple[Cell, ...]:
        """Both, or the one where they are the same."""
        found = self.neighbours, self.best
        return tuple(dict.fromkeys(coin for coin in found if coin is not None))


def match(gate: Cell, costs: Sequence[float], mean: float, rates: Sequence[float] | None) -> Match:
    """The coins that play a gate's episodes at its operations.

    Args:
        gate: The gate's cell.
        costs: Operations up to each exit as a share of full depth, the shallowest first.
        mean: The gate's own operations, likewise.
        rates: Success of each fixed exit where the gate played, or None if it was not played.
    """
    every = range(1, len(costs) + 1)
    best = None if rates is None else _cell(gate, mix(costs, hull(costs, rates), mean))
    return Match(gate, _cell(gate, mix(costs, every, mean)), best)


def _cell(gate: Cell, coin: Coin) -> Cell:
    """The gate's episodes, driven by a coin."""
    contender = coin.contender
    spec = replace(
        gate.spec,
        gate=contender.gate,
        gate_options=contender.options,
        patient=contender.patient,
    )
    return replace(gate, contender=contender, spec=spec)


def is_judged(cell: Cell) -> bool:
    """Whether something is claimed of a cell that a coin might do as well."""
    return cell.section in JUDGED and cell.contender.family in ("adaptive", "oracle", "regret")


def added(counts: Iterable[PairedCounts]) -> PairedCounts:
    """All pairs together."""
    sums = [0, 0, 0, 0]
    for each in counts:
        mine = each.both, each.only_first, each.only_second, each.neither
        sums = [total + one for total, one in zip(sums, mine, strict=True)]
    return PairedCounts(*sums)
