# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma train`` and ``magma export``: from nothing, or from corrections, to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from magma_ros.cli.calibration import calibrate as run_calibration
from magma_ros.cli.common import complaints, console
from magma_ros.doctor import require
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError


def train(
    *,
    config: Path | None = None,
    out: Path | None = None,
    resume: bool = False,
    workers: int = 0,
    from_bundle: str | None = None,
    from_episodes: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    bundle: str = "magma-nano",
    human_weight: int = 4,
    before_takeover: float = 1.0,
    with_demonstrations: Annotated[bool, Parameter(negative="")] = False,
    steps: int = 300,
    batch: int = 32,
    learning_rate: float = 1e-4,
    seed: int = 0,
    calibrate: bool = True,
    skip_broken: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a policy from a recipe to a checkpoint, or a bundle on episodes to a better bundle.

    With a recipe, demonstrations are made if they are missing. With --from-episodes, a bundle is
    trained further on what people showed in recordings, exported to --out and calibrated.

    Args:
        config: Training recipe, for example models/magma-nano.train.yaml; with --from-episodes,
            the one that the bundle was made with, if that is not known.
        out: Folder for checkpoints and curves, checkpoints/<name> by default; with
            --from-episodes, of the new bundle.
        resume: Go on from the newest checkpoint in that folder.
        workers: Processes that make demonstrations or calibrate; 0 for one a core.
        from_bundle: With a recipe: start from the weights of this bundle, by name or folder.
        from_episodes: Folders of recordings, or LeRobot data sets, to learn from.
        bundle: With --from-episodes: the bundle to train further.
        human_weight: How often a row that a person drove is learned, for once that a policy's is.
        before_takeover: Time before a take-over that is left out [s].
        with_demonstrations: Learn from the recipe's demonstrations as well.
        steps: Optimiser steps on episodes.
        batch: Samples a step.
        learning_rate: Peak learning rate.
        seed: Of the order of samples and their variation.
        calibrate: Calibrate the new bundle's gate, which takes the simulator a while.
        skip_broken: Leave out episodes that cannot be read, and name them.
    """
    if not from_episodes:
        if config is None:
            raise MagmaError("give a recipe as --config, or episodes as --from-episodes")
        _from_recipe(config, out, from_bundle, resume=resume, workers=workers)
        return 0
    if out is None:
        raise MagmaError("say where the new bundle goes as --out")
    if from_bundle is not None or resume:
        raise MagmaError("--from-episodes takes --bundle, and neither --from-bundle nor --resume")
    require("sim", "train", "record")
    from magma_ros.models.data.config import CorrectionConfig
    from magma_ros.models.export.corrections import improve
    from magma_ros.models.training.corrections import Tuning

    learned = improve(
        find_bundle(bundle),
        out,
        CorrectionConfig(
            episodes=from_episodes,
            human=human_weight,
            before=before_takeover,
            demonstrations=with_demonstrations,
        ),
        Tuning(steps=steps, batch=batch, learning_rate=learning_rate, seed=seed),
        recipe=config,
        skip_broken=skip_broken,
        tell=lambda sentence: complaints.print(sentence, markup=False, soft_wrap=True),
    )
    console.print(
        f"learned from {learned.human} rows that people drove and {learned.policy} of the policy's "
        f"in {learned.episodes} episodes, {learned.left_out} rows left out; bundle written to {out}"
    )
    if calibrate:
        run_calibration(bundle=str(out), workers=workers)
    console.print("magma eval compare says what it is worth, from magma eval --json of both")
    return 0


def _from_recipe(
    config: Path, out: Path | None, from_bundle: str | None, *, resume: bool, workers: int
) -> None:
    """Train what the recipe says: a bundle's network, or a checkpoint of Magma's layout."""
    require("sim", "train")
    from magma_ros.models.magma.recipe import makes_checkpoint
    from magma_ros.models.magma.training import train as train_checkpoint
    from magma_ros.models.training.train import train as run_training

    if makes_checkpoint(config):
        if from_bundle is not None:
            raise MagmaError(f"{config} makes a checkpoint; it does not start from a bundle")
        trained = train_checkpoint(config, out=out, resume=resume, workers=workers)
        console.print(f"checkpoint in the layout of Magma-8B: {trained}")
        return
    start = None if from_bundle is None else find_bundle(from_bundle)
    checkpoint = run_training(config, out=out, resume=resume, workers=workers, bundle=start)
    console.print(f"last checkpoint: {checkpoint}")


def export(
    *,
    checkpoint: Path,
    out: Path,
    precision: Literal["int8", "fp32"] = "int8",
    episodes: int = 0,
) -> int:
    """Turn a checkpoint into a bundle: one ONNX file a stage, manifest, checksums, model card.

    Args:
        checkpoint: Folder that ``magma train`` wrote.
        out: Folder of the bundle; replaced only once the new one is complete.
        precision: Number format of the weights.
        episodes: Episodes per task and exit to play with the bundle, for its card; 0 for none.
    """
    require("sim", "train")
    from magma_ros.models.export.export import export as run_export

    run_export(checkpoint, out, precision=precision, episodes=episodes)
    console.print(f"bundle written to {out}")
    return 0
