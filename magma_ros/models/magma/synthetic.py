# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints of Magma's layout with random weights, at any size.

They stand in for the released weights in tests and measurements: the same files, names, shapes and
token ids. Shards are written one after the other, so that a checkpoint may be larger than memory. A
:class:`RandomCheckpoint` has weights on no disk at all.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor

from magma_ros.files import make_folder, write_json
from magma_ros.models.magma.configuration import CONFIG, PROCESSOR
from magma_ros.models.magma.layout import (
    EMBEDDING,
    HEAD,
    MAGMA_8B,
    TRUNK,
    MagmaShape,
    TextShape,
    VisionShape,
)
from magma_ros.models.magma.quantised import BLOCK, Bits, Quantised
from magma_ros.models.magma.reader import Checkpoint, StoredTensor
from magma_ros.models.magma.synthetic_tokenizer import write_tokenizer

Spelling = Literal["repository", "transformers"]

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}

SHARD_BYTES = 1 << 29
"""Most bytes of a shard, unless a single tensor has more."""

SHIFTS = 1 << 16
"""Places in a row of drawn values at which a random weight may begin."""

TINY = MagmaShape(
    vision=VisionShape(depths=(1, 1, 2, 1), widths=(16, 32, 48, 64), image_size=64),
    text=TextShape(
        width=64,
        layers=4,
        heads=4,
        kv_heads=2,
        head_width=16,
        hidden=128,
        max_positions=512,
        vocabulary=128_320,
    ),
)
"""A member of the family for tests: 16.7 million weights, nearly all of them in the vocabulary."""


def scaled(factor: float, *, shape: MagmaShape = MAGMA_8B, layers: int | None = None) -> MagmaShape:
    """A shape with the widths, inner widths and heads of ``shape`` times ``factor``.

    Heads keep their width, so that ``factor`` must leave whole numbers of them.
    """
    text, vision = shape.text, shape.vision
    return replace(
        shape,
        vision=replace(vision, widths=tuple(round(factor * width) for width in vision.widths)),
        text=replace(
            text,
            width=round(factor * text.width),
            heads=round(factor * text.heads),
            kv_heads=max(1, round(factor * text.kv_heads)),
            hidden=round(factor * text.hidden),
            layers=layers or text.layers,
        ),
    )


def write_checkpoint(
    folder: Path,
    shape: MagmaShape = TINY,
    *,
    seed: int = 0,
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16",
    shard_bytes: int = SHARD_BYTES,
    spelling: Spelling = "repository",
    weight: Callable[[str, tuple[int, ...]], Tensor] | None = None,
) -> None:
    """Write a checkpoint: configuration, tokenizer, shards of weights and their index.

    Random weights depend on ``seed`` and their names alone.

    Args:
        folder: Made if it does not exist.
        shape: Its size.
        seed: Of the weights.
        dtype: In which they are stored.
        shard_bytes: Most bytes of a shard.
        spelling: Of the configuration.
        weight: What a tensor of that name and shape holds; random values by default.

    Raises:
        MagmaError: The folder cannot be written.
    """
    make_folder(folder)
    write_json(_config(shape, dtype, spelling), folder / CONFIG)
    write_json(_processor(shape), folder / PROCESSOR)
    write_tokenizer(folder)
    made = partial(random_weight, seed=seed) if weight is None else weight
    size = torch.tensor([], dtype=DTYPES[dtype]).element_size()
    shards = list(_shards(shape, shard_bytes // size))
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        weights = {
            name: made(name, size).to(DTYPES[dtype]).contiguous() for name, size in names.items()
        }
        save_file(weights, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, file)
    total = size * sum(math.prod(size) for names in shards for size in names.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def random_weight(name: str, size: tuple[int, ...], *, seed: int = 0) -> Tensor:
    """A random float32 tensor for a weight: activations keep their scale from layer to layer."""
    generator = torch.Generator().manual_seed(_seed(name, seed))
    middle, deviation = _spread(name, size)
    return torch.empty(size).normal_(generator=generator).mul_(deviation).add_(middle)


class RandomCheckpoint(Checkpoint):
    """A checkpoint of random weights in bfloat16 that lie on no disk, always the same.

    Only its tokenizer is written, so that a bundle of any size can be made without its checkpoint,
    and as fast as a disk takes it: of weights that are spread alike, one row of evenly distributed
    bytes is drawn, as long as the largest of them, and each weight is a part of it that begins
    elsewhere. Quantised weights are drawn as they are kept, not rounded.
    """

    def __init__(self, folder: Path, shape: MagmaShape, stored: Mapping[str, StoredTensor]) -> None:
        super().__init__(folder, shape, stored)
        self._drawn = np.empty(0, np.uint8)
        self._values: dict[tuple[float, float], Tensor] = {}
        self._lengths: dict[tuple[float, float], int] = {}
        for name, size in shape.tensors().items():
            spread = _spread(name, size)
            self._lengths[spread] = max(self._lengths.get(spread, 0), math.prod(size))

    @classmethod
    def make(cls, folder: Path, shape: MagmaShape) -> Self:
        """Write the tokenizer into ``folder``, which is made if it does not exist.

        Raises:
            MagmaError: The folder cannot be written.
        """
        make_folder(folder)
        write_tokenizer(folder)
        stored = {
            name: StoredTensor(folder, "BF16", size) for name, size in shape.tensors().items()
        }
        return cls(folder, shape, stored)

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """A random one; see :meth:`Checkpoint.tensor`."""
        size = self.stored[name].size
        weight = self._part(name, math.prod(size))
        if len(size) == 2 and name not in (EMBEDDING, HEAD):
            weight = weight.reshape(size[::-1]).T  # as a product's lies in its graph
        else:
            weight = weight.reshape(size)
        return weight if dtype is None else weight.to(dtype)

    def quantised(self, name: str, bits: Bits) -> Quantised:
        """A random one, as spread as :meth:`tensor`."""
        outputs, inputs = self.stored[name].size
        blocks = math.ceil(inputs / BLOCK)
        packed = self._bytes(name, outputs * blocks * BLOCK * bits // 8)
        _, deviation = _spread(name, (outputs, inputs))
        scales = np.full((outputs, blocks), deviation / _even_deviation(bits), np.float32)
        # The middle of all levels lies between two; each of these stands for zero in turns.
        pattern = np.array([0x87] if bits == 4 else [127, 128], np.uint8)
        zeros = np.resize(pattern, math.ceil(blocks * bits / 8))
        return Quantised(
            (outputs, inputs),
            bits,
            packed.reshape(outputs, blocks, -1),
            scales,
            np.tile(zeros, (outputs, 1)),
        )

    def memory(self, positions: int) -> Iterator[Tensor]:
        """Random keys and values of each layer, as the network's are (2, kv_heads, P, D)."""
        text = self.shape.text
        for layer in range(text.layers):
            generator = torch.Generator().manual_seed(layer)
            size = 2, text.kv_heads, positions, text.head_width
            yield torch.empty(size).normal_(generator=generator)

    def _part(self, name: str, count: int) -> Tensor:
        """A weight's values (count,), a part of all those of its spread."""
        spread = _spread(name, self.stored[name].size)
        if spread not in self._values:
            middle, deviation = spread
            drawn = torch.from_numpy(_drawn(self._lengths[spread] + SHIFTS))
            values = drawn.to(torch.bfloat16).sub_(127.5)  # exact: 8 bits
            self._values[spread] = values.mul_(deviation / _even_deviation(8)).add_(middle)
        begin = _seed(name, 0) % SHIFTS
        return self._values[spread][begin : begin + count]

    def _bytes(self, name: str, count: int) -> npt.NDArray[np.uint8]:
        """A quantised weight's bytes (count,), a part of all that are drawn."""
        if len(self._drawn) < count + SHIFTS:
            self._drawn = _drawn(count + SHIFTS)
        begin = _seed(name, 0) % SHIFTS
        return self._drawn[begin : begin + count]


def _drawn(count: int) -> npt.NDArray[np.uint8]:
    """Evenly distributed bytes, a gigabyte of which a core draws in a second."""
    return np.random.SFC64(0).random_raw(math.ceil(count / 8)).view(np.uint8)[:count]


def _even_deviation(bits: int) -> float:
    """Standard deviation of evenly distributed numbers of so many bits."""
    return math.sqrt((4**bits - 1) / 12)


def _seed(name: str, seed: int) -> int:
    return zlib.crc32(f"{seed} {name}".encode())


def _spread(name: str, size: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation of a weight."""
    if name.endswith(".bias"):
        return 0.0, 0.02
    if name.endswith("gamma"):
        return 0.2, 0.05
    if len(size) == 1:  # a norm
        return 1.0, 0.1
    if "embed_tokens" in name or "row_seperator" in name:
        return 0.0, 0.05
    return 0.0, math.prod(size[1:]) ** -0.5


def _all_tensors(shape: MagmaShape) -> dict[str, tuple[int, ...]]:
    """Those that are needed and, as in the release, CLIP's head, which is not."""
    width = shape.vision.widths[-1]
    return shape.tensors() | {
        f"{TRUNK}head.norm.weight": (width,),
        f"{TRUNK}head.norm.bias": (width,),
        "vision_tower.clip_vision_model.head.proj.weight": (max(1, width // 3), width),
    }


def _shards(shape: MagmaShape, limit: int) -> Iterator[dict[str, tuple[int, ...]]]:
    """Names and shapes of the tensors of one shard after the other, ``limit`` weights in each."""
    names: dict[str, tuple[int, ...]] = {}
    held = 0
    for name, size in _all_tensors(shape).items():
        count = math.prod(size)
        if names and held + count > limit:
            yield names
            names, held = {}, 0
        names[name] = size
        held += count
    yield names


def _config(shape: MagmaShape, dtype: str, spelling: Spelling) -> dict[str, Any]:
    vision, text = shape.vision, shape.text
    native = spelling == "transformers"
    rope: dict[str, Any] = {"rope_theta": text.rope_theta}
    if native:
        rope = {"rope_parameters": {"rope_theta": text.rope_theta, "rope_type": "default"}}
    return {
        "architectures": ["MagmaForCausalLM"],
        "model_type": "magma",
        "image_token_id" if native else "image_token_index": shape.image_token,
        "mm_use_image_start_end": shape.image_start_end,
        "tie_word_embeddings": False,
        "dtype" if native else "torch_dtype": dtype,
        "vision_config": {
            "vision_backbone": "convnextxxlarge",
            "vision_feature_layer": "clip_vis_dense",
            "depths": list(vision.depths),
            "hidden_sizes": list(vision.widths),
            "img_anyres_strategy": "crop",
            "img_size": vision.image_size,
            "max_num_crops": vision.max_tiles,
            "mm_hidden_size": vision.widths[-1],
            "mm_projector_type": "mlp2x_gelu",
            "mm_use_im_start_end": False,
            "mm_use_row_seperator": shape.row_separator,
        },
        "text_config": {
            "model_type": "llama",
            "hidden_size": text.width,
            "intermediate_size": text.hidden,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "num_key_value_heads": text.kv_heads,
            "head_dim": text.head_width,
            "rms_norm_eps": text.eps,
            "max_position_embeddings": text.max_positions,
            "vocab_size": text.vocabulary,
            **rope,
        },
    }


def _processor(shape: MagmaShape) -> dict[str, Any]:
    return {
        "image_processor_type": "MagmaImageProcessor",
        "anyres_strategy": "crop",
        "base_img_size": shape.vision.image_size,
        "num_crops": shape.vision.max_tiles,
        "do_convert_rgb": True,
        "image_mean": list(shape.image_mean),
        "image_std": list(shape.image_std),
    }
