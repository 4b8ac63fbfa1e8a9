# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the nodes whose latency is measured, block after block, in a ROS domain of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from magma_ros.embedded.domains import own_domain
from magma_ros.environment import environment
from magma_ros.evaluation.bench.nodes_wall import (
    Block,
    NodesBench,
    NodesSpec,
    Seen,
    blocks,
    read_record,
    save_pictures,
)
from magma_ros.evaluation.bench.wall import HOG, SERVED, WATCHED
from magma_ros.evaluation.computers.browsers import browsers
from magma_ros.evaluation.computers.clients import clients
from magma_ros.evaluation.computers.hog import cpu_hog
from magma_ros.evaluation.computers.watchers import Watchers, watch
from magma_ros.machine import free_port
from magma_ros.share import share_file

START_TIME = 60.0
"""Time that a block may take besides its pictures [s]: processes, loading, self-test."""


def run_nodes_bench(
    spec: NodesSpec, bundle: Path, folder: Path, *, console: Console | None = None
) -> NodesBench:
    """Play all blocks under every condition.

    Args:
        spec: What to measure.
        bundle: Folder of the policy's bundle.
        folder: Where pictures, records and logs of the nodes are kept.
        console: Where to draw a progress bar, or None for none.

    Raises:
        MagmaError: The bundle is damaged, or the nodes left no record.
    """
    bench = NodesBench.of(spec, bundle)
    exits = bench.manifest.exits
    with Progress(console=console, auto_refresh=False, disable=console is None) as progress:
        for rate in spec.rates:
            pictures = folder / f"pictures_{rate:g}hz.npz"
            save_pictures(pictures, 1.0 / rate)
            planned = list(blocks(spec, rate, exits))
            bar = progress.add_task(f"{rate:g} Hz", total=len(planned))
            for number, (condition, block) in enumerate(planned):
                name = f"{rate:g}hz_{condition}_{number}_{block.contender.gate}"
                record = folder / f"{name}.json"
                with _condition(spec, condition, _longest(block)) as watchers:
                    seen = _play(block, bundle, pictures, record, watchers)
                bench.add(block, condition, read_record(record), seen)
                progress.update(bar, advance=1, refresh=True)
    return bench


@contextmanager
def _condition(spec: NodesSpec, condition: str, longest: float) -> Iterator[Watchers | None]:
    """What else goes on; yields who watches a console, if anybody does."""
    if condition == HOG:
        with cpu_hog(2.0 * longest):
            yield None
    elif condition == WATCHED:
        with browsers(spec.browsers) as pages:
            yield pages
    elif condition == SERVED:
        with clients(spec.browsers) as takers:
            yield takers
    else:
        yield None


def _play(
    block: Block, bundle: Path, pictures: Path, record: Path, watchers: Watchers | None
) -> Seen | None:
    """Run policy, guard and probe until the probe has seen enough, and a console if it is watched.

    They are in a domain in which no robot listens, because they command an arm. The arm is handed
    over once everybody watches.
    """
    record.unlink(missing_ok=True)
    arguments = block.arguments() | {
        "bundle": str(bundle.absolute()),
        "pictures": str(pictures.absolute()),
        "record": str(record.absolute()),
    }
    port = free_port()
    if watchers is not None:
        arguments |= {"console": "true", "console_port": str(port)}
    words = [f"{name}:={value}" for name, value in arguments.items()]
    launch = share_file("launch", "latency.launch.yaml")
    command = [sys.executable, "-m", "magma_ros.cli", "launch", str(launch), *words]
    with (
        own_domain() as domain,
        environment(ROS_DOMAIN_ID=str(domain)),
        record.with_suffix(".log").open("w") as log,
    ):
        process = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
            command, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if watchers is not None:
                watch(watchers, f"http://127.0.0.1:{port}")
            _begin(process)
            before = watchers.pictures() if watchers is not None else ()
            began = time.monotonic()
            process.wait(_longest(block))
        except subprocess.TimeoutExpired:
            return None  # there will be no record
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if watchers is None:
            return None
        taken = zip(watchers.pictures(), before, strict=True)
        return Seen(tuple(now - then for now, then in taken), time.monotonic() - began)


def _begin(process: subprocess.Popen[bytes]) -> None:
    """Tell the probe to let the policy drive, unless all has ended."""
    from magma_ros.nodes import names
    from magma_ros.nodes.companion import Companion

    companion = Companion("latency_bench")
    companion.begin()
    end = time.monotonic() + START_TIME
    try:
        while process.poll() is None and time.monotonic() < end:
            answer = companion.call(names.PROBE_BEGIN, 1.0)
            if answer is not None and answer.success:
                return
    finally:
        companion.close()


def _longest(block: Block) -> float:
    return START_TIME + 1.5 * (block.ticks + block.warm_up) / block.rate
