# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma import``: from a checkpoint of Magma's layout to a bundle, one weight after the other.

The stages are: the instruction's embedding, the tower with the projector, then for every exit its
block of layers over the prompt and the decoding of an action through all blocks so far. Depth is
thus fixed for all tokens of an action, and no layer lacks the keys and values of an earlier token.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from magma_ros.models.export.folder import bundle_folder, commit_of_code
from magma_ros.models.magma.exits import EXITS, ExitHead, Exits
from magma_ros.models.magma.export_decoder import (
    Block,
    Source,
    head_outputs,
    write_draft,
    write_head,
)
from magma_ros.models.magma.export_graph import spec
from magma_ros.models.magma.export_prefix import prefix_memory
from magma_ros.models.magma.export_target import (
    ImportRefusedError,
    Target,
    bundle_bytes,
    require_room,
    working_bytes,
)
from magma_ros.models.magma.export_vision import WORDS, Vision, write_words
from magma_ros.models.magma.layout import EMBEDDING, FINAL_NORM, HEAD, MagmaShape
from magma_ros.models.magma.operations import ACTION_TOKENS, layer_flops, pass_flops
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.models.magma.tiles import choose_tiles
from magma_ros.models.magma.words import TOKENIZER, read_words
from magma_ros.models.training.ancestry import read_ancestry
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.action_statistics import ActionStatistics, find_statistics
from magma_ros.policy.contract import (
    CameraContract,
    ObservationContract,
    TensorSpec,
)
from magma_ros.policy.external_data import external_files
from magma_ros.policy.manifest import Manifest, Provenance, sha256_of, write_manifest
from magma_ros.policy.stages import BundleFile, DecodingContract, GraphSpec, StageSpec
from magma_ros.spaces import ACTION_DIMS

PASSES = ACTION_TOKENS
"""Passes whose cost a decoding stage declares: the most, until a comparison finds the mean."""

CARD = "MODEL_CARD.md"

Tell = Callable[[str], object]

Memory = Callable[[MagmaShape, Source, Sequence[int]], Iterator[Tensor]]
"""Keys and values of the tokens at the prompt's beginning, layer after layer."""


def import_checkpoint(
    checkpoint: Checkpoint,
    out: Path,
    target: Target,
    *,
    command: str = "magma import",
    memory: Memory = prefix_memory,
    tell: Tell = lambda _: None,
) -> Path:
    """Write the bundle of a checkpoint; return ``out``.

    Args:
        checkpoint: The checkpoint.
        out: Folder of the bundle; replaced only once the new one is complete.
        target: What is made.
        command: What makes it, for the manifest.
        memory: Gives the keys and values of the prompt's constant beginning.
        tell: Is told of each step that begins.

    Raises:
        MagmaError: There is not enough room, a weight does not fit the precision, the exits are
            none of the checkpoint's, the tokenizer or the chat template is another one's, or the
            statistics are unknown.
    """
    shape, stored = checkpoint.shape, checkpoint.stored[EMBEDDING]
    table_itemsize = stored.bytes // math.prod(stored.size)
    disk = bundle_bytes(shape, target.numbers, table_itemsize)
    require_room(out, disk, working_bytes(shape))
    with bundle_folder(out) as scratch:
        manifest = _Import(checkpoint, scratch, target, memory, tell).manifest(command)
        write_manifest(scratch, manifest)
        card = _card(manifest, target)
        if (ancestry := read_ancestry(checkpoint.folder)) is not None:
            card += f"\n## How its checkpoint was made\n\n{ancestry.section()}\n"
        (scratch / CARD).write_text(card, encoding="utf-8")
    return out


class _Import:
    """Writes the files of a bundle one after the other."""

    def __init__(
        self, checkpoint: Checkpoint, folder: Path, target: Target, memory: Memory, tell: Tell
    ) -> None:
        self.checkpoint, self.folder, self.target, self.tell = checkpoint, folder, target, tell
        self.memory = memory
        shape, self.compute = checkpoint.shape, target.numbers.compute
        self.statistics, self.step_period = _statistics(checkpoint.folder, target)
        words = read_words(checkpoint.folder, shape, beginnings=target.beginnings)
        self.suffix, self.prefix = words.prompt.after_image, words.prefix()
        # Around a word of one token: without any, the space before it would be a token of its own.
        ending = words.suffix("a")
        self.words_length = len(ending) - 1 + target.instruction_tokens
        self.head_rows = torch.tensor(words.answers)
        self.draft_rows = torch.tensor([*words.codec.ids, ending[-1]])
        self.camera = CameraContract(name=target.camera, height=target.height, width=target.width)
        self.words = spec(WORDS, self.compute, 1, self.words_length, shape.text.width)
        tiles = choose_tiles(target.width, target.height, shape.vision)
        before = len(self.prefix)
        self.vision = Vision(
            shape, self.camera, tiles, words=self.words, prefix=before, compute=self.compute
        )
        self.start = before + shape.image_tokens(*tiles)
        self.choice = spec("choice", torch.int64, 1, len(ACTION_DIMS))
        self.own = _distilled(checkpoint, self.head_rows)
        self.depths = target.depths(shape.text.layers, self.own)
        tokens, text = self.vision.tokens, shape.text
        self.blocks = [
            Block(number, range(*layers), text, tokens=tokens, prefix=before, compute=self.compute)
            for number, layers in enumerate(pairwise((0, *self.depths)), start=1)
        ]

    def manifest(self, command: str) -> Manifest:
        """Write all files but the manifest, and return that."""
        shutil.copyfile(self.checkpoint.folder / TOKENIZER, self.folder / TOKENIZER)
        draft = self._draft()
        stages = (self._embedding(), self._seeing(), *self._thinking(draft))
        shape = self.checkpoint.shape
        return Manifest(
            name=self.target.name,
            description=(
                f"Magma, {shape.parameters / 1e9:.3g} billion weights in {self.target.precision}, "
                f"with exits after {listed(self.depths)} layers{self._untrained()}."
            ),
            licence=self.target.licence,
            created=datetime.now(UTC).date(),
            action=ActionContract(
                chunk_length=self.target.hold,
                step_period=self.step_period,
                frame="base",
                q01=self.statistics.q01,
                q99=self.statistics.q99,
                mask=self.statistics.mask,
                statistics=self.target.statistics,
            ),
            observation=ObservationContract(
                cameras=(self.camera,),
                proprioception=(),
                max_tokens=self.words_length,
                prompt=self.suffix,
            ),
            tokenizer=BundleFile(file=TOKENIZER, sha256=sha256_of(self.folder / TOKENIZER)),
            decoding=DecodingContract(
                length=len(ACTION_DIMS), prompt_start=self.start, draft=draft
            ),
            stages=stages,
            provenance=Provenance(
                command=command,
                seed=0,
                commit=commit_of_code(),
                data=f"the checkpoint {self.checkpoint.folder.name}{_merged(self.checkpoint)}, "
                f"whose statistics are those of {self.target.statistics}",
                metrics={},
            ),
        )

    def _untrained(self) -> str:
        """Which exits nobody has trained, as part of a sentence."""
        none = [depth for depth in self.depths[:-1] if depth not in self.own]
        return f"; those after {listed(none)} were never trained" if none else ""

    def _embedding(self) -> StageSpec:
        self.tell("embedding")
        tokens = spec("tokens", torch.int64, 1, self.words_length)
        path = self.folder / "look_words.onnx"
        size = write_words(path, tokens, self.words, self.checkpoint, self.compute)
        return self._stage(path, "look", (0, size), (tokens,), (self.words,), host=True)

    def _seeing(self) -> StageSpec:
        self.tell("keys and values of the prompt's beginning")
        source, shape = self.checkpoint, self.checkpoint.shape
        kept = list(self.memory(shape, source, self.prefix))
        pasts = [(b.past, torch.cat(kept[b.layers.start : b.layers.stop])) for b in self.blocks]
        self.tell("vision")
        path = self.folder / "look_image.onnx"
        size = self.vision.write(path, source, self.target.numbers, pasts)
        outputs = self.vision.outputs([past for past, _ in pasts])
        return self._stage(path, "look", (self.vision.flops(), size), self.vision.inputs, outputs)

    def _thinking(self, draft: GraphSpec) -> Iterator[StageSpec]:
        before, text = len(self.prefix), self.checkpoint.shape.text
        weights = draft.weight_bytes
        for block, (norm, rows) in zip(self.blocks, self._heads(), strict=True):
            self.tell(f"layers {block.layers.start + 1} to {block.layers.stop}")
            path = self.folder / f"think_{block.number}.onnx"
            positions = self.start + self.words_length + ACTION_TOKENS
            size = block.write(path, self.checkpoint, self.target.numbers, positions)
            once = len(block.layers) * layer_flops(text, self.vision.tokens, before)
            yield self._stage(path, "think", (once, size), block.inputs, block.outputs)
            weights += size
            head = self.folder / f"decode_{block.number}.onnx"
            state = self._short(block.outputs[0])
            outputs = head_outputs(self.choice, self.target.hold)
            size = write_head(head, state, outputs, norm, rows, eps=text.eps)
            once = pass_flops(text, block.layers.stop, before + self.vision.tokens)
            cost = PASSES * once, PASSES * (weights + size)
            yield self._stage(
                head,
                "decode",
                cost,
                (state,),
                outputs,
                depth=block.number,
                passes=float(PASSES),
            )

    def _draft(self) -> GraphSpec:
        path = self.folder / "draft.onnx"
        table = self.checkpoint.tensor(EMBEDDING)[self.draft_rows]
        state = self._short(self.vision.state)
        size = write_draft(path, self.choice, state, table, self.compute)
        return GraphSpec.model_validate(self._entry(path, 0, size, (self.choice,), (state,)))

    def _heads(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Norm and rows of each exit; those that were distilled for it, or the last layer's."""
        norm, rows = _last_head(self.checkpoint, self.head_rows)
        for depth in self.depths:
            head = self.own.get(depth)
            yield (norm, rows) if head is None else (head.norm.detach(), head.head())

    def _short(self, state: TensorSpec) -> TensorSpec:
        """A state of the tokens of an action."""
        shape = (1, self.choice.shape[1], state.shape[2])
        return state.model_copy(update={"shape": shape})

    def _stage(
        self,
        path: Path,
        kind: str,
        cost: tuple[int, int],
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        *,
        depth: int | None = None,
        passes: float = 1.0,
        host: bool = False,
    ) -> StageSpec:
        entry = self._entry(path, *cost, inputs, outputs)
        more = {"kind": kind, "exit": depth, "passes": passes, "host": host}
        return StageSpec.model_validate(entry | more)

    def _entry(
        self,
        path: Path,
        flops: int,
        size: int,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
    ) -> dict[str, object]:
        return {
            "name": path.stem,
            "file": path.name,
            "sha256": sha256_of(path),
            "flops": flops,
            "weight_bytes": size,
            "inputs": inputs,
            "outputs": outputs,
            "external": tuple(
                BundleFile(file=name, sha256=sha256_of(path.with_name(name)))
                for name in sorted(external_files(path))
            ),
        }


def _distilled(checkpoint: Checkpoint, rows: Tensor) -> dict[int, ExitHead]:
    """The exits in the checkpoint's folder that have weights of their own, by depth.

    Raises:
        CheckpointLayoutError: The file is damaged, or belongs to another checkpoint.
    """
    path = checkpoint.folder / EXITS
    if not path.is_file():
        return {}
    return Exits.load(path, *_last_head(checkpoint, rows), checkpoint.shape.text).heads


def _last_head(checkpoint: Checkpoint, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The last layer's norm, and these rows of its head."""
    norm = checkpoint.tensor(FINAL_NORM, torch.float32)
    return norm, checkpoint.tensor(HEAD)[rows].float()


def listed(numbers: Sequence[int]) -> str:
    """Numbers as part of a sentence: 8, 16 and 24."""
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _statistics(folder: Path, target: Target) -> tuple[ActionStatistics, float]:
    """What actions mean, and the time between two of them [s].

    Raises:
        MagmaError: The statistics are unknown, or nobody says how long a step lasts.
    """
    statistics = find_statistics(target.statistics, folder)
    period = target.step_period or statistics.step_period
    if period is None:
        raise ImportRefusedError(
            f"the statistics {target.statistics} do not say how long a step lasts; "
            "give the time between two actions [s] as the step period"
        )
    return statistics, period


def _merged(checkpoint: Checkpoint) -> str:
    """What a checkpoint was merged of, as part of a sentence."""
    ancestry = read_ancestry(checkpoint.folder)
    return "" if ancestry is None else f" ({ancestry.sentence})"


def _card(manifest: Manifest, target: Target) -> str:
    action = manifest.action
    return (
        f"# {manifest.name}\n\n{manifest.description}\n\n"
        f"Made by `{manifest.provenance.command}`. Licence of the weights: {manifest.licence}.\n\n"
        f"Takes the camera {target.camera} at {target.width} x {target.height} pixels and an "
        f"instruction of at most {manifest.observation.max_tokens} tokens with what surrounds it. "
        f"An action is one step of {action.step_period:g} s in the base frame, un-normalised with "
        f"the statistics of {action.statistics}; it goes on for up to {action.chunk_length} steps "
        f"if no other comes. Its seven tokens are decoded in parallel, among "
        "the action tokens alone.\n\nAn exit that was never trained reads its layer as the last "
        "one is read, and is worth little; `magma distill-exits` trains exits.\n"
    )
