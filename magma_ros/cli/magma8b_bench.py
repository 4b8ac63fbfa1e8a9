# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench magma8b``: the whole network with random weights, staged, against the floor."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import Parameter, validators

from magma_ros.cli.common import JsonFile, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder, write_json
from magma_ros.types import MagmaError

if TYPE_CHECKING:
    from magma_ros.models.magma.bench import Bench8B, Timed, TimedPrecision


def magma8b(
    *,
    width: Literal["1", "1/2", "1/4", "1/8"] | None = None,
    precision: str = "bf16,int8,int4",
    steps: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 200,
    fewer: Annotated[int | None, Parameter(validator=validators.Number(gte=2))] = None,
    rates: str = "",
    threads: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=128))] = 2,
    out: Path = Path("runs/magma8b"),
    make_only: bool = False,
    json_file: JsonFile = None,
) -> int:
    """Time Magma-8B's shape with random weights: each stage, the control step, the gate on top.

    On a GPU (CUDA) the full shape, elsewhere an eighth of its width, which the output says. What
    the computer reaches at best is measured as well. Bundles are made one after the other and
    removed again, but for those that --make-only left there.

    Args:
        width: Share of the 8B's width.
        precision: Of bf16, int8 and int4, separated by commas; bf16 is cast to fp32 on a CPU.
        steps: Control steps with the passes that the tokens need.
        fewer: Control steps with seven passes, and with the gate at each rate; by default as many.
        rates: Control rates for the gate [Hz], separated by commas; by default those near full
            depth.
        threads: Of the policy, on a CPU.
        out: Where bundles are made; needs room for one at a time.
        make_only: Only make the bundles, and keep them for a later run with the same --out.
        json_file: Also write the result there, after each precision.
    """
    require("train")
    from magma_ros.models.magma import bench
    from magma_ros.models.magma.bench_report import rates_table, step_table
    from magma_ros.policy import providers

    chosen, place, sentence = bench.find_place(width)
    wanted = _precisions(precision)
    spec = bench.Bench8B(
        bench.shape_of(chosen),
        chosen,
        place,
        on_gpu=place[0] in providers.ON_GPU,
        steps=steps,
        fewer=fewer or steps,
        threads=threads,
        rates=_rates(rates),
    )
    make_folder(out)
    bench.require_resources(spec, wanted, out, providers.gpu_memory(), keep=make_only)
    console.print(sentence, soft_wrap=True, highlight=False)
    if make_only:
        for each in wanted:
            _make(spec, each, bench.kept(spec, each, out))
        return 0
    found = _measure_each(spec, wanted, out, json_file, sentence)
    if found:
        console.print(step_table(found))
        console.print(rates_table(found))
    return 0 if len(found) == len(wanted) else 1


def _measure_each(
    spec: Bench8B,
    wanted: Iterable[TimedPrecision],
    out: Path,
    json_file: Path | None,
    place: str,
) -> list[Timed]:
    """What was measured of the precisions that run here; written down after each of them."""
    from magma_ros.models.magma import bench
    from magma_ros.models.magma.bench_report import placement

    found: list[Timed] = []
    for each in wanted:
        try:
            found.append(_measure(spec, each, out))
        except MagmaError as error:  # the others may run
            told = f"{each} does not run here: {error}"
            complaints.print(told, soft_wrap=True, highlight=False, markup=False)
            continue
        console.print(placement(found[-1]), soft_wrap=True, highlight=False)
        if json_file is not None:
            results = {each.precision: each.to_json() for each in found}
            content = {"format": bench.FORMAT, "width": spec.width, "place": place}
            write_json({**content, "precisions": results}, json_file)
    return found


def _make(spec: Bench8B, precision: TimedPrecision, bundle: Path) -> None:
    """Make a bundle and say how long that took."""
    from magma_ros.models.magma.bench import make_bundle

    began = time.perf_counter()
    with complaints.status(f"{precision}: begins") as status:
        make_bundle(
            spec,
            precision,
            bundle,
            tell=lambda step: status.update(f"{precision}: writing {step}"),
        )
    took = time.perf_counter() - began
    size = sum(path.stat().st_size for path in bundle.iterdir())
    console.print(f"{precision}: {size / 1e9:.1f} GB made in {took:.1f} s", highlight=False)


def _measure(spec: Bench8B, precision: TimedPrecision, out: Path) -> Timed:
    """Time a bundle that was made before, or make one and remove it again; show its stages."""
    from magma_ros.evaluation.bench.stages import stages_table
    from magma_ros.models.magma import bench

    kept = bench.kept(spec, precision, out)
    with ExitStack() as stack:
        if bench.is_made(kept):
            bundle = kept
        else:
            bundle = Path(stack.enter_context(TemporaryDirectory(dir=out))) / precision
            _make(spec, precision, bundle)
        with complaints.status(f"{precision}: measuring what is possible"):
            best = spec.ceilings(precision)
        timed = bench.time_bundle(spec, precision, bundle, best, watch=_watch)
    console.print(stages_table(timed.one_by_one))
    return timed


def _precisions(text: str) -> list[TimedPrecision]:
    """Precisions from text like bf16,int8."""
    from magma_ros.models.magma.bench import TimedPrecision

    known = get_args(TimedPrecision)
    given = names(text)
    if not given or set(given) - set(known):
        raise MagmaError(f"give precisions of {', '.join(known)}, not {text!r}")
    return [each for each in known if each in given]


def _watch(steps: range, task: str) -> Iterable[int]:
    from rich.progress import track

    return track(steps, task, console=complaints)


def _rates(text: str) -> tuple[float, ...]:
    """Rates from text like 1,2.5 [Hz]."""
    try:
        rates = tuple(float(part) for part in names(text))
    except ValueError:
        rates = (0.0,)
    if not all(0.0 < rate <= 1000.0 for rate in rates):
        raise MagmaError(f"give the rates as numbers of Hz, as in 1,2,5, not {text!r}")
    return rates
