# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Merges checkpoints tensor by tensor, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from magma_ros.models.merging.figures import Sums, together
from magma_ros.models.merging.methods import LENGTHS, Length, Method, guarded, threshold
from magma_ros.models.merging.weights import FINE_TUNE, MergeError, Weights

BLOCK = 1 << 21
"""Elements of a tensor that are worked on at a time, of the base and of every parent."""

UNRELATED = 0.5
"""Least cosine of a parent and its base. Networks trained apart have one near 0, fine-tuned ones
near 1."""


def calibrated_by_rows(size: tuple[int, ...]) -> bool:
    """Whether MAGIC calibrates a weight of that shape: a matrix, or a convolution's kernels."""
    return len(size) in (2, 4)


@dataclass(slots=True, eq=False)
class Merge:
    """Merged weights, computed when they are asked for.

    Attributes:
        base: What the parents were fine-tuned from.
        parents: In an order of their own, so that the sums do not depend on how they were given.
        method: How task vectors become one.
        length: Which length merged rows are given in weight space (MAGIC's WSC); None for that
            which they have.
        sensitive: Tensors whose length must not grow, where all others' must not shrink; None for
            no such guard.
        figures: By tensor, what was found when it was asked for.
    """

    base: Weights
    parents: Sequence[Weights]
    method: Method
    length: Length | None = None
    sensitive: frozenset[str] | None = None
    figures: dict[str, Sums] = field(default_factory=dict)

    def pieces(self, name: str) -> Iterator[Tensor]:
        """The merged tensor in pieces (R, C).

        Raises:
            CheckpointError: A checkpoint holds a value that is not finite.
        """
        base, others = self.base.tensor(name), [one.tensor(name) for one in self.parents]
        size = tuple(base.shape)
        kept = self.method.kept(base.numel())
        least = torch.zeros(len(others))
        if kept < base.numel():
            for index, other in enumerate(others):
                least[index] = threshold(_Difference(base, other), kept)
        sums = Sums()
        for rows, vectors in _vectors(base, others):
            merged = self.method.merge(vectors, least)
            scale = torch.ones(len(rows), dtype=rows.dtype)
            if self.length is not None and calibrated_by_rows(size):
                scale = self._guarded(name, LENGTHS[self.length](merged, vectors))
            sums.add(Sums.of(rows, vectors, merged, scale))
            yield rows + scale[:, None] * merged
        self.figures[name] = sums

    def _guarded(self, name: str, scale: Tensor) -> Tensor:
        if self.sensitive is None:
            return scale
        return guarded(scale, sensitive=name in self.sensitive)

    def require_a_family(self) -> None:
        """Refuse parents that turn out to be none of the base's, once all pieces were asked for.

        Raises:
            MergeError: A parent is the base itself, or was never fine-tuned from it.
        """
        total = together(self.figures.values())
        for index, (parent, norm) in enumerate(zip(self.parents, total.norms, strict=True)):
            if not norm:
                raise MergeError(
                    f"{parent.folder} holds the base's own weights and adds nothing; leave it out"
                )
            if total.kept[index] >= UNRELATED:
                continue
            first = next(n for n, sums in self.figures.items() if sums.kept[index] < UNRELATED)
            raise MergeError(
                f"{parent.folder} was not fine-tuned from {self.base.folder}: {first} has nothing "
                f"in common with the base's (cosine {self.figures[first].kept[index]:.2f}); "
                f"{FINE_TUNE}"
            )


class Folded:
    """A merged checkpoint whose layers are scaled once more: MAGIC's FSC, folded into weights.

    A layer that is linear in its weights answers ``f(x; base) + s (f(x; merged) - f(x; base))``
    with the weights ``base + s (merged - base)``.

    Args:
        base: The base.
        merged: The checkpoint.
        scales: By tensor; what is not named stays.
    """

    def __init__(self, base: Weights, merged: Weights, scales: dict[str, float]) -> None:
        self._base, self._merged, self._scales = base, merged, scales

    def pieces(self, name: str) -> Iterator[Tensor]:
        """The scaled tensor in pieces (R, C)."""
        scale = self._scales.get(name, 1.0)
        for rows, vectors in _vectors(self._base.tensor(name), [self._merged.tensor(name)]):
            yield rows + scale * vectors[0]


class _Difference:
    """What a parent added to a tensor of the base, in blocks."""

    def __init__(self, base: Tensor, other: Tensor) -> None:
        self._base, self._other = base, other

    def __call__(self) -> Iterator[Tensor]:
        return (vectors for _, vectors in _vectors(self._base, [self._other]))


def _vectors(base: Tensor, others: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of a tensor's rows (R, C), and the task vectors (T, R, C) in them.

    Whatever is stored in float32 is worked on in float64, so that adding to the base what was
    subtracted before gives the parent again; half precision is worked on in float32.
    """
    exact = base.dtype == torch.float32
    work = torch.float64 if exact else torch.float32
    rows = base.shape[0] if base.ndim > 1 else 1
    flat, flats = base.reshape(rows, -1), [other.reshape(rows, -1) for other in others]
    step = max(1, BLOCK // flat.shape[1])
    for first in range(0, rows, step):
        part = slice(first, first + step)
        block = flat[part].to(work)
        yield block, torch.stack([other[part].to(work) - block for other in flats])
