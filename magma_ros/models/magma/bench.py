# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times Magma-8B's shape with random weights: every stage, the whole control step, the gate on top.

How long a network takes does not depend on what its weights are, but for the passes in which an
action is decoded: random weights need nearly as many as decoding token by token does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from magma_ros.evaluation.bench import ceilings
from magma_ros.evaluation.bench.ceilings import Ceilings, Numbers
from magma_ros.evaluation.bench.stages import Spread, StagesBench, Watch, time_policy, unwatched
from magma_ros.gate.gates import make_gate
from magma_ros.models.export.folder import commit_of_code
from magma_ros.models.magma.comparison import noise
from magma_ros.models.magma.export import Tell, import_checkpoint
from magma_ros.models.magma.export_graph import Compute, NumberFormat
from magma_ros.models.magma.export_target import (
    Target,
    bundle_bytes,
    require_room,
    working_bytes,
)
from magma_ros.models.magma.layout import MAGMA_8B, MagmaShape
from magma_ros.models.magma.plan import RATES
from magma_ros.models.magma.synthetic import RandomCheckpoint, scaled
from magma_ros.policy import providers as execution
from magma_ros.policy.manifest import MANIFEST, read_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import MagmaError

FORMAT = "magma-8b-bench/2"
"""Mark of the JSON."""

COMMAND = "magma bench magma8b"
"""What the bundles say that they were made by."""

Width = Literal["1", "1/2", "1/4", "1/8"]

WIDTHS: dict[Width, float] = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
"""Widths as shares of the 8B's, by their names; heads of attention stay whole."""

ON_CPU: Width = "1/8"
"""Width that fits a CPU."""

TimedPrecision = Literal["bf16", "int8", "int4"]

OBSERVATIONS = 16
"""Different pictures and instructions of noise that the steps take in turns."""

SPAN = (0.25, 2.0)
"""Periods of the control rates that are tried unless others are given, relative to full depth."""

SPARE = 0.1
"""Share of a GPU's memory that weights must leave to activations."""


@dataclass(frozen=True, slots=True)
class Bench8B:
    """What is measured, and where.

    Attributes:
        shape: Of the network.
        width: Name of its width.
        providers: Execution providers, best first.
        on_gpu: Whether the first of them is a GPU's.
        steps: Control steps whose tokens are decoded in parallel.
        fewer: Control steps whose tokens are decoded one by one, and with the gate at each rate.
        threads: Of the policy.
        rates: Control rates for the gate [Hz]; none for those near full depth.
    """

    shape: MagmaShape
    width: Width
    providers: tuple[str, ...]
    on_gpu: bool
    steps: int = 200
    fewer: int = 200
    threads: int = 2
    rates: tuple[float, ...] = ()

    def numbers(self, precision: TimedPrecision) -> NumberFormat:
        """How weights of a precision are kept, and in what is computed."""
        return NumberFormat.of(precision, self.compute(precision))

    def compute(self, precision: TimedPrecision) -> Compute:
        """What a precision computes in: what is fast there."""
        if not self.on_gpu:
            return "fp32"
        return "bf16" if precision == "bf16" else "fp16"

    def ceilings_in(self, precision: TimedPrecision) -> Numbers:
        """Type of the products in which the ceilings of a precision are measured."""
        if not self.on_gpu:  # quantised products round their activations to 8 bits there
            return "int8" if precision.startswith("int") else "float32"
        return "bfloat16" if precision == "bf16" else "float16"

    def ceilings(self, precision: TimedPrecision) -> Ceilings:
        """What the computer reaches at best in that type, with weights that no cache holds.

        Raises:
            MagmaError: It has no such products.
        """
        numbers = self.ceilings_in(precision)
        width = None if numbers == "float32" else ceilings.LARGE_WIDTH
        return ceilings.measure_ceilings(self.providers, self.threads, numbers=numbers, width=width)

    def bytes(self, precision: TimedPrecision) -> int:
        """Size of the bundle of a precision."""
        return bundle_bytes(self.shape, self.numbers(precision), 2)


@dataclass(frozen=True, slots=True)
class Timed:
    """What came out for a precision.

    Attributes:
        precision: The precision.
        one_by_one: As many passes as tokens, which is what decoding them one by one takes.
        in_parallel: As many passes as the tokens need on pictures of noise, and the gate on top.
        on_cpu: Of each stage the operators that run on the CPU and not where the others run, with
            how many of each; None where ONNX Runtime does not say.
    """

    precision: TimedPrecision
    one_by_one: StagesBench
    in_parallel: StagesBench
    on_cpu: dict[str, dict[str, int]] | None

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "one_by_one": self.one_by_one.to_json(),
            "in_parallel": self.in_parallel.to_json(),
            "on_cpu": self.on_cpu,
        }


def find_place(width: Width | None) -> tuple[Width, tuple[str, ...], str]:
    """Where to measure: width, providers, and both as a sentence.

    Args:
        width: The width that is wanted; None for the whole on a GPU, and what fits elsewhere.
    """
    if problem := execution.why_not(execution.CUDA):
        chosen = width or ON_CPU
        told = (
            f"This is no measurement of Magma-8B on a GPU, as {execution.CUDA} is not available: "
            f"{problem}. Measured is {chosen} of its width on the CPU, with random weights."
        )
        return chosen, (execution.CPU,), told
    chosen = width or "1"
    # TensorRT would build engines for minutes, stage by stage.
    told = f"Magma-8B's shape at {chosen} of its width on {execution.CUDA}, with random weights."
    return chosen, (execution.CUDA,), told


def shape_of(width: Width) -> MagmaShape:
    """Magma-8B's shape at a width."""
    return MAGMA_8B if width == "1" else scaled(WIDTHS[width])


def require_resources(
    bench: Bench8B,
    precisions: Sequence[TimedPrecision],
    folder: Path,
    gpu_memory: int,
    *,
    keep: bool = False,
) -> None:
    """Refuse what there is no room for, before anything is made.

    Args:
        bench: What is measured.
        precisions: Made one after the other, so that only one is on the disk at a time unless they
            are kept. One that was kept before needs no more room.
        folder: Where bundles are made.
        gpu_memory: Bytes of the GPU's memory.
        keep: Whether all are on the disk in the end.

    Raises:
        MagmaError: Disk, memory or the GPU's memory is too small.
    """
    largest = max(precisions, key=bench.bytes)
    memory = working_bytes(bench.shape)
    if not bench.on_gpu:  # what is kept in bfloat16 is cast as a whole
        loaded = [bench.numbers(each) for each in precisions]
        wide = NumberFormat.of("fp32")
        held = [wide if each.weights != each.compute else each for each in loaded]
        memory = max(memory, *(bundle_bytes(bench.shape, each, 2) for each in held))
    elif bench.bytes(largest) > (1.0 - SPARE) * gpu_memory:
        raise MagmaError(
            f"{largest} takes {bench.bytes(largest) / 1e9:.1f} GB, but the GPU has "
            f"{gpu_memory / 1e9:.1f} GB, {SPARE:.0%} of which must stay free; choose a smaller "
            "precision or width"
        )
    needed = [bench.bytes(p) for p in precisions if not is_made(kept(bench, p, folder))]
    require_room(folder / "bundle", sum(needed) if keep else max(needed, default=0), memory)


def make_bundle(
    bench: Bench8B, precision: TimedPrecision, folder: Path, *, tell: Tell = lambda _: None
) -> Path:
    """Make a bundle of random weights, as one is imported; return its folder.

    Args:
        bench: What is measured.
        precision: Of the weights.
        folder: Of the bundle.
        tell: Is told of each step that begins.

    Raises:
        MagmaError: There is not enough room.
    """
    target = Target(precision=precision, compute=bench.compute(precision), name="magma-8b-random")
    with TemporaryDirectory(dir=folder.parent) as scratch:
        checkpoint = RandomCheckpoint.make(Path(scratch), bench.shape)
        return import_checkpoint(
            checkpoint,
            folder,
            target,
            command=COMMAND,
            memory=lambda _shape, _source, ids: checkpoint.memory(len(ids)),
            tell=tell,
        )


def kept(bench: Bench8B, precision: TimedPrecision, folder: Path) -> Path:
    """Where the bundle of a precision is kept in ``folder`` for later, by what it is."""
    width = bench.width.replace("/", "-")
    return folder / f"{precision}-{bench.compute(precision)}-width-{width}"


def is_made(bundle: Path) -> bool:
    """Whether a bundle was made there before, by the same code."""
    if not (bundle / MANIFEST).is_file():
        return False
    origin = read_manifest(bundle).provenance
    return (origin.command, origin.commit) == (COMMAND, commit_of_code())


def time_bundle(
    bench: Bench8B,
    precision: TimedPrecision,
    folder: Path,
    best: Ceilings,
    *,
    watch: Watch = unwatched,
) -> Timed:
    """Time a bundle.

    Args:
        bench: What is measured.
        precision: Of the bundle.
        folder: The bundle.
        best: What the computer reaches at best.
        watch: Shows how far it is.

    Raises:
        MagmaError: The bundle does not run there.
    """
    policy = StagedPolicy.load(folder, providers=bench.providers, threads=bench.threads)
    policy.warm_up(1)
    seen = cycle([each.observation for each in noise(policy.manifest, OBSERVATIONS)])

    def due(full_depth: Spread) -> tuple[float, ...]:
        return deadlines(full_depth, bench.rates)

    gate = make_gate("adaptive", bundle=folder)
    measured = partial(time_policy, policy, gate, best, threads=bench.threads, watch=watch)
    one_by_one = measured(lambda _: (), steps=bench.fewer)
    in_parallel = measured(
        due, steps=bench.steps, gated_steps=bench.fewer, begin=lambda: policy.start(next(seen))
    )
    return Timed(precision, one_by_one, in_parallel, policy.on_cpu())


def deadlines(full_depth: Spread, rates: Sequence[float]) -> tuple[float, ...]:
    """Periods of control rates [s]: those given [Hz], or of usual ones those near full depth."""
    if rates:
        return tuple(1.0 / rate for rate in rates)
    low, high = SPAN
    near = (1.0 / r for r in RATES if low * full_depth.p50 <= 1.0 / r <= high * full_depth.p99)
    return tuple(near) or (1.0 / RATES[0],)
