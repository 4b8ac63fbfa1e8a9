# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma data``: make demonstrations, and look into them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from magma_ros.cli.common import JsonFile, RayAddress, cluster, complaints, console, names
from magma_ros.doctor import require
from magma_ros.files import check, write_json
from magma_ros.share import find_bundle

data_app = App(name="data", help="Make demonstrations, and look into them.")


@data_app.command
def generate(
    *,
    config: Path,
    out: Path | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    workers: int = 0,
    ray: RayAddress = "",
) -> int:
    """Let the scripted expert do every task of a recipe; goes on where it was interrupted.

    With another seed, the same kind of demonstrations that the recipe does not learn from.

    Args:
        config: Training recipe, for example models/magma-nano.train.yaml.
        out: Folder of the demonstrations; the recipe's data.folder by default.
        episodes: Of each task; as many as the recipe says by default.
        seed: Of the first episode, from 1000000 to 1999999; the recipe's by default.
        workers: Processes; 0 for one a core.
        ray: Ray cluster that does it instead of them, into the same folder, which all its computers
            must see: host:port of its head, auto for that of this computer, local to start one.
    """
    require("sim", "train")
    from magma_ros.models.data.config import DataConfig
    from magma_ros.models.data.generate import generate as run_generation
    from magma_ros.models.magma.recipe import makes_checkpoint, read_recipe
    from magma_ros.models.training.config import ConfigError, load_config

    data = read_recipe(config).data if makes_checkpoint(config) else load_config(config).data
    changes: dict[str, object] = {"folder": out or data.folder}
    if episodes is not None:
        changes["episodes"] = {s: dict.fromkeys(t, episodes) for s, t in data.episodes.items()}
    if seed is not None:
        changes["seed"] = seed
    changed = check(data.model_dump() | changes, DataConfig, config, ConfigError)
    with cluster(ray):
        folder = run_generation(changed, workers=workers)
    console.print(
        f"demonstrations are in {folder}; magma data inspect {folder} shows what there is"
    )
    return 0


@data_app.command
def demonstrate(
    suite: str,
    *,
    out: Path,
    tasks: str = "",
    episodes: int = 50,
    rate: int = 20,
    tail: int = 2,
    noise: float = 0.0,
    seed: int = 1_000_000,
    after: str = "",
    workers: int = 0,
) -> int:
    """Let the expert of any suite do its tasks, and write what it did as a LeRobot data set.

    Only successes are kept. Goes on where it was interrupted; a data set that is there already is
    looked over.

    Args:
        suite: Task suite: a name, or package.module:attribute for one from another package.
        out: Folder of the data set.
        tasks: Which tasks, separated by commas; all by default.
        episodes: Successful episodes a task.
        rate: Rows a second [Hz].
        tail: Rows recorded after success.
        noise: Standard deviation of what is added to the expert's displacement along each axis, in
            each step of the suite [m]; recorded is what the expert meant.
        seed: Of the first episode of each task, from 1000000 upwards.
        after: A policy that acts first for a while drawn by seed, a shipped bundle's name or a
            folder; recorded is how the expert goes on from there.
        workers: Processes; 0 for one a core.
    """
    from magma_ros.evaluation.suites import extras_of

    require("lerobot", *extras_of(names(suite)))
    from magma_ros.models.data.demonstrations import DemonstrationConfig
    from magma_ros.models.data.demonstrations import demonstrate as run_demonstration

    config = DemonstrationConfig(
        suite,
        names(tasks),
        episodes=episodes,
        rate=rate,
        tail=tail,
        noise=noise,
        seed=seed,
        after=find_bundle(after) if after else None,
    )
    folder = run_demonstration(
        config, out, workers=workers or os.cpu_count() or 1, console=complaints
    )
    console.print(f"demonstrations are in {folder}; name it in a recipe to learn from them")
    return 0


@data_app.command
def aggregate(
    *,
    config: Path,
    checkpoint: Path,
    round_number: Annotated[int, Parameter(name="--round")] = 1,
    out: Path | None = None,
    workers: int = 0,
) -> int:
    """Let a policy and the expert act in turn, and record the expert's actions (DAgger).

    Args:
        config: Recipe that the policy was trained with; its aggregation section says who drives
            for how long.
        checkpoint: Folder that ``magma train`` wrote.
        round_number: Which of the recipe's rounds to play.
        out: Folder of the new demonstrations; <data.folder>-aggregated by default. Name it under
            data.more of a recipe to learn from it.
        workers: Processes; 0 for one a core.
    """
    require("sim", "train")
    from magma_ros.models.training.aggregate import aggregate as run_aggregation
    from magma_ros.models.training.config import ConfigError, load_config

    recipe = load_config(config)
    rounds = len(recipe.aggregation)
    if not 1 <= round_number <= rounds:
        raise ConfigError(f"{config.name} has {rounds} rounds of aggregation, no {round_number}")
    folder = out or recipe.data.folder.with_name(f"{recipe.data.folder.name}-aggregated")
    run_aggregation(
        checkpoint, recipe.data, recipe.aggregation[round_number - 1], folder, workers=workers
    )
    console.print(f"demonstrations are in {folder}; name it under data.more to learn from it")
    return 0


@data_app.command
def inspect(
    folder: Path,
    *,
    skip_damaged: Annotated[bool, Parameter(negative="")] = False,
    json_file: JsonFile = None,
) -> int:
    """Show what a folder of demonstrations holds.

    Args:
        folder: Folder of the demonstrations.
        skip_damaged: Leave out files that are cut short or foreign, instead of refusing them.
        json_file: Also write the result there.
    """
    require("data")
    from magma_ros.models.data.card import summarise
    from magma_ros.tables import data_tables

    summary = summarise(folder, skip_damaged=skip_damaged)
    for table in data_tables(summary, str(folder)):
        console.print(table)
    if json_file is not None:
        write_json(summary.to_json(), json_file)
    return 0
