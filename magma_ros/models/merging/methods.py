# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How task vectors are merged, and how MAGIC gives the result its magnitude back; tensors alone.

A task vector D_k is what fine-tuning added to the base. Task arithmetic (arXiv 2212.04089) adds
them up; TIES (arXiv 2306.01708) first trims each to its largest elements, elects a sign for every
element, and averages what has that sign. MAGIC (arXiv 2512.19320) starts from its observation that
the merged vector points the right way and is of the wrong length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from magma_ros.types import MagmaError

MethodName = Literal["task-arithmetic", "ties"]

Length = Literal["ellipsoid", "mean", "projection"]
"""Which length a merged row is given: MAGIC's (:func:`on_ellipsoid`, :func:`as_long_as_mean`), or
that of :func:`with_whole_projection`."""

BINS = 1 << 16
"""Values of half a float32, of which :func:`threshold` counts how often each occurs."""

_TINY = 1e-37
"""Keeps a division that is not used from being one by zero; float32 holds little less."""


@dataclass(frozen=True, slots=True)
class Method:
    """How task vectors become one.

    Attributes:
        name: Which method.
        scale: Factor on their sum, or with TIES on their mean; None for the mean of all.
        density: Share of a tensor's elements that TIES leaves, the largest.

    Raises:
        MagmaError: A figure is out of its range.
    """

    name: MethodName = "task-arithmetic"
    scale: float | None = None
    density: float = 0.2

    def __post_init__(self) -> None:
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0.0):
            raise MagmaError(f"the scale must be a number above 0, not {self.scale:g}")
        if not 0.0 < self.density <= 1.0:
            raise MagmaError(
                f"the density is the share of elements that is left, above 0 and at most 1, not "
                f"{self.density:g}"
            )

    def scale_of(self, parents: int) -> float:
        """The factor for so many parents."""
        if self.scale is not None:
            return self.scale
        return 1.0 if self.name == "ties" else 1.0 / parents

    def kept(self, elements: int) -> int:
        """How many of a tensor's elements stay of each task vector."""
        return elements if self.name != "ties" else math.ceil(self.density * elements)

    def merge(self, vectors: Tensor, least: Tensor) -> Tensor:
        """The merged vector (...) of task vectors (T, ...).

        Args:
            vectors: Of every parent.
            least: (T,) magnitude from which on elements are kept; see :func:`threshold`.
        """
        scale = self.scale_of(len(vectors))
        if self.name == "task-arithmetic":
            return scale * vectors.sum(dim=0)
        return scale * elected_mean(trimmed(vectors, least))


def threshold(blocks: Callable[[], Iterable[Tensor]], kept: int) -> float:
    """The least magnitude among the ``kept`` largest of a tensor, as float32 has it.

    A radix selection: the bits of positive floats are ordered as they are, so counting the upper
    half of each, and then the lower half of those that share the decisive upper half, finds it in
    two passes, without a sorted copy.

    Args:
        blocks: Gives the tensor's parts; called twice.
        kept: How many, at least one.
    """
    upper = torch.zeros(BINS, dtype=torch.int64)
    for bits in _bits(blocks()):
        upper += torch.bincount(bits >> 16, minlength=BINS)
    high, above = _reached(upper, kept)
    lower = torch.zeros(BINS, dtype=torch.int64)
    for bits in _bits(blocks()):
        lower += torch.bincount(bits[bits >> 16 == high] & (BINS - 1), minlength=BINS)
    low, _ = _reached(lower, kept - above)
    return float(torch.tensor((high << 16) | low, dtype=torch.int32).view(torch.float32))


def _bits(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The magnitudes of each block as the bits of float32."""
    return (block.float().abs().flatten().view(torch.int32) for block in blocks)


def _reached(counts: Tensor, kept: int) -> tuple[int, int]:
    """The bin in which the ``kept`` largest end, and how many lie in higher ones."""
    from_above = counts.flip(0).cumsum(0)
    place = int((from_above >= kept).nonzero()[0])
    return len(counts) - 1 - place, int(from_above[place] - counts.flip(0)[place])


def trimmed(vectors: Tensor, least: Tensor) -> Tensor:
    """Task vectors (T, ...) with zeros where they are smaller than ``least`` (T,)."""
    floor = least.reshape(-1, *[1] * (vectors.ndim - 1)).float()
    return torch.where(vectors.float().abs() >= floor, vectors, torch.zeros_like(vectors))


def elected_mean(vectors: Tensor) -> Tensor:
    """TIES' elected sign and disjoint mean (...) of trimmed vectors (T, ...).

    The sign of an element is that of its sum over all vectors; its value the mean over those that
    have this sign. Where the sum is zero, so is the result.
    """
    sign = torch.sign(vectors.sum(dim=0))
    agreeing = (torch.sign(vectors) == sign) & (vectors != 0)
    count = agreeing.sum(dim=0).clamp_min(1)
    mean: Tensor = (vectors * agreeing).sum(dim=0) / count
    return mean


def on_ellipsoid(merged: Tensor, vectors: Tensor) -> Tensor:
    """MAGIC's weight-space scale (R,) of the rows (R, C) of a merged vector.

    For a row m and the rows a_t of T task vectors, with c_t = <m, a_t> / |a_t|^2 and the rest
    r = m - sum_t c_t a_t::

        lambda = 1 / sqrt(sum_t c_t^2 + |r|^2 / mean_t(|a_t|)^2)

    It puts m on the surface that is an ellipsoid with the task vectors as half-axes and a sphere of
    their mean length elsewhere. ``lambda * m`` does not depend on the length of m. Task vectors
    that agree are each counted, so that T equal ones are shortened. A row that no task vector
    changes, or that they cancel out in, keeps its length.

    Args:
        merged: The merged vector.
        vectors: (T, R, C).
    """
    lengths = vectors.square().sum(dim=-1)  # (T, R), squared
    along = (vectors * merged).sum(dim=-1)
    shares = torch.where(lengths > 0, along / lengths.clamp_min(_TINY), 0.0)
    rest = merged - (shares.unsqueeze(-1) * vectors).sum(dim=0)
    mean = lengths.sqrt().mean(dim=0).square()
    outside = torch.where(mean > 0, rest.square().sum(dim=-1) / mean.clamp_min(_TINY), 0.0)
    total = shares.square().sum(dim=0) + outside
    return torch.where(total > 0, total.clamp_min(_TINY).rsqrt(), 1.0)


def as_long_as_mean(merged: Tensor, vectors: Tensor) -> Tensor:
    """MAGIC's simpler scale (R,): a merged row becomes as long as the task vectors' on average.

    Args:
        merged: (R, C) the merged vector.
        vectors: (T, R, C).
    """
    wanted, length = vectors.norm(dim=-1).mean(dim=0), merged.norm(dim=-1)
    return torch.where((wanted > 0) & (length > 0), wanted / length.clamp_min(_TINY), 1.0)


def with_whole_projection(merged: Tensor, vectors: Tensor) -> Tensor:
    """The scale (R,) with which a merged row holds the whole of its parents, on average.

    For a row m and the rows a_t of the task vectors::

        lambda = min(sum_t |a_t|^2 / sum_t <m, a_t>, |sum_t a_t| / |m|)

    The first term solves ``sum_t <lambda m - a_t, a_t> = 0``: along the parents, lambda m is as
    long as they are. The second lets no row become longer than their sum, which the first would
    ask for where they oppose one another. Rows at right angles are added up so, and equal ones
    stay what they are. A row that has nothing along its parents keeps its length.

    Args:
        merged: (R, C) the merged vector.
        vectors: (T, R, C).
    """
    along = (vectors * merged).sum(dim=(0, -1))
    whole = vectors.square().sum(dim=(0, -1)) / along.clamp_min(_TINY)
    most = vectors.sum(dim=0).norm(dim=-1) / merged.norm(dim=-1).clamp_min(_TINY)
    return torch.where(along > 0, torch.minimum(whole, most), 1.0)


LENGTHS: dict[Length, Callable[[Tensor, Tensor], Tensor]] = {
    "ellipsoid": on_ellipsoid,
    "mean": as_long_as_mean,
    "projection": with_whole_projection,
}


def guarded(scale: Tensor, *, sensitive: bool) -> Tensor:
    """The scale cut to what a layer's magnitude bears: a sensitive one is never enlarged.

    All others are never shrunk.
    """
    return scale.clamp_max(1.0) if sensitive else scale.clamp_min(1.0)
