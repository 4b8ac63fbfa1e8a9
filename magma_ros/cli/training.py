# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma train`` and ``magma export``: from nothing to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from magma_ros.cli.common import console
from magma_ros.doctor import require
from magma_ros.share import find_bundle


def train(
    *,
    config: Path,
    out: Path | None = None,
    resume: bool = False,
    workers: int = 0,
    from_bundle: str | None = None,
) -> int:
    """Train a policy, from nothing to a checkpoint; demonstrations are made if they are missing.

    Args:
        config: Training recipe, for example models/magma-nano.train.yaml.
        out: Folder for checkpoints and curves; checkpoints/<name> by default.
        resume: Go on from the newest checkpoint in that folder.
        workers: Processes that make demonstrations; 0 for one a core.
        from_bundle: Start from the weights of this bundle, a shipped one's name or a folder.
    """
    require("sim", "train")
    from magma_ros.models.training.train import train as run_training

    bundle = None if from_bundle is None else find_bundle(from_bundle)
    checkpoint = run_training(config, out=out, resume=resume, workers=workers, bundle=bundle)
    console.print(f"last checkpoint: {checkpoint}")
    return 0


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
