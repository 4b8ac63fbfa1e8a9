# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoints that are merged, of both layouts: what each must have in common with the base.

The weights of the trainer's checkpoints are the averaged ones, which are what is exported. Those of
Magma's layout are all that a control step needs; CLIP's pooled head, which none needs, is left out.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor

from magma_ros.files import read_text
from magma_ros.models.export.export import LICENCE
from magma_ros.models.magma.configuration import CONFIG
from magma_ros.models.magma.reader import (
    DTYPES,
    Checkpoint,
    StoredTensor,
    finite_tensor,
    product_of,
    tensors_in,
)
from magma_ros.models.training.ancestry import UNKNOWN, Ancestor, read_ancestry
from magma_ros.models.training.checkpoint import AVERAGE, RECIPE, Recipe, latest, read_recipe
from magma_ros.models.training.config import differing_field
from magma_ros.policy.action_statistics import ActionStatistics, own_statistics
from magma_ros.policy.manifest import MANIFEST, sha256_of
from magma_ros.types import MagmaError

FINE_TUNE = "merge checkpoints that were fine-tuned from one base"

WAY_OUT = (
    "fine-tune both from the base with start.checkpoint, which keeps its statistics, or keep two "
    "policies apart"
)

CARDS = ("README.md", "MODEL_CARD.md")
"""Files that may state a licence in their front matter."""

_LICENCE = re.compile(r"\A---\s*\n(?:.*\n)*?licen[cs]e:\s*([\w.+-]+)\s*\n", re.IGNORECASE)


class MergeError(MagmaError):
    """Checkpoints cannot be merged."""


class Weights(ABC):
    """A checkpoint's weights on disk.

    Attributes:
        folder: Of the checkpoint.
        name: What it is called.
        stored: Where each tensor is stored.
        licence: SPDX expression for them.
        learned: What they were trained on, if the checkpoint says so.
    """

    kind: ClassVar[str]

    def __init__(self, folder: Path, name: str, stored: Mapping[str, StoredTensor]) -> None:
        self.folder, self.name, self.stored = folder, name, stored
        self.licence, self.learned = UNKNOWN, ""
        if (ancestry := read_ancestry(folder)) is not None:
            self.licence, self.learned = ancestry.licence, f"merged: {ancestry.sentence}"

    def tensor(self, name: str) -> Tensor:
        """A tensor as it is stored, as a view of its file.

        Raises:
            CheckpointError: It holds a value that is not finite.
        """
        return finite_tensor(name, self.stored[name])

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the tensors are in."""
        return tuple(dict.fromkeys(stored.file for stored in self.stored.values()))

    def ancestor(self) -> Ancestor:
        """The checkpoint with its checksums; reads all of its files."""
        sums = {file.name: sha256_of(file) for file in self.files}
        return Ancestor(name=self.name, licence=self.licence, sha256=sums, learned=self.learned)

    @abstractmethod
    def require_same_policy(self, base: Self) -> None:
        """Refuse a checkpoint whose weights mean something else than the base's.

        Raises:
            MergeError: They do; the sentence says what and what to do.
        """

    def require_same_tensors(self, base: Weights) -> None:
        """Refuse a checkpoint of other tensors than the base's.

        Raises:
            MergeError: The first tensor that differs is named.
        """
        for name, known in base.stored.items():
            found = self.stored.get(name)
            if found is None:
                raise MergeError(f"{self.folder} lacks {name} of {base.folder}; {FINE_TUNE}")
            if found.size != known.size:
                raise MergeError(
                    f"{name} is {product_of(found.size)} in {self.folder} and "
                    f"{product_of(known.size)} in {base.folder}; {FINE_TUNE}"
                )
        if extra := [name for name in self.stored if name not in base.stored]:
            raise MergeError(
                f"{self.folder} has {extra[0]}, which {base.folder} lacks; {FINE_TUNE}"
            )


class PolicyWeights(Weights):
    """Those of a checkpoint that the trainer wrote.

    Attributes:
        recipe: What rebuilds the policy around them.
    """

    kind = "of a policy"

    def __init__(self, folder: Path) -> None:
        self.recipe: Recipe = read_recipe(folder)
        stored = dict(tensors_in(folder / AVERAGE))
        for name, tensor in stored.items():
            if tensor.dtype not in DTYPES:
                raise MergeError(f"{name} in {tensor.file} is stored as {tensor.dtype}; train anew")
        super().__init__(folder, self.recipe.config.name, stored)
        if self.licence == UNKNOWN:
            self.licence = LICENCE  # as the exporter gives it
        tasks = (task for _, task in self.recipe.config.data.tasks)
        self.learned = self.learned or ", ".join(tasks)

    def require_same_policy(self, base: Self) -> None:
        """See :meth:`Weights.require_same_policy`."""
        mine, other = self.recipe, base.recipe
        one, two = (recipe.config.network.model_dump(mode="json") for recipe in (mine, other))
        if field := differing_field(one, two, "network."):
            raise MergeError(f"{self.folder} has another {field} than {base.folder}; {FINE_TUNE}")
        if mine.vocabulary != other.vocabulary:
            raise MergeError(f"{self.folder} knows other words than {base.folder}; {FINE_TUNE}")
        if mine.statistics != other.statistics:
            difference = mine.statistics.difference(other.statistics)
            raise MergeError(
                f"{self.folder} measures actions in other units than {base.folder}"
                f"{f': {difference}' if difference else ''}; {WAY_OUT}"
            )
        if mine.started is not None and mine.started != sha256_of(base.folder / AVERAGE):
            raise MergeError(
                f"{self.folder} was fine-tuned from another base than {base.folder} (SHA-256 "
                f"{mine.started[:12]}...); give that one as --base"
            )


class LayoutWeights(Weights):
    """Those of a checkpoint in the layout of microsoft/Magma-8B.

    Attributes:
        checkpoint: The checkpoint.
    """

    kind = "of Magma-8B's layout"

    def __init__(self, folder: Path) -> None:
        self.checkpoint = Checkpoint.open(folder)
        super().__init__(folder, folder.resolve().name, self.checkpoint.stored)
        if self.licence == UNKNOWN:
            self.licence = _stated_licence(folder)

    @property
    def statistics(self) -> dict[str, ActionStatistics]:
        """What its actions mean, by data set; none if the checkpoint does not say."""
        return own_statistics(self.folder)

    def require_same_policy(self, base: Self) -> None:
        """See :meth:`Weights.require_same_policy`."""
        if self.checkpoint.shape != base.checkpoint.shape:
            raise MergeError(f"{self.folder} has another {CONFIG} than {base.folder}; {FINE_TUNE}")


def require_same_statistics(parents: list[LayoutWeights]) -> None:
    """Refuse parents whose own statistics of actions differ; a base may have none.

    Raises:
        MergeError: They do.
    """
    first, *others = parents
    known = first.statistics
    for other in others:
        if (found := other.statistics) != known:
            raise MergeError(
                f"{other.folder} measures actions in other units than {first.folder}: "
                f"{_difference(found, known)}; train both on actions normalised with one "
                "dataset_statistics.json, or keep two policies apart"
            )


def _difference(found: dict[str, ActionStatistics], known: dict[str, ActionStatistics]) -> str:
    if sorted(found) != sorted(known):
        names = (", ".join(sorted(one)) or "none" for one in (found, known))
        return "it has the statistics {}, the other {}".format(*names)
    for name, mine in found.items():
        if difference := mine.difference(known[name]):
            return f"in {name}, {difference}"
    return "their masks or step periods differ"


def open_weights(folder: Path) -> Weights:
    """The weights of a checkpoint of either layout.

    Args:
        folder: Of the checkpoint, or of a run, of which the newest checkpoint is taken.

    Raises:
        MagmaError: There is none, or it is damaged.
    """
    if (folder / MANIFEST).is_file():
        raise MergeError(
            f"{folder} is a bundle, whose weights are folded and rounded; give the checkpoint that "
            "it was exported from"
        )
    if not (folder / RECIPE).is_file() and (folder / CONFIG).is_file():
        return LayoutWeights(folder)
    return PolicyWeights(latest(folder))


def open_family(base: Path, parents: list[Path]) -> tuple[Weights, list[Weights]]:
    """A base and its parents, checked to fit each other; no weights are read.

    Raises:
        MagmaError: One cannot be used, or does not fit; the sentence says why.
    """
    if not parents:
        raise MergeError("give at least one parent")
    root, opened = open_weights(base), [open_weights(folder) for folder in parents]
    for parent in opened:
        if parent.kind != root.kind:
            raise MergeError(
                f"{parent.folder} is a checkpoint {parent.kind}, and {root.folder} one {root.kind};"
                f" {FINE_TUNE}"
            )
        parent.require_same_tensors(root)
        parent.require_same_policy(root)
    layouts = [parent for parent in opened if isinstance(parent, LayoutWeights)]
    if layouts:
        require_same_statistics(layouts)
    return root, opened


def _stated_licence(folder: Path) -> str:
    """The licence in the front matter of a model card; Hugging Face writes it in lower case."""
    for name in CARDS:
        if (folder / name).is_file() and (found := _LICENCE.match(read_text(folder / name))):
            text = found[1]
            return _SPDX.get(text.lower(), text)
    return UNKNOWN


_SPDX = {"mit": "MIT", "apache-2.0": "Apache-2.0", "cc-by-4.0": "CC-BY-4.0"}
"""Hugging Face's names of licences that SPDX spells otherwise."""
