# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench serve``: many robots before one server, over good networks and bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.common import Bundle, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import make_folder
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError


def serve(
    *,
    bundle: Bundle = "magma-nano",
    out: Path = Path("runs/serve"),
    quick: Annotated[bool, Parameter(negative="")] = False,
    robots: str | None = None,
    spike: str | None = None,
    seconds: float | None = None,
    rate: float = 10.0,
    deadline: float | None = None,
    delay: float = 0.04,
    jitter: float = 0.02,
    loss: float = 0.01,
    cut: float = 2.0,
    line: Literal["auto", "netem", "proxy", "none"] = "auto",
    episodes: int | None = None,
    seed: int = 0,
) -> int:
    """Let many simulated robots ask one server at once: magma serve, and plain ones beside it.

    The plain ones are built as openpi's is, around the same policy: one answers with full depth,
    one always with exit 3, first come, first served. All share this machine's cores with the
    robots.

    Args:
        bundle: Policy bundle, of the suites tabletop and moving.
        out: Folder for the report, the recorded observations, and what the servers say.
        quick: A few seconds of the most important measurements, for an impression.
        robots: Numbers of robots, separated by commas; 1,4,16,64 by default.
        spike: From how many robots to how many; 16,64 by default.
        seconds: Duration of each measurement [s]; 20, or 4 with --quick.
        rate: Observations of each robot a second [Hz].
        deadline: Time from an observation to its plan [s]; one period by default.
        delay: Round trip of the bad line [s].
        jitter: Largest deviation of a round trip from that [s].
        loss: Share of packets that it loses.
        cut: Time for which it is cut now and then [s].
        line: How it is made: by netem in a network namespace, by a proxy, as is possible here, or
            not at all.
        episodes: Episodes a task for the success at the depths observed; 20, or 0 with --quick.
        seed: Of phases, scenes, bursts and cuts.
    """
    require("remote", "sim")
    from magma_ros.evaluation.bench.serve import ServeSpec, run_serve_bench
    from magma_ros.evaluation.bench.serve_report import serve_tables, write_serve_bench
    from magma_ros.evaluation.computers.lines import LineSpec

    few, many = _counts(spike or ("4,16" if quick else "16,64"), "--spike", 2)
    spec = ServeSpec(
        robots=_counts(robots or ("1,16" if quick else "1,4,16,64"), "--robots"),
        spike=(few, many),
        seconds=seconds if seconds is not None else (4.0 if quick else 20.0),
        rate=rate,
        deadline=1.0 / rate if deadline is None else deadline,
        seed=seed,
        line=LineSpec() if line == "none" else LineSpec(delay, jitter, loss, cut, seed),
        line_kind="auto" if line == "none" else line,
        line_robots=4 if quick else 16,
        episodes=episodes if episodes is not None else (0 if quick else 20),
    )
    make_folder(out)  # fail now, not after minutes
    bench = run_serve_bench(spec, find_bundle(bundle), out, console=complaints)
    write_serve_bench(bench, out)
    for table in serve_tables(bench):
        console.print(table)
    console.print(f"report in {out}")
    return 0


def _counts(text: str, option: str, exactly: int | None = None) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in names(text))
    except ValueError:
        found = ()
    if not found or exactly not in (None, len(found)):
        many = "numbers" if exactly is None else f"{exactly} numbers"
        raise MagmaError(f"{option} takes {many} of robots, separated by commas, not {text!r}")
    return found
