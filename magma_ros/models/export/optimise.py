# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rewrites trained parts into equal ones that ONNX Runtime runs faster.

Only exported graphs use these parts; training and the PyTorch side of every comparison keep the
original ones. The outputs are the same up to rounding. What is done, for any network of
these parts:

- Decoder layers: one product makes queries, keys and values, another one gate and up; norm,
  rotation and attention are one operator each, all of the ONNX standard (opset 23).
- The last layer of the last stage works only for the tokens that the action head reads.
- Vision towers: channels stay last, so that only depthwise convolutions change the layout.
  Convolutions whose patches do not overlap become products, which are quantised like all others.
  Shrinking the image and normalising its pixels are part of the first product, the layer scale of
  the second pointwise product, and one product modulates all stages (FiLM).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.convnext.modeling_convnext import ConvNextLayer
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

from magma_ros.models.network.network import ThinkStage, VisionTower


def streamlined(module: nn.Module, *, final: bool) -> nn.Module:
    """A copy of a stage whose parts are the faster ones.

    Args:
        module: A stage; stays as it is.
        final: Whether only its action head, and no later stage, reads the stage's tokens.
    """
    module = copy.deepcopy(module)
    if final:
        for part in module.modules():
            if isinstance(part, ThinkStage) and part.exit is not None:
                last = cast("LlamaDecoderLayer", part.layers[-1])
                part.layers[-1] = DecoderLayer(last, read=part.exit.chunk_length)
    _replace(module)
    return module


def _replace(module: nn.Module) -> None:
    for name, part in module.named_children():
        for kind, make in REPLACEMENTS.items():
            if isinstance(part, kind):
                setattr(module, name, make(part))
                break
        else:
            _replace(part)


def stacked(*layers: nn.Linear) -> nn.Linear:
    """One linear layer whose output is that of these layers, one after the other."""
    weight = torch.cat(tuple(layer.weight for layer in layers))
    biases = tuple(layer.bias for layer in layers if layer.bias is not None)
    return linear(weight, torch.cat(biases) if biases else None)


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer of these (O, I) weights and (O,) biases."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach())
    return layer


class RMSNorm(nn.Module):
    """Llama's norm as one operator."""

    def __init__(self, norm: LlamaRMSNorm) -> None:
        super().__init__()
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalised tokens (..., D)."""
        return functional.rms_norm(tokens, self.weight.shape, self.weight, self.eps)


class DecoderLayer(nn.Module):
    """Llama's layer with packed products and fused operators.

    Args:
        layer: The trained layer; every query head needs its own key head.
        read: How many leading tokens of the output are wanted, or None for all.
    """

    def __init__(self, layer: LlamaDecoderLayer, *, read: int | None = None) -> None:
        super().__init__()
        attention, gated = layer.self_attn, layer.mlp
        self.heads: int = attention.config.num_attention_heads
        self.read = read
        self.before = RMSNorm(layer.input_layernorm)
        self.queries, self.pairs = attention.q_proj, stacked(attention.k_proj, attention.v_proj)
        self.packed = stacked(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = attention.o_proj
        self.between = RMSNorm(layer.post_attention_layernorm)
        self.gate_up, self.down = stacked(gated.gate_proj, gated.up_proj), gated.down_proj

    def forward(
        self,
        state: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """The tokens (B, S, D) after this layer, or the first ``read`` of them.

        Args:
            state: (B, S, D).
            position_embeddings: Cosines and sines, (1, S, D / heads) each.
            attention_mask: What to add to the (B, heads, S, S) attention logits.
        """
        kept = state if self.read is None else state[:, : self.read]
        width = state.shape[-1]
        # Llama's tables repeat themselves in the second half; the operator takes the first.
        cos, sin = (table[..., : width // self.heads // 2] for table in position_embeddings)
        normed = self.before(state)
        if self.read is None:
            queries, keys, values = self.packed(normed).split(width, dim=-1)
        else:
            queries = self.queries(normed[:, : self.read])
            keys, values = self.pairs(normed).split(width, dim=-1)
        rows = queries.shape[1]
        if attention_mask is not None:  # the operator wants a row for every query
            attention_mask = attention_mask.expand(-1, -1, rows, -1)
        attended, *_ = torch.onnx.ops.attention(
            torch.onnx.ops.rotary_embedding(
                queries, cos[:, :rows], sin[:, :rows], num_heads=self.heads
            ),
            torch.onnx.ops.rotary_embedding(keys, cos, sin, num_heads=self.heads),
            values,
            attn_mask=attention_mask,
            q_num_heads=self.heads,
            kv_num_heads=self.heads,
        )
        state = kept + self.out(attended)
        gate, up = self.gate_up(self.between(state)).chunk(2, dim=-1)
        return cast("Tensor", state + self.down(functional.silu(gate) * up))


class Patches(nn.Module):
    """A convolution whose patches touch and do not overlap, as a product; channels last."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.sides = (weight.shape[2], weight.shape[3])
        self.product = linear(weight.permute(0, 2, 3, 1).flatten(1), bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H / h, W / w, O) from features (B, H, W, C) of any number format."""
        (rows, columns), channels = self.sides, features.shape[-1]
        strips = features.unflatten(2, (-1, columns)).unflatten(1, (-1, rows))
        patches = strips.transpose(2, 3).flatten(3, 5)
        assert patches.shape[-1] == rows * columns * channels
        return cast("Tensor", self.product(patches.float()))


class Block(nn.Module):
    """ConvNeXt's block, channels last."""

    def __init__(self, layer: ConvNextLayer) -> None:
        super().__init__()
        self.depthwise, self.norm, self.widen = layer.dwconv, _norm(layer.layernorm), layer.pwconv1
        scale = layer.layer_scale_parameter
        self.narrow = linear(layer.pwconv2.weight * scale[:, None], layer.pwconv2.bias * scale)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, H, W, C)."""
        near = self.depthwise(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return cast("Tensor", features + self.narrow(functional.gelu(self.widen(self.norm(near)))))


class Tower(nn.Module):
    """A vision tower, channels last from the image to the tokens."""

    def __init__(self, tower: VisionTower) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        for index, stage in enumerate(tower.stages):
            entry: list[nn.Module] = (
                [_stem(tower), _norm(tower.stem.layernorm)]
                if index == 0
                else [_norm(stage.downsampling_layer[0]), _patches(stage.downsampling_layer[1])]
            )
            self.steps.append(nn.Sequential(*entry, *(Block(layer) for layer in stage.layers)))
        self.films = _films(tower)
        channels = [stage.layers[0].dwconv.out_channels for stage in tower.stages]
        self.sizes = [count for count in channels for _ in ("scale", "shift")]
        self.norm, self.projector = tower.norm, tower.projector
        self.position, self.grounding = tower.position, tower.grounding
        self.point, self.fine = tower.point, tower.fine

    def forward(
        self, image: Tensor, instruction: Tensor, point: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What :meth:`VisionTower.forward` gives."""
        given = None
        if self.films is not None:
            given = self.films(instruction)[:, None, None].split(self.sizes, dim=-1)
        features = early = image
        for index, step in enumerate(self.steps):
            features = step(features)
            if given is not None:
                features = features * given[2 * index] + given[2 * index + 1]
            early = features if index + 1 == self.fine else early
        tokens = self.projector(self.norm(features.flatten(1, 2))) + self.position
        near = None
        if self.point is not None:
            tokens, near = self.point(tokens, point)
        if self.grounding is None:
            return tokens, None
        if self.fine is None:
            grounded, heat = self.grounding(tokens, instruction, near)
        else:
            grounded, heat = self.grounding(early.flatten(1, 2), tokens, instruction)
        return torch.cat([tokens, grounded], dim=1), heat


def _norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """ConvNeXt's norm over the last dimension, whatever layout it was made for."""
    last = nn.LayerNorm(norm.normalized_shape, eps=norm.eps)
    last.weight, last.bias = norm.weight, norm.bias
    return last


def _patches(convolution: nn.Conv2d) -> Patches:
    assert convolution.stride == convolution.kernel_size
    assert convolution.bias is not None
    return Patches(convolution.weight, convolution.bias)


def _stem(tower: VisionTower) -> Patches:
    """Shrinking, normalising and the first convolution, from pixels on 0 to 255."""
    convolution = cast("nn.Conv2d", tower.stem.patch_embeddings)
    assert convolution.bias is not None
    weight = convolution.weight / tower.std
    bias = convolution.bias - (weight * tower.mean).sum(dim=(1, 2, 3))
    rows, columns = tower.shrink
    weight = weight.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)
    return Patches(weight / (255.0 * rows * columns), bias)


def _films(tower: VisionTower) -> nn.Linear | None:
    """Scales and shifts of all stages in one product; the scales include FiLM's one."""
    if not len(tower.films):
        return None
    films = stacked(*(cast("nn.Linear", film.linear) for film in tower.films))
    used = 0
    with torch.no_grad():
        for film in tower.films:
            channels = cast("nn.Linear", film.linear).out_features // 2
            films.bias[used : used + channels] += 1.0
            used += 2 * channels
    return films


REPLACEMENTS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    LlamaDecoderLayer: DecoderLayer,
    LlamaRMSNorm: RMSNorm,
    VisionTower: Tower,
}
"""What takes the place of which part."""
