# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes demonstrations: episodes divided among files, made in parallel.

A shard depends on the configuration and its seeds alone; what exists already is not made again, and
a shard appears under its name only when it is whole, so an interrupted run continues where it
stopped.

Seeds: evaluation owns 0 to 999,999, training 1,000,000 to 1,999,999, validation 2,000,000 onwards.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from magma_ros.evaluation.play.workers import processes
from magma_ros.models.data.card import Origin, write_card
from magma_ros.models.data.config import DataConfig
from magma_ros.models.data.episodes import Driver, MakeBursts, Shard, write_shard
from magma_ros.models.data.shards import DataError, check_shards
from magma_ros.models.schema import fingerprint
from magma_ros.sim.suite import load_suite

NO_CONTENT = {"folder", "more", "skip_damaged", "lerobot", "rate", "degrees", "noise"}
"""Fields of a :class:`DataConfig` that no shard depends on."""


def generate(config: DataConfig, *, workers: int = 0) -> Path:
    """Make all demonstrations that are not there yet.

    Args:
        config: What to make.
        workers: Processes; 0 for one per core.

    Returns:
        The folder of the shards.

    Raises:
        DataError: The folder holds demonstrations of another configuration, or a damaged one.
        SimulationError: There is no such suite or task.
    """
    folder = config.folder
    shards = plan_shards(config, folder, MakeBursts(config.disturbance))
    claim_folder(folder, fingerprint(config, exclude=NO_CONTENT))
    check_shards(folder, skip_damaged=config.skip_damaged)
    write_shards(shards, workers, "demonstrations")
    write_card(folder, origin_of(config), skip_damaged=config.skip_damaged)
    return folder


def origin_of(config: DataConfig) -> Origin:
    """The origin of these demonstrations, for their card."""
    return Origin(
        story="The scripted expert drives, led astray by short bursts in most episodes.",
        command="magma data generate --config recipe.yaml",
        recipe={"data": config.model_dump(mode="json", exclude=NO_CONTENT)},
    )


def plan_shards(
    config: DataConfig,
    folder: Path,
    make_driver: Callable[[str, int], Driver],
    split: str = "seen",
) -> list[Shard]:
    """Divide the episodes of every task among files.

    Raises:
        SimulationError: There is no such suite, task or split.
    """
    shards = []
    for suite, task in config.tasks:
        # A wrong name is told here, not by a worker.
        load_suite(suite).task(task)
        load_suite(suite).split(split)
        seeds = range(config.seed, config.seed + config.episodes[suite][task])
        shards += [
            Shard(
                path=folder / f"{suite}-{task}-{first:05d}.parquet",
                suite=suite,
                task=task,
                split=split,
                seeds=tuple(seeds[first : first + config.shard]),
                tail=config.tail,
                make_driver=make_driver,
            )
            for first in range(0, len(seeds), config.shard)
        ]
    return shards


def claim_folder(folder: Path, identity: str) -> None:
    """Mark a folder as belonging to one configuration.

    Raises:
        DataError: It belongs to another one, or cannot be written.
    """
    mark = folder / ".identity"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            mark.write_text(identity)
        found = mark.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{folder} cannot be used for demonstrations: {reason}") from error
    if found != identity:
        raise DataError(
            f"{folder} holds demonstrations made with other settings; "
            "choose another folder or delete this one"
        )


def write_shards(shards: Sequence[Shard], workers: int, what: str) -> None:
    """Make the missing shards in parallel, with a progress bar in episodes."""
    columns = (
        TextColumn(f"[bold]{what}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("episodes  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress, processes(workers or os.cpu_count() or 1) as pool:
        total = sum(len(shard.seeds) for shard in shards)
        missing = [shard for shard in shards if not shard.path.exists()]
        made = total - sum(len(shard.seeds) for shard in missing)
        bar = progress.add_task(what, total=total, completed=made, rate="")
        waiting = {pool.submit(write_shard, shard): shard for shard in missing}
        steps, begin = 0, time.perf_counter()
        for done in as_completed(waiting):
            steps += done.result()
            rate = f"{steps / (time.perf_counter() - begin):.0f} steps/s"
            progress.update(bar, advance=len(waiting[done].seeds), rate=rate)
