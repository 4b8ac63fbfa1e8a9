# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exits of a frozen decoder: what reads an action from the states of a layer before the last.

The layers of a language model are not made to be read early. Each exit therefore has a norm of its
own and adds a product of two small matrices to the last layer's head, in the manner of the tuned
lens (Belrose et al., arXiv 2303.08112): it starts as that head and is trained to answer as the last
layer does. Nothing else changes, so that the last layer answers as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from magma_ros.files import check, whole
from magma_ros.models.magma.layout import CheckpointLayoutError, TextShape

EXITS = "exits.safetensors"
"""Name of the file beside a checkpoint's shards."""


class ExitHead(nn.Module):
    """One exit.

    Args:
        norm: (D,) weight of the last norm.
        rows: (R, D) rows of the last head, for the tokens that may be chosen; they do not change.
        rank: Width between the two matrices that are added.
        eps: Added to the mean square in the norm.
    """

    rows: Tensor

    def __init__(self, norm: Tensor, rows: Tensor, rank: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("rows", rows.detach().float(), persistent=False)
        self.norm = nn.Parameter(norm.detach().float().clone())
        self.down = nn.Parameter(torch.randn(rank, len(norm)) * len(norm) ** -0.5)
        self.up = nn.Parameter(torch.zeros(len(rows), rank))

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits (..., R) of a layer's states (..., D)."""
        normed = nn.functional.rms_norm(hidden.float(), self.norm.shape, self.norm, self.eps)
        logits: Tensor = normed @ self.rows.T + (normed @ self.down.T) @ self.up.T
        return logits

    def head(self) -> Tensor:
        """(R, D) the rows and what is added to them, as one matrix."""
        return (self.rows + self.up @ self.down).detach()


class _Metadata(BaseModel):
    """What stands beside the weights of exits: which checkpoint they are for.

    Attributes:
        width: Of its decoder's states.
        layers: Of its decoder.
        head: Fingerprint of the rows of its last head.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    width: Annotated[int, Field(ge=1)]
    layers: Annotated[int, Field(ge=1)]
    head: str

    @classmethod
    def of(cls, text: TextShape, rows: Tensor) -> Self:
        """That of a checkpoint."""
        # In the narrowest type that a network runs in, so that it is the same in all.
        content = rows.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16)
        fingerprint = hashlib.sha256(content.numpy().tobytes()).hexdigest()[:16]
        return cls(width=text.width, layers=text.layers, head=fingerprint)


class Exits:
    """The exits of a checkpoint.

    Attributes:
        heads: By how many layers have run.

    Args:
        heads: Likewise.
        text: Shape of the decoder that they belong to.
    """

    def __init__(self, heads: dict[int, ExitHead], text: TextShape) -> None:
        self.heads, self._text = dict(sorted(heads.items())), text

    @classmethod
    def fresh(
        cls, depths: Sequence[int], norm: Tensor, rows: Tensor, rank: int, text: TextShape
    ) -> Self:
        """Exits that read layers as the last one is read.

        Args:
            depths: After how many layers.
            norm: (D,) weight of the checkpoint's last norm.
            rows: (R, D) rows of its head, for the tokens that may be chosen.
            rank: Width between the two matrices that are added to the head.
            text: Shape of the decoder.

        Raises:
            CheckpointLayoutError: There is no such layer before the last.
        """
        for depth in depths:
            if not 0 < depth < text.layers:
                raise CheckpointLayoutError(
                    f"there is no exit after {depth} of {text.layers} layers; "
                    f"give numbers from 1 to {text.layers - 1}"
                )
        return cls({depth: ExitHead(norm, rows, rank, text.eps) for depth in depths}, text)

    def save(self, path: Path) -> None:
        """Write them to a file, whole or not at all.

        Raises:
            MagmaError: The file cannot be written.
        """
        tensors = {
            f"exits.{depth}.{name}": value.detach().contiguous()
            for depth, head in self.heads.items()
            for name, value in head.named_parameters()
        }
        rows = next(iter(self.heads.values())).rows
        known = _Metadata.of(self._text, rows).model_dump()
        with whole(path) as draft:
            save_file(tensors, draft, metadata={name: str(field) for name, field in known.items()})

    @classmethod
    def load(cls, path: Path, norm: Tensor, rows: Tensor, text: TextShape) -> Self:
        """Read them from a file.

        Args:
            path: The file.
            norm: (D,) weight of the checkpoint's last norm.
            rows: (R, D) rows of its head.
            text: Shape of its decoder.

        Raises:
            CheckpointLayoutError: The file is damaged, or belongs to another checkpoint.
        """
        tensors = _read(path, _Metadata.of(text, rows))
        heads: dict[int, ExitHead] = {}
        for depth in sorted({int(name.split(".")[1]) for name in tensors}):
            rank = len(tensors[f"exits.{depth}.down"])
            head = ExitHead(norm, rows, rank, text.eps)
            own = {name: tensors[f"exits.{depth}.{name}"] for name, _ in head.named_parameters()}
            try:
                head.load_state_dict(own)
            except RuntimeError as error:
                raise _foreign(path) from error
            heads[depth] = head
        return cls(heads, text)


def _read(path: Path, checkpoint: _Metadata) -> dict[str, Tensor]:
    """The tensors of a file of exits for that checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointLayoutError(
            f"{path} is missing or damaged; run magma distill-exits again"
        ) from error
    if check(metadata, _Metadata, path, CheckpointLayoutError) != checkpoint:
        raise _foreign(path)
    return tensors


def _foreign(path: Path) -> CheckpointLayoutError:
    return CheckpointLayoutError(
        f"{path} holds exits of another checkpoint; run magma distill-exits for this one"
    )
