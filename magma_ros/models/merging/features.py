# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MAGIC in feature space: how long the features of a merged network are, layer by layer.

At a layer l that is linear in its weights, a parent's task feature for an input x is
``f_l(x; parent) - f_l(x; base)``, and the merged network's ``f_l(x; merged) - f_l(x; base)``. Both
are taken at the input that the layer has in the merged network. Their ratio, averaged over
positions, observations and parents, is the layer's scale; :class:`~.merge.Folded` folds it in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from magma_ros.models.merging.merge import calibrated_by_rows
from magma_ros.models.merging.methods import guarded
from magma_ros.models.merging.runner import Runner
from magma_ros.models.merging.weights import Weights
from magma_ros.types import Observation

ENLARGED = 1.1
"""Factor on a layer's merged vector by which its sensitivity is tried."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is merged, and what it is calibrated on.

    Attributes:
        base: The base.
        parents: The parents.
        observations: Of each parent's tasks.
    """

    base: Weights
    parents: Sequence[Weights]
    observations: Sequence[Sequence[Observation]]


@torch.no_grad()
def feature_scales(
    runner: Runner[Any],
    family: Family,
    sensitive: frozenset[str] | None = None,
) -> dict[str, float]:
    """MAGIC's feature-space scale of every layer, by the names of its tensors.

    Args:
        runner: With the merged weights in its network.
        family: The checkpoints and their observations.
        sensitive: Weights that must not grow, where all others must not shrink; None for no guard.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for parent, seen in zip(family.parents, family.observations, strict=True):
        ratios = _ratios(runner, family.base, parent, seen)
        for module, parts in ratios.items():
            found[module].append(sum(parts) / len(parts))
    scales: dict[str, float] = {}
    for module, means in found.items():
        name = runner.tensor_name(f"{module}.weight")
        scale = sum(means) / len(means)
        if sensitive is not None:
            scale = float(guarded(torch.tensor(scale), sensitive=name in sensitive))
        scales[name] = scale
        if getattr(runner.products()[module], "bias", None) is not None:
            scales[runner.tensor_name(f"{module}.bias")] = scale
    return scales


def _ratios(
    runner: Runner[Any], base: Weights, parent: Weights, observations: Sequence[Observation]
) -> dict[str, list[float]]:
    """The mean ratios of each layer in each run on a parent's observations."""
    ratios: dict[str, list[float]] = defaultdict(list)

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def see(module: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
            kinds = [kind for kind in ("weight", "bias") if getattr(module, kind, None) is not None]
            own = {kind: getattr(module, kind).detach() for kind in kinds}
            first, special = (
                {kind: one.tensor(runner.tensor_name(f"{name}.{kind}")) for kind in kinds}
                for one in (base, parent)
            )
            wanted = _length(module, given[0], special, first)
            length = _length(module, given[0], own, first)
            felt = length > 0
            if felt.any():
                ratios[name].append(float((wanted[felt] / length[felt]).mean()))

        return see

    hooks = [module.register_forward_hook(watch(n)) for n, module in runner.products().items()]
    try:
        for batch in runner.prepare(observations):
            runner.answer(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return ratios


def _length(
    module: nn.Module, given: Tensor, weights: dict[str, Tensor], base: dict[str, Tensor]
) -> Tensor:
    """Sum of the magnitudes (...) of what these weights add to the base's features."""
    added = {kind: weights[kind].float() - base[kind].float() for kind in weights}
    weight, bias = added["weight"], added.get("bias")
    if isinstance(module, nn.Embedding):
        return functional.embedding(given, weight).abs().sum(dim=-1)
    if isinstance(module, nn.Conv2d):
        rest = (module.stride, module.padding, module.dilation, module.groups)
        features = functional.conv2d(given.float(), weight, bias, *cast("Any", rest))
        return features.abs().sum(dim=1)
    return functional.linear(given.float(), weight, bias).abs().sum(dim=-1)


@torch.no_grad()
def sensitive_weights(
    runner: Runner[Any],
    merged: Weights,
    family: Family,
    count: int,
) -> frozenset[str]:
    """The weights whose merged vector, a tenth longer, takes the network farthest from its parents.

    No labels are needed: each parent is the teacher on observations of its own tasks.

    Args:
        runner: Its network holds the merged weights afterwards.
        merged: The merged checkpoint.
        family: The checkpoints and their observations.
        count: How many weights.
    """
    batches = [runner.prepare(seen) for seen in family.observations]
    taught: list[list[Tensor]] = []
    for parent, given in zip(family.parents, batches, strict=True):
        runner.load(parent)
        taught.append([runner.answer(batch) for batch in given])
    runner.load(merged)

    def distance() -> float:
        apart = [
            float((runner.answer(batch) - right).abs().mean())
            for given, answers in zip(batches, taught, strict=True)
            for batch, right in zip(given, answers, strict=True)
        ]
        return sum(apart) / len(apart)

    worth: dict[str, float] = {}
    modules = runner.products()
    for module in track(modules, "[bold]trying layers", transient=True):
        name = runner.tensor_name(f"{module}.weight")
        weight: nn.Parameter = cast("Any", modules[module]).weight
        if not calibrated_by_rows(tuple(weight.shape)):
            continue
        own, first = weight.data, family.base.tensor(name).to(weight.dtype)
        weight.data = first + ENLARGED * (own - first)  # a view of a file is not written to
        worth[name] = distance()
        weight.data = own
    return frozenset(sorted(worth, key=lambda name: (-worth[name], name))[:count])
