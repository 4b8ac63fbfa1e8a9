# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shape of a Magma checkpoint: all sizes, and the name and shape of every tensor.

Names are those of microsoft/Magma-8B's safetensors: the vision tower is timm's ConvNeXt, the
language model transformers' Llama. Everything here follows from ``config.json`` and needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from magma_ros.types import MagmaError

TRUNK = "vision_tower.clip_vision_model.trunk."
PROJECTOR = "multi_modal_projector."
LANGUAGE_MODEL = "language_model."
EMBEDDING = f"{LANGUAGE_MODEL}model.embed_tokens.weight"
FINAL_NORM = f"{LANGUAGE_MODEL}model.norm.weight"
HEAD = f"{LANGUAGE_MODEL}lm_head.weight"
ROW_SEPARATOR = f"{PROJECTOR}row_seperator"  # spelt as in the checkpoint

UNUSED = (f"{TRUNK}head.", "vision_tower.clip_vision_model.head.")
"""Beginnings of the names of weights that a checkpoint holds and no control step uses: CLIP's
pooled head."""

UNUSED_ENDING = ".rotary_emb.inv_freq"
"""Ending of the tables of frequencies that old versions of transformers saved; they are computed
here."""

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI CLIP's mean and standard deviation of red, green and blue, from 0 to 1."""


class CheckpointLayoutError(MagmaError):
    """A folder holds no checkpoint of Magma's layout, or a damaged one."""


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The ConvNeXt tower and the tiles it reads.

    Attributes:
        depths: Blocks of each stage; every stage after the first halves the resolution.
        widths: Channels of each stage.
        eps: Added to the variance in its layer norms.
        image_size: Side of a tile [px].
        max_tiles: Most tiles that an image is cut into.
        patch: Side of the stem's patches [px].
        kernel: Side of the depthwise convolutions [px].
        expansion: Inner width of a block's MLP, as a multiple of its channels.
    """

    depths: tuple[int, ...] = (3, 4, 30, 3)
    widths: tuple[int, ...] = (384, 768, 1536, 3072)
    eps: float = 1e-5
    image_size: int = 512
    max_tiles: int = 4
    patch: int = 4
    kernel: int = 7
    expansion: int = 4

    @property
    def stride(self) -> int:
        """Pixels between neighbouring features."""
        return int(self.patch * 2 ** (len(self.depths) - 1))

    @property
    def grid(self) -> int:
        """Features along a side of a tile."""
        return self.image_size // self.stride


@dataclass(frozen=True, slots=True)
class TextShape:
    """The Llama decoder.

    Attributes:
        width: Width of the hidden states.
        layers: Decoder layers.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_width: Width of a head.
        hidden: Inner width of the gated MLP.
        eps: Added to the mean square in its RMS norms.
        rope_theta: Base of the rotary position embedding.
        max_positions: Longest sequence.
        vocabulary: Rows of the embedding and of the head.
    """

    width: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    head_width: int = 128
    hidden: int = 14336
    eps: float = 1e-5
    rope_theta: float = 500_000.0
    max_positions: int = 8192
    vocabulary: int = 128_320

    @property
    def query_width(self) -> int:
        """Width of all queries of a token together."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Width of all keys, or all values, of a token together."""
        return self.kv_heads * self.head_width


@dataclass(frozen=True)
class MagmaShape:
    """Everything that the shapes of a checkpoint's tensors and of its activations follow from.

    Attributes:
        vision: The tower.
        text: The decoder.
        image_token: Id of the placeholder that the image's features take the place of.
        row_separator: Whether a learned vector ends every row of features.
        image_start_end: Whether the placeholder stands between a start and an end token.
        image_mean: By which pixels are normalised, from 0 to 1, per channel.
        image_std: Likewise.
    """

    vision: VisionShape = field(default_factory=VisionShape)
    text: TextShape = field(default_factory=TextShape)
    image_token: int = 128_257
    row_separator: bool = True
    image_start_end: bool = True
    image_mean: tuple[float, float, float] = IMAGE_MEAN
    image_std: tuple[float, float, float] = IMAGE_STD

    def image_tokens(self, rows: int = 1, columns: int = 1) -> int:
        """Tokens that an image of ``rows`` x ``columns`` tiles is given."""
        side = self.vision.grid
        return rows * side * (columns * side + self.row_separator)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor that a control step needs, in the order of the network."""
        return dict(self._tensors)

    @cached_property
    def _tensors(self) -> Mapping[str, tuple[int, ...]]:
        return {
            **dict(tower_tensors(self.vision)),
            **dict(projector_tensors(self)),
            EMBEDDING: (self.text.vocabulary, self.text.width),
            **{
                f"{layer_prefix(index)}{name}": shape
                for index in range(self.text.layers)
                for name, shape in layer_tensors(self.text)
            },
            FINAL_NORM: (self.text.width,),
            HEAD: (self.text.vocabulary, self.text.width),
        }

    @property
    def parameters(self) -> int:
        """Weights that a control step needs."""
        return sum(math.prod(shape) for shape in self._tensors.values())


MAGMA_8B = MagmaShape()
"""microsoft/Magma-8B. The rows of its vocabulary are what the official conversion pads to; a
checkpoint says how many it has."""


def is_unused(name: str) -> bool:
    """Whether a checkpoint may hold a tensor of that name although nothing uses it."""
    return name.startswith(UNUSED) or name.endswith(UNUSED_ENDING)


def layer_prefix(index: int) -> str:
    """Beginning of the names of a decoder layer's tensors; the first layer has index 0."""
    return f"{LANGUAGE_MODEL}model.layers.{index}."


def layer_tensors(text: TextShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name, after the layer's prefix, and shape of a decoder layer's tensors."""
    yield "input_layernorm.weight", (text.width,)
    yield "self_attn.q_proj.weight", (text.query_width, text.width)
    yield "self_attn.k_proj.weight", (text.kv_width, text.width)
    yield "self_attn.v_proj.weight", (text.kv_width, text.width)
    yield "self_attn.o_proj.weight", (text.width, text.query_width)
    yield "post_attention_layernorm.weight", (text.width,)
    yield "mlp.gate_proj.weight", (text.hidden, text.width)
    yield "mlp.up_proj.weight", (text.hidden, text.width)
    yield "mlp.down_proj.weight", (text.width, text.hidden)


def projector_tensors(shape: MagmaShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of the projector's tensors."""
    features, width = shape.vision.widths[-1], shape.text.width
    yield f"{PROJECTOR}proj.0.weight", (width, features)
    yield f"{PROJECTOR}proj.0.bias", (width,)
    yield f"{PROJECTOR}proj.2.weight", (width, width)
    yield f"{PROJECTOR}proj.2.bias", (width,)
    if shape.row_separator:
        yield ROW_SEPARATOR, (1, 1, width)


def tower_tensors(vision: VisionShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of the vision tower's tensors."""
    first = vision.widths[0]
    yield f"{TRUNK}stem.0.weight", (first, 3, vision.patch, vision.patch)
    yield f"{TRUNK}stem.0.bias", (first,)
    yield from _norm(f"{TRUNK}stem.1", first)
    before = first
    for index, (depth, width) in enumerate(zip(vision.depths, vision.widths, strict=True)):
        stage = f"{TRUNK}stages.{index}."
        if index:
            yield from _norm(f"{stage}downsample.0", before)
            yield f"{stage}downsample.1.weight", (width, before, 2, 2)
            yield f"{stage}downsample.1.bias", (width,)
        for block in range(depth):
            yield from _block(f"{stage}blocks.{block}.", vision, width)
        before = width


def _block(prefix: str, vision: VisionShape, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    inner = vision.expansion * width
    yield f"{prefix}gamma", (width,)
    yield f"{prefix}conv_dw.weight", (width, 1, vision.kernel, vision.kernel)
    yield f"{prefix}conv_dw.bias", (width,)
    yield from _norm(f"{prefix}norm", width)
    yield f"{prefix}mlp.fc1.weight", (inner, width)
    yield f"{prefix}mlp.fc1.bias", (inner,)
    yield f"{prefix}mlp.fc2.weight", (width, inner)
    yield f"{prefix}mlp.fc2.bias", (width,)


def _norm(prefix: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.weight", (width,)
    yield f"{prefix}.bias", (width,)
