# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From checkpoints of one base to one checkpoint, which appears once it is whole."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from rich.progress import track
from torch import Tensor

from magma_ros.files import make_folder
from magma_ros.models.export.folder import bundle_folder
from magma_ros.models.magma.reader import INDEX
from magma_ros.models.merging.features import Family, feature_scales, sensitive_weights
from magma_ros.models.merging.figures import Sums
from magma_ros.models.merging.merge import Folded, Merge
from magma_ros.models.merging.methods import Length, Method
from magma_ros.models.merging.observations import EVERY_CAMERA, draw_observations
from magma_ros.models.merging.runner import runner_of
from magma_ros.models.merging.weights import (
    LayoutWeights,
    MergeError,
    PolicyWeights,
    Weights,
    open_family,
    open_weights,
)
from magma_ros.models.merging.writer import write_weights
from magma_ros.models.training.ancestry import FILE, Ancestor, Ancestry, write_ancestry
from magma_ros.models.training.checkpoint import RECIPE, Recipe
from magma_ros.policy.action_statistics import OWN
from magma_ros.types import MagmaError, Observation

Magic = Literal["wsc", "fsc", "dsc"]

CARD = "MODEL_CARD.md"

ROWS: dict[Length, str] = {
    "ellipsoid": "",
    "mean": " (rows of mean length)",
    "projection": " (rows of whole projection)",
}
"""What a card says of the length of rows."""

COPIED = frozenset({".json", ".jinja", ".txt", ".model"})
"""Endings of the small files of a checkpoint of Magma's layout that a merged one takes over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is merged, and how.

    Attributes:
        base: Folder of what the parents were fine-tuned from.
        parents: Theirs.
        out: Folder of the merged checkpoint; only a merged one is ever replaced.
        name: What it is called.
        method: How task vectors become one.
        magic: Which calibration follows: of weights, of features, or one after the other.
        length: Which length weights are given.
        observations: Demonstrations that features are measured on: one folder, from which each
            parent is given the tasks that it learned, or one for each parent.
        per_task: Observations a task.
        guard: How many sensitive weights are never enlarged, while all others are never shrunk; 0
            for no guard. Finding them takes observations; without any there is no guard.
        seed: Of the draw of observations.
        camera: That a network of Magma's layout sees with.
        command: What merges, for the card.
    """

    base: Path
    parents: tuple[Path, ...]
    out: Path
    name: str = "merged"
    method: Method = field(default_factory=Method)
    magic: Magic | None = None
    length: Length = "ellipsoid"
    observations: tuple[Path, ...] = ()
    per_task: int = 4
    guard: int = 10
    seed: int = 0
    camera: str = "front"
    command: str = "magma merge"

    @property
    def how(self) -> str:
        """Method and figures, as part of a sentence."""
        method = self.method
        parts = [f"task arithmetic at scale {method.scale_of(len(self.parents)):.4g}"]
        if method.name == "ties":
            parts = [f"TIES at density {method.density:g}, scale {method.scale_of(1):.4g}"]
        if self.magic:
            how = "" if self.magic == "fsc" else ROWS[self.length]
            parts.append(f"calibrated by MAGIC's {self.magic.upper()}{how}")
        if self.magic and self.observations:
            parts.append(f"{self.per_task} observations a task")
            parts += [f"{self.guard} weights guarded"] if self.guard else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was merged.

    Attributes:
        ancestry: Of what, and how.
        figures: By tensor, in the order of the checkpoint.
        sensitive: Weights that were not enlarged; None without a guard.
    """

    ancestry: Ancestry
    figures: dict[str, Sums]
    sensitive: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Parent:
    """A parent, its checksums, and what it is calibrated on."""

    weights: Weights
    ancestor: Ancestor
    observations: list[Observation]


def merge_checkpoints(plan: Plan) -> Outcome:
    """Merge checkpoints and write the result.

    Raises:
        MagmaError: A checkpoint cannot be used, does not fit the others or is the base's, the
            observations are missing, or the result cannot be written; nothing is left behind.
    """
    _require_free(plan)
    base, opened = open_family(plan.base, list(plan.parents))
    parents = _in_order(opened, plan)
    make_folder(plan.out.parent)
    ancestry = Ancestry(
        name=plan.name,
        how=plan.how,
        command=plan.command,
        base=base.ancestor(),
        parents=tuple(parent.ancestor for parent in parents),
    )
    return _Merging(plan, base, parents, ancestry).run()


class _Merging:
    """One merge, from checked checkpoints to the folder."""

    def __init__(
        self, plan: Plan, base: Weights, parents: list[_Parent], ancestry: Ancestry
    ) -> None:
        self.plan, self.base, self.ancestry = plan, base, ancestry
        self.parents = [parent.weights for parent in parents]
        self.family = Family(base, self.parents, [parent.observations for parent in parents])
        self.by_features = plan.magic in ("fsc", "dsc")

    def run(self) -> Outcome:
        with bundle_folder(self.plan.out) as scratch:
            drafts = scratch / ".drafts"
            merge = self._merge(self._sensitive(drafts / "plain"))
            source: Merge | Folded = merge
            if self.by_features:
                draft = self._written(merge, drafts / "merged")
                merge.require_a_family()
                runner = runner_of(self.base, self.plan.camera)
                runner.load(draft)
                scales = feature_scales(runner, self.family, merge.sensitive)
                for name, scale in scales.items():
                    merge.figures[name].rescale(scale)
                source = Folded(self.base, draft, scales)
            self._written(source, scratch)
            merge.require_a_family()
            shutil.rmtree(drafts, ignore_errors=True)
            (scratch / CARD).write_text(self._card(), encoding="utf-8")
        return Outcome(self.ancestry, merge.figures, merge.sensitive)

    def _merge(self, sensitive: frozenset[str] | None) -> Merge:
        length = self.plan.length if self.plan.magic in ("wsc", "dsc") else None
        return Merge(self.base, self.parents, self.plan.method, length, sensitive)

    def _sensitive(self, folder: Path) -> frozenset[str] | None:
        """The weights that must not grow: found on a merge without calibration."""
        if not (self.plan.magic and self.plan.guard and self.plan.observations):
            return None
        plain = Merge(self.base, self.parents, self.plan.method)
        draft = self._written(plain, folder)
        plain.require_a_family()
        runner = runner_of(self.base, self.plan.camera)
        return sensitive_weights(runner, draft, self.family, self.plan.guard)

    def _written(self, source: Merge | Folded, folder: Path) -> Weights:
        """Write a checkpoint and open it."""
        folder.mkdir(parents=True, exist_ok=True)
        watched = iter(track(self.base.stored, f"[bold]merging {self.plan.name}", transient=True))

        def pieces(name: str) -> Iterator[Tensor]:
            next(watched, None)
            return source.pieces(name)

        write_weights(folder, self.base.stored, pieces)
        write_ancestry(folder, self.ancestry)
        if isinstance(self.base, PolicyWeights):
            recipe = _recipe(self.plan.name, self.base, self.parents)
            (folder / RECIPE).write_text(recipe.to_json(), encoding="utf-8")
        else:
            _copy_small_files(self.base, self.parents, folder)
        return open_weights(folder)

    def _card(self) -> str:
        made = "magma export" if isinstance(self.base, PolicyWeights) else "magma import"
        return (
            f"# {self.plan.name}\n\nA checkpoint; `{made}` makes a bundle of it, whose gate has to "
            "be calibrated anew.\n\nLicence of the weights: "
            f"{self.ancestry.licence}.\n\n## How it was made\n\n{self.ancestry.section()}\n"
        )


def _require_free(plan: Plan) -> None:
    """Refuse to write where anything but a merged checkpoint is."""
    if plan.out.exists() and not (plan.out / FILE).is_file():
        raise MergeError(f"{plan.out} exists and is no merged checkpoint; choose another --out")
    inputs = (plan.base, *plan.parents, *plan.observations)
    if any(path.resolve().is_relative_to(plan.out.resolve()) for path in inputs):
        raise MergeError(f"{plan.out} holds what is to be merged; choose another --out")
    if plan.magic in ("fsc", "dsc") and not plan.observations:
        raise MergeError(
            f"{plan.magic} measures features and needs --observations; generate some, or use wsc"
        )
    if plan.camera not in EVERY_CAMERA:
        raise MergeError(f"there is no camera {plan.camera}; use {' or '.join(EVERY_CAMERA)}")
    if plan.observations and not plan.magic:
        raise MergeError("observations serve calibration alone; say which as --magic")


def _in_order(opened: list[Weights], plan: Plan) -> list[_Parent]:
    """The parents with their observations, in the order of their checksums."""
    seen = _observations(opened, plan) if plan.observations else [[] for _ in opened]
    found = [_Parent(one, one.ancestor(), some) for one, some in zip(opened, seen, strict=True)]
    found.sort(key=lambda parent: sorted(parent.ancestor.sha256.values()))
    for first, second in pairwise(found):
        if [*first.ancestor.sha256.values()] == [*second.ancestor.sha256.values()]:
            raise MergeError(
                f"{first.weights.folder} and {second.weights.folder} hold the same weights; name "
                "each parent once"
            )
    return _named_apart(found)


def _observations(opened: list[Weights], plan: Plan) -> list[list[Observation]]:
    """Observations for each parent, in the order in which they were given."""
    folders, count = plan.observations, len(opened)
    shared = len(folders) == 1 and all(isinstance(one, PolicyWeights) for one in opened)
    if not shared and len(folders) != count:
        raise MergeError(
            f"give one folder of observations for each of the {count} parents, in their order; one "
            "for all will do for checkpoints whose recipes name their tasks"
        )
    return [
        draw_observations(folder, _tasks(one) if shared else (), plan.per_task, seed=plan.seed)
        for one, folder in zip(opened, folders * count if shared else folders, strict=True)
    ]


def _named_apart(parents: list[_Parent]) -> list[_Parent]:
    """The parents, those of one name numbered."""
    names = Counter(parent.ancestor.name for parent in parents)
    numbers: Counter[str] = Counter()
    found = []
    for parent in parents:
        name = parent.ancestor.name
        numbers[name] += 1
        if names[name] > 1:
            name = f"{name} ({numbers[name]})"
        ancestor = parent.ancestor.model_copy(update={"name": name})
        found.append(replace(parent, ancestor=ancestor))
    return found


def _tasks(weights: Weights) -> tuple[str, ...]:
    if not isinstance(weights, PolicyWeights):
        return ()
    return tuple(task for _, task in weights.recipe.config.data.tasks)


def _recipe(name: str, base: PolicyWeights, parents: list[Weights]) -> Recipe:
    """The base's recipe with the tasks of all, so that the exporter compares on them."""
    config = base.recipe.config
    episodes = {suite: dict(tasks) for suite, tasks in config.data.episodes.items()}
    for parent in parents:
        assert isinstance(parent, PolicyWeights)
        for suite, tasks in parent.recipe.config.data.episodes.items():
            episodes[suite] = {**tasks, **episodes.get(suite, {})}
    merged = config.model_copy(
        update={
            "name": name,
            "description": f"Merged from {len(parents)} policies that were fine-tuned from one.",
            "data": config.data.model_copy(update={"episodes": episodes}),
        }
    )
    return replace(base.recipe, config=merged, started=None)


def _copy_small_files(base: Weights, parents: list[Weights], folder: Path) -> None:
    """Configuration, tokenizer and statistics; exits belong to the weights they were made for.

    Raises:
        MagmaError: A file cannot be copied.
    """
    given = {path.name: path for path in base.folder.iterdir() if path.suffix in COPIED}
    first = parents[0]
    if isinstance(first, LayoutWeights) and (first.folder / OWN).is_file():
        given[OWN] = first.folder / OWN
    try:
        for name, path in given.items():
            if name not in (INDEX, FILE) and path.is_file():
                shutil.copyfile(path, folder / name)
    except OSError as error:
        raise MagmaError(f"cannot copy {error.filename}: {error.strerror}") from error
