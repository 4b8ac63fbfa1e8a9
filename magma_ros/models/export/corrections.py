# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a bundle and episodes in which people corrected it to a better bundle beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from magma_ros.models.data.config import CorrectionConfig
from magma_ros.models.data.corrections import Learned
from magma_ros.models.export.export import Origin, export
from magma_ros.models.training.corrections import (
    Tuning,
    recipe_for,
    train_on_episodes,
    write_recipe,
)
from magma_ros.policy.manifest import MANIFEST, read_manifest, sha256_of
from magma_ros.types import MagmaError


def improve(
    bundle: Path,
    out: Path,
    corrections: CorrectionConfig,
    tuning: Tuning,
    *,
    recipe: Path | None = None,
    skip_broken: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> Learned:
    """Train a bundle further on episodes, and write the new one beside it.

    Args:
        bundle: The old bundle, which stays as it is.
        out: Folder of the new one; replaced only once that is complete.
        corrections: Which episodes, and how much what counts.
        tuning: How long and how fast.
        recipe: What the old bundle was trained with, if it is neither shipped nor in its folder.
        skip_broken: Leave out episodes that cannot be read, and tell so.
        tell: Takes what is doubtful about episodes, a sentence at a time.

    Returns:
        What was learned from.

    Raises:
        MagmaError: Something cannot be used, or the new bundle would replace the old one.
    """
    if out.resolve() == bundle.resolve():
        raise MagmaError(f"{out} is the bundle that is trained further; choose another --out")
    base = recipe_for(bundle, recipe)
    with tempfile.TemporaryDirectory(prefix="magma-train-") as scratch:
        run = Path(scratch) / "run"
        checkpoint, learned = train_on_episodes(
            base, bundle, corrections, tuning, run, skip_broken=skip_broken, tell=tell
        )
        export(checkpoint, out, origin=_origin(bundle, out, corrections, learned))
    write_recipe(out, base)
    return learned


def _origin(bundle: Path, out: Path, corrections: CorrectionConfig, learned: Learned) -> Origin:
    """Where the new bundle comes from, for its manifest and card."""
    parent = read_manifest(bundle)
    more = " and its demonstrations" if corrections.demonstrations else ""
    data = (
        f"{learned.episodes} episodes of {', '.join(path.name for path in corrections.episodes)}"
        f"{more}: {learned.human} steps that people drove, each {corrections.human} times, and "
        f"{learned.policy} of its own in episodes that went well, but none of the "
        f"{corrections.before:g} s before a take-over; parent {parent.name} of {parent.created}, "
        f"SHA-256 of its manifest {sha256_of(bundle / MANIFEST)}"
    )
    folders = " ".join(map(str, corrections.episodes))
    return Origin(data, f"magma train --from-episodes {folders} --bundle {bundle} --out {out}")
