# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which checkpoints a merged one was made of: a file beside its weights, and words for its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import read_json, write_json
from magma_ros.models.schema import Strict

FILE = "merge.json"
"""Name of the file in a merged checkpoint's folder."""

UNKNOWN = "NOASSERTION"
"""SPDX's word for a licence that nobody states."""


class Ancestor(Strict):
    """A checkpoint that was merged.

    Attributes:
        name: What it is called.
        licence: SPDX expression for its weights.
        sha256: Of each file of its weights, by name.
        learned: What it was trained on, if it says so.
    """

    name: str
    licence: str
    sha256: Annotated[dict[str, str], Field(min_length=1)]
    learned: str = ""


class Ancestry(Strict):
    """How a checkpoint was merged, and of what.

    Attributes:
        name: What the merged one is called.
        how: Method and figures, as part of a sentence.
        command: What merged it.
        base: What all parents were fine-tuned from.
        parents: In an order that does not depend on that in which they were given.
    """

    name: str
    how: str
    command: str
    base: Ancestor
    parents: Annotated[tuple[Ancestor, ...], Field(min_length=1)]

    @property
    def licence(self) -> str:
        """SPDX expression for the merged weights: all those of what they were made of."""
        parts = dict.fromkeys(part.licence for part in (self.base, *self.parents))
        if len(parts) == 1:
            return next(iter(parts))
        return " AND ".join(sorted(f"({part})" if " " in part else part for part in parts))

    @property
    def sentence(self) -> str:
        """Where the weights come from, in a few words."""
        names = ", ".join(parent.name for parent in self.parents)
        return f"{names}, fine-tuned from {self.base.name} and merged by {self.how}"

    def section(self) -> str:
        """Parents, licences and checksums, for a card."""
        rows = [
            (role, one.name, one.licence, one.learned, "<br>".join(_sums(one)))
            for role, one in (("base", self.base), *(("parent", one) for one in self.parents))
        ]
        header = ("", "checkpoint", "licence", "learned", "SHA-256 of the weights")
        return (
            f"Merged without training from {len(self.parents)} checkpoints that were fine-tuned "
            f"from one base, by {self.how}:\n\n{markdown_table(header, rows)}\n\n"
            f"```bash\n{self.command}\n```"
        )


def _sums(one: Ancestor) -> list[str]:
    return [f"`{sha256}` {name}" for name, sha256 in one.sha256.items()]


def write_ancestry(folder: Path, ancestry: Ancestry) -> None:
    """Write it into a checkpoint's folder.

    Raises:
        MagmaError: The file cannot be written.
    """
    write_json(ancestry.model_dump(mode="json"), folder / FILE)


def read_ancestry(folder: Path) -> Ancestry | None:
    """That of a checkpoint's folder; None for one that was not merged.

    Raises:
        MagmaError: The file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    return read_json(folder / FILE, Ancestry, remedy="merge the checkpoint again")
