# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What merging finds out on its way: lengths of the task vectors, their angles, their conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(slots=True)
class Sums:
    """Sums over elements, from which all figures of a tensor, or of several, follow.

    Attributes:
        elements: How many elements.
        base: Of the squares of the base.
        products: (T, T) of the products of the task vectors.
        with_base: (T,) of the products of the task vectors and the base.
        merged: Of the squares of the merged vector, before it is calibrated.
        conflicts: Elements that two task vectors move in opposite directions.
        moved: Elements that any task vector moves.
        scales: Of the scales that were applied, weighted by elements.
        least: The least of them.
        largest: The largest of them.
    """

    elements: int = 0
    base: float = 0.0
    products: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))
    with_base: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    merged: float = 0.0
    conflicts: int = 0
    moved: int = 0
    scales: float = 0.0
    least: float = float("inf")
    largest: float = float("-inf")

    @classmethod
    def of(cls, base: Tensor, vectors: Tensor, merged: Tensor, scale: Tensor) -> Self:
        """Those of a block.

        Args:
            base: (R, C).
            vectors: (T, R, C).
            merged: (R, C) before it is calibrated.
            scale: (R,) applied to its rows.
        """
        flat = vectors.flatten(1)
        moved = vectors != 0
        opposed = (vectors > 0).any(dim=0) & (vectors < 0).any(dim=0)
        columns = base.shape[1]
        return cls(
            elements=base.numel(),
            base=float(base.square().sum()),
            products=(flat @ flat.T).double(),
            with_base=(flat @ base.flatten()).double(),
            merged=float(merged.square().sum()),
            conflicts=int(opposed.sum()),
            moved=int(moved.any(dim=0).sum()),
            scales=float(scale.sum()) * columns,
            least=float(scale.min()),
            largest=float(scale.max()),
        )

    def add(self, other: Self) -> None:
        """Add those of more elements."""
        first = not self.elements
        self.elements += other.elements
        self.base += other.base
        self.products = other.products.clone() if first else self.products + other.products
        self.with_base = other.with_base.clone() if first else self.with_base + other.with_base
        self.merged += other.merged
        self.conflicts += other.conflicts
        self.moved += other.moved
        self.scales += other.scales
        self.least = min(self.least, other.least)
        self.largest = max(self.largest, other.largest)

    def rescale(self, factor: float) -> None:
        """Count a factor that is applied to all elements afterwards."""
        self.scales *= factor
        self.least *= factor
        self.largest *= factor

    @property
    def norms(self) -> list[float]:
        """Length of each task vector."""
        return [float(square) ** 0.5 for square in self.products.diagonal()]

    @property
    def cosines(self) -> list[float | None]:
        """Of each pair of task vectors, in the order of ``combinations``; None beside a zero."""
        norms = self.norms
        return [
            float(self.products[one, two]) / (norms[one] * norms[two])
            if norms[one] and norms[two]
            else None
            for one, two in combinations(range(len(norms)), 2)
        ]

    @property
    def kept(self) -> list[float]:
        """Cosine of each parent and the base: near 1 for what was fine-tuned from it."""
        found = []
        for index, square in enumerate(self.products.diagonal()):
            along = self.base + float(self.with_base[index])
            length = self.base + 2.0 * float(self.with_base[index]) + float(square)
            both = (max(self.base, 0.0) * max(length, 0.0)) ** 0.5
            found.append(along / both if both else 1.0)
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "elements": self.elements,
            "base": self.base**0.5,
            "task vectors": self.norms,
            "cosines": self.cosines,
            "sign conflicts": self.conflicts / self.moved if self.moved else 0.0,
            "merged": self.merged**0.5,
            "scale": {
                "mean": self.scales / self.elements,
                "least": self.least,
                "largest": self.largest,
            },
        }


def layer_of(name: str) -> str:
    """The layer that a tensor belongs to: its name up to the first number, or its module."""
    parts = name.split(".")
    for index, part in enumerate(parts):
        if part.isdecimal():
            return ".".join(parts[: index + 1])
    return ".".join(parts[:-1]) or name


def together(sums: Iterable[Sums]) -> Sums:
    """The sums over all of these."""
    total = Sums()
    for one in sums:
        total.add(one)
    return total


def by_layer(figures: dict[str, Sums]) -> dict[str, Sums]:
    """The sums of each layer, of those of each tensor."""
    groups: dict[str, list[Sums]] = {}
    for name, sums in figures.items():
        groups.setdefault(layer_of(name), []).append(sums)
    return {layer: together(members) for layer, members in groups.items()}


def pairs(names: Sequence[str]) -> list[str]:
    """What to call each pair of parents, in the order of :attr:`Sums.cosines`."""
    return [f"{one} and {two}" for one, two in combinations(names, 2)]
