# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a checkpoint's ``config.json`` and ``preprocessor_config.json``.

Two spellings exist: that of the Magma repository, with which microsoft/Magma-8B was released
(``image_token_index``, a plain ``vision_config``), and that of transformers' own classes
(``image_token_id``, RoPE as ``rope_parameters``). A configuration holds only what differs from its
class's defaults, so those of transformers' LlamaConfig are repeated here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from magma_ros.files import check, json_mapping
from magma_ros.models.magma.layout import (
    IMAGE_MEAN,
    IMAGE_STD,
    CheckpointLayoutError,
    MagmaShape,
    TextShape,
    VisionShape,
)

CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"

BACKBONES = {"convnextxxlarge": VisionShape()}
"""Towers that a configuration names without their sizes."""

REMEDY = "give the folder of a checkpoint like microsoft/Magma-8B"

Triple = tuple[float, float, float]
Sizes = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class _Foreign(BaseModel):
    """A section of a file that others wrote: what is not named here is theirs."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Rope(_Foreign):
    rope_theta: PositiveFloat | None = None
    rope_type: str = Field(default="default", alias="type")

    model_config = ConfigDict(populate_by_name=True)


class _Text(_Foreign):
    """Transformers' LlamaConfig, with its defaults."""

    model_type: Literal["llama"] = "llama"
    hidden_size: PositiveInt = 4096
    intermediate_size: PositiveInt = 11008
    num_hidden_layers: PositiveInt = 32
    num_attention_heads: PositiveInt = 32
    num_key_value_heads: PositiveInt | None = None
    head_dim: PositiveInt | None = None
    hidden_act: Literal["silu"] = "silu"
    rms_norm_eps: PositiveFloat = 1e-6
    rope_theta: PositiveFloat = 10_000.0
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None
    max_position_embeddings: PositiveInt = 2048
    vocab_size: PositiveInt = 32_000
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False
    tie_word_embeddings: Literal[False] = False

    @model_validator(mode="after")
    def _is_plain(self) -> _Text:
        for rope in (self.rope_scaling, self.rope_parameters):
            if rope is not None and rope.rope_type != "default":
                raise ValueError(
                    f"a rotary embedding of the kind {rope.rope_type} is not supported"
                )
        if self.num_attention_heads % self.kv_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise ValueError("hidden_size must be a multiple of num_attention_heads")
        return self

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def theta(self) -> float:
        given = self.rope_parameters and self.rope_parameters.rope_theta
        return given or self.rope_theta

    def shape(self) -> TextShape:
        return TextShape(
            width=self.hidden_size,
            layers=self.num_hidden_layers,
            heads=self.num_attention_heads,
            kv_heads=self.kv_heads,
            head_width=self.head_dim or self.hidden_size // self.num_attention_heads,
            hidden=self.intermediate_size,
            eps=self.rms_norm_eps,
            rope_theta=self.theta,
            max_positions=self.max_position_embeddings,
            vocabulary=self.vocab_size,
        )


class _Vision(_Foreign):
    """Magma's vision section; ``depths`` and ``hidden_sizes`` describe a tower of another size."""

    vision_backbone: str = "convnextxxlarge"
    vision_feature_layer: Literal["clip_vis_dense"] = "clip_vis_dense"
    img_anyres_strategy: Literal["crop"] = "crop"
    img_size: PositiveInt = 512
    max_num_crops: PositiveInt = 4
    mm_hidden_size: PositiveInt | None = None
    mm_projector_type: Literal["mlp2x_gelu", "mlp2x_gelu_segtokv9"] = "mlp2x_gelu"
    mm_use_row_seperator: bool = True
    mm_use_im_start_end: Literal[False] = False
    depths: Sizes | None = None
    hidden_sizes: Sizes | None = None

    @model_validator(mode="after")
    def _fits(self) -> _Vision:
        shape = self.shape()
        if len(shape.depths) != len(shape.widths):
            raise ValueError("depths and hidden_sizes must have the same length")
        if shape.image_size % shape.stride:
            raise ValueError(f"img_size must be a multiple of {shape.stride}")
        if self.mm_hidden_size not in (None, shape.widths[-1]):
            raise ValueError(
                f"mm_hidden_size is {self.mm_hidden_size}, but the tower is {shape.widths[-1]} wide"
            )
        return self

    def shape(self) -> VisionShape:
        known = BACKBONES.get(self.vision_backbone)
        if known is None and (self.depths is None or self.hidden_sizes is None):
            raise ValueError(
                f"there is no backbone {self.vision_backbone}; known is {', '.join(BACKBONES)}"
            )
        base = known or VisionShape()
        return VisionShape(
            depths=self.depths or base.depths,
            widths=self.hidden_sizes or base.widths,
            image_size=self.img_size,
            max_tiles=self.max_num_crops,
        )


class _Config(_Foreign):
    model_type: Literal["magma"]
    vision_config: _Vision
    text_config: _Text
    image_token_index: PositiveInt | None = None
    image_token_id: PositiveInt | None = None
    mm_use_image_start_end: bool = True
    tie_word_embeddings: Literal[False] = False

    @model_validator(mode="after")
    def _knows_its_placeholder(self) -> _Config:
        if self.image_token_index is None and self.image_token_id is None:
            raise ValueError(
                "neither image_token_index nor image_token_id says which token stands for the "
                "image; add the id of <image> in tokenizer.json"
            )
        return self

    @property
    def image_token(self) -> int:
        given = self.image_token_index if self.image_token_id is None else self.image_token_id
        assert given is not None
        return given


class _Processor(_Foreign):
    """The repository's image processor, with the values that the release states."""

    anyres_strategy: Literal["crop"] = "crop"
    base_img_size: PositiveInt = 512
    num_crops: PositiveInt = 4
    image_mean: Triple = IMAGE_MEAN
    image_std: Triple = IMAGE_STD


def read_shape(folder: Path) -> MagmaShape:
    """The shape that the configuration in a checkpoint's folder describes.

    Raises:
        CheckpointLayoutError: There is none, it is of another architecture, or it contradicts
            itself or the image processor's configuration.
    """
    path = folder / CONFIG
    content = json_mapping(path, error=CheckpointLayoutError, remedy=REMEDY)
    _refuse_foreign(path, content)
    config = check(_completed(content), _Config, path, CheckpointLayoutError, REMEDY)
    processor = _read_processor(folder, config.vision_config)
    return MagmaShape(
        vision=config.vision_config.shape(),
        text=config.text_config.shape(),
        image_token=config.image_token,
        row_separator=config.vision_config.mm_use_row_seperator,
        image_start_end=config.mm_use_image_start_end,
        image_mean=processor.image_mean,
        image_std=processor.image_std,
    )


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the decoder's fields that stand only at its top level.

    The repository's class copies them there, and says that ``model_type`` is Magma's own.
    """
    text = content.get("text_config")
    if not isinstance(text, dict):
        return content
    copied = {
        name: content[name]
        for name in _Text.model_fields
        if name in content and name != "model_type"
    }
    return content | {"text_config": copied | text}


def _refuse_foreign(path: Path, content: dict[str, Any]) -> None:
    kind = content.get("model_type")
    if kind != "magma":
        raise CheckpointLayoutError(
            f"{path} describes a model of the kind {kind!r}, not of the kind 'magma'; {REMEDY}"
        )


def _read_processor(folder: Path, vision: _Vision) -> _Processor:
    path = folder / PROCESSOR
    if not path.is_file():
        return _Processor()
    content = json_mapping(path, error=CheckpointLayoutError, remedy=REMEDY)
    processor = check(content, _Processor, path, CheckpointLayoutError, REMEDY)
    for name, found, wanted in (
        ("base_img_size", processor.base_img_size, vision.img_size),
        ("num_crops", processor.num_crops, vision.max_num_crops),
    ):
        if name in content and found != wanted:
            raise CheckpointLayoutError(
                f"{path} has {name} {found}, but {CONFIG} says {wanted}; "
                "copy both from the same checkpoint"
            )
    return processor
