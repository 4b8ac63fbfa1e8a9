# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the nodes whose latency is measured, block after block, in a ROS domain of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from magma_ros.cli.common import free_port
from magma_ros.embedded.domains import own_domain
from magma_ros.evaluation.bench.nodes_wall import (
    Block,
    NodesBench,
    NodesSpec,
    blocks,
    read_record,
    save_pictures,
)
from magma_ros.evaluation.bench.wall import HOG, WATCHED
from magma_ros.evaluation.computers.browsers import browsers
from magma_ros.evaluation.computers.hog import cpu_hog
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
            for condition in spec.conditions:
                planned = list(blocks(spec, rate, condition, exits))
                bar = progress.add_task(f"{rate:g} Hz, {condition}", total=len(planned))
                longest = sum(map(_longest, planned))
                with _condition(spec, condition, longest) as show:
                    for number, block in enumerate(planned):
                        name = f"{rate:g}hz_{condition}_{number}_{block.contender.gate}"
                        record = folder / f"{name}.json"
                        _play(block, bundle, pictures, record, show)
                        bench.add(block, condition, read_record(record))
                        progress.update(bar, advance=1, refresh=True)
    return bench


@contextmanager
def _condition(
    spec: NodesSpec, condition: str, longest: float
) -> Iterator[Callable[[str], None] | None]:
    """What else goes on; yields what lets browsers show an address, if there are any."""
    if condition == HOG:
        with cpu_hog(longest):
            yield None
    elif condition == WATCHED:
        with browsers(spec.browsers) as show:
            yield show
    else:
        yield None


def _play(
    block: Block,
    bundle: Path,
    pictures: Path,
    record: Path,
    show: Callable[[str], None] | None,
) -> None:
    """Run policy, guard and probe until the probe has seen enough, and a console if it is watched.

    They are in a domain in which no robot listens, because they command an arm.
    """
    record.unlink(missing_ok=True)
    arguments = block.arguments() | {
        "bundle": str(bundle.absolute()),
        "pictures": str(pictures.absolute()),
        "record": str(record.absolute()),
    }
    if show is not None:
        port = free_port()
        arguments |= {"console": "true", "console_port": str(port)}
    words = [f"{name}:={value}" for name, value in arguments.items()]
    launch = share_file("launch", "latency.launch.yaml")
    command = [sys.executable, "-m", "magma_ros.cli", "launch", str(launch), *words]
    with own_domain() as domain, record.with_suffix(".log").open("w") as log:
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
        process = subprocess.Popen(  # noqa: S603 - nothing of the command is foreign
            command, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            if show is not None:
                show(f"http://127.0.0.1:{port}")
            process.wait(_longest(block))
        except subprocess.TimeoutExpired:
            pass  # there will be no record
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _longest(block: Block) -> float:
    return START_TIME + 1.5 * (block.ticks + block.warm_up) / block.rate
