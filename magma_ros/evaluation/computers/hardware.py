# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models how long a stage takes on another computer, and what it costs in another policy.

A run of a stage consists of passes over its weights. Each takes the longer of its arithmetic and
its reading of weights (the roofline model, Williams et al. 2009, CACM 52(4)), plus a fixed
overhead. Repeated runs differ by a log-normal factor, and now and then one is slower still.

Profiles are data: ``config/hardware/*.yaml`` for computers, ``config/costs/*.yaml`` for policies
too large to be run here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    model_validator,
)

from magma_ros.evaluation.error import EvaluationError
from magma_ros.files import read_yaml
from magma_ros.policy.manifest import Manifest
from magma_ros.policy.stages import StageSpec
from magma_ros.share import share_directory, share_file

TAIL_DRAWS = 20_000
"""Simulated runs from which a quantile of full depth is taken."""

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class _Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Efficiency(_Profile):
    """Share of the maker's peak figures that real networks reach.

    Attributes:
        flops: Share of the peak rate of arithmetic.
        bandwidth: Share of the peak rate of memory.
    """

    flops: Share
    bandwidth: Share


class Jitter(_Profile):
    """How runs of one stage differ.

    Attributes:
        sigma: Standard deviation of the logarithm of a run's duration.
        tail_share: Share of runs that are slower still.
        tail_factor: How many times slower these are.
    """

    sigma: NonNegativeFloat
    tail_share: Annotated[float, Field(ge=0.0, lt=1.0)]
    tail_factor: Annotated[float, Field(ge=1.0)]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Random factors; their median is about 1."""
        factors = np.exp(self.sigma * rng.standard_normal(shape))
        slow = rng.random(shape) < self.tail_share
        return np.where(slow, self.tail_factor * factors, factors)


class Pass(_Profile):
    """One pass over the weights of a stage, made ``times`` times.

    Attributes:
        flops: Floating-point operations.
        weight_bytes: Bytes of weights read.
        times: How often it is made, on average.
    """

    flops: NonNegativeFloat
    weight_bytes: NonNegativeFloat
    times: PositiveFloat = 1.0

    def scaled(self, share: float) -> Pass:
        """The part of this pass that falls to a stage with that share of the work."""
        return Pass(
            flops=share * self.flops, weight_bytes=share * self.weight_bytes, times=self.times
        )


@dataclass(frozen=True, slots=True)
class PricedStage:
    """A stage and what it costs; all that the gate's forecast needs to know of it.

    Attributes:
        name: That of the bundle's stage.
        passes: What a run consists of.
    """

    name: str
    passes: tuple[Pass, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations of one run."""
        return round(sum(each.times * each.flops for each in self.passes))

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one run reads."""
        return round(sum(each.times * each.weight_bytes for each in self.passes))


class CostTable(_Profile):
    """What a whole policy costs, to be spread over the stages of a small one.

    All looks together make the passes of ``look``. All other stages make either those of ``think``,
    all together, or those of ``exits``: what lies between one exit and the next. Among themselves
    they share them as they share the operations of the small policy.

    Attributes:
        description: Which policy, in a sentence.
        look: Passes over vision.
        think: Passes over the decoder, or none where ``exits`` tells them.
        exits: Passes from each exit to the next, the first ones to the first exit; as many as the
            small policy has exits. For what does not grow evenly with depth.
    """

    description: str
    look: Annotated[tuple[Pass, ...], Field(min_length=1)]
    think: tuple[Pass, ...] = ()
    exits: tuple[Annotated[tuple[Pass, ...], Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _tells_the_decoder_once(self) -> CostTable:
        if bool(self.think) == bool(self.exits):
            raise ValueError("either think or exits must hold the passes over the decoder")
        return self

    def price(self, stages: Sequence[StageSpec]) -> tuple[PricedStage, ...]:
        """The stages at the price of this table.

        Raises:
            EvaluationError: They have another number of exits than ``exits``.
        """
        passes = (self.look, *(self.exits or (self.think,)))
        groups = self._groups(stages)
        totals = [0] * len(passes)
        for stage, group in zip(stages, groups, strict=True):
            totals[group] += stage.flops
        return tuple(
            PricedStage(
                stage.name,
                tuple(each.scaled(stage.flops / (totals[group] or 1)) for each in passes[group]),
            )
            for stage, group in zip(stages, groups, strict=True)
        )

    def _groups(self, stages: Sequence[StageSpec]) -> list[int]:
        """Which passes each stage shares: 0 for those of the looks, then exit after exit."""
        depth = sum(stage.depth is not None for stage in stages)
        if self.exits and depth != len(self.exits):
            raise EvaluationError(
                f"the costs of {self.description} are told for {len(self.exits)} exits, but the "
                f"policy has {depth}; write them for as many"
            )
        groups, ahead = [], 1
        for stage in stages:
            groups.append(0 if stage.kind == "look" else ahead)
            ahead += bool(self.exits) and stage.depth is not None
        return groups


class Hardware(_Profile):
    """A computer, by the figures that determine how fast it runs a network.

    Attributes:
        description: Which one, and how it runs the network, in a sentence.
        flops: Peak floating-point operations a second, in the precision used.
        bandwidth: Peak bytes of weights read a second.
        efficiency: How much of the two is reached.
        overhead: Fixed cost of a pass [s].
        jitter: How runs differ.
        rates: Peak operations a second by the number format of products: fp32, fp16, bf16, int8.
        memory: Bytes of memory that a policy may take, or None where nobody has said.
    """

    description: str
    flops: PositiveFloat
    bandwidth: PositiveFloat
    efficiency: Efficiency
    overhead: NonNegativeFloat
    jitter: Jitter
    rates: dict[str, PositiveFloat] = {}
    memory: PositiveFloat | None = None

    def computing_in(self, number_format: str) -> Hardware:
        """The same computer when products are computed in another number format.

        Where the profile has no rate for it, that of :attr:`flops` stays.
        """
        return self.model_copy(update={"flops": self.rates.get(number_format, self.flops)})

    def seconds(self, stage: PricedStage) -> float:
        """Typical duration of one run [s]."""
        rate = self.efficiency.flops * self.flops
        bandwidth = self.efficiency.bandwidth * self.bandwidth
        return sum(
            each.times * (self.overhead + max(each.flops / rate, each.weight_bytes / bandwidth))
            for each in stage.passes
        )

    def full_depth(self, stages: Sequence[PricedStage], quantile: float) -> float:
        """Quantile of the duration of full depth [s]."""
        rng = np.random.default_rng(0)
        typical = np.array([self.seconds(stage) for stage in stages])
        runs = typical * self.jitter.draw(rng, (TAIL_DRAWS, len(stages)))
        return float(np.quantile(runs.sum(axis=1), quantile))


def price(manifest: Manifest, costs: str | None) -> tuple[PricedStage, ...]:
    """The stages of a bundle at their own price, or at that of a cost table.

    Raises:
        EvaluationError: There is no such table, or it is damaged.
    """
    if costs is not None:
        return load_costs(costs).price(manifest.stages)
    return tuple(PricedStage(stage.name, (_one_pass(stage),)) for stage in manifest.stages)


def _one_pass(stage: StageSpec) -> Pass:
    times = stage.passes
    return Pass(flops=stage.flops / times, weight_bytes=stage.weight_bytes / times, times=times)


def repriced(manifest: Manifest, stages: Sequence[PricedStage]) -> Manifest:
    """The manifest with other prices, for figures relative to full depth."""
    update = tuple(
        spec.model_copy(update={"flops": stage.flops, "weight_bytes": stage.weight_bytes})
        for spec, stage in zip(manifest.stages, stages, strict=True)
    )
    return manifest.model_copy(update={"stages": update})


@cache
def load_hardware(name: str) -> Hardware:
    """The profile of a computer.

    Args:
        name: One of :func:`hardware_names`, or the path of a YAML file.

    Raises:
        EvaluationError: There is none, or a number is missing, negative or not finite.
    """
    return read_yaml(_find("hardware", name), Hardware, error=EvaluationError)


@cache
def load_costs(name: str) -> CostTable:
    """The cost table of a policy.

    Args:
        name: A file of ``config/costs``, without its ending, or the path of a YAML file.

    Raises:
        EvaluationError: There is none, or a number is missing, negative or not finite.
    """
    return read_yaml(_find("costs", name), CostTable, error=EvaluationError)


def hardware_names() -> tuple[str, ...]:
    """The computers that are described in ``config/hardware``."""
    return _names("hardware")


def _names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (share_directory() / "config" / kind).glob("*.yaml")))


def _find(kind: str, name: str) -> Path:
    if name in _names(kind):
        return share_file("config", kind, f"{name}.yaml")
    if (path := Path(name).expanduser()).is_file():
        return path
    raise EvaluationError(
        f"there is no {kind} profile {name!r}; give a file, or one of: {', '.join(_names(kind))}"
    )
