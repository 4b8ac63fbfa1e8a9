# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Magma in PyTorch: tower and projector, then transformers' Llama in blocks of layers.

For one picture and no padding, Magma's merge of image and text is a concatenation: the tokens
before the placeholder, the image's, and those after it, at positions 0 to T - 1. A block of layers
takes and returns the keys and values of earlier tokens explicitly, so that it can be exported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from magma_ros.models.magma.layout import MagmaShape, TextShape
from magma_ros.models.magma.tower import Projector, VisionTower


class KeyValue(NamedTuple):
    """Keys and values of the tokens that a layer has read.

    Attributes:
        keys: (B, kv_heads, T, head_width), turned to their positions.
        values: The same shape.
    """

    keys: Tensor
    values: Tensor


class _LayerCache:
    """What transformers' attention asks for the keys and values of earlier tokens."""

    def __init__(self, past: KeyValue | None) -> None:
        self.now: KeyValue | None = past

    def update(self, keys: Tensor, values: Tensor, layer: int) -> KeyValue:
        """Append those of new tokens; return those of all."""
        del layer
        if self.now is not None:
            keys = torch.cat([self.now.keys, keys], dim=2)
            values = torch.cat([self.now.values, values], dim=2)
        self.now = KeyValue(keys, values)
        return self.now


class MagmaNetwork(nn.Module):
    """The whole network.

    Attributes:
        shape: Its shape.
        vision_tower: See :class:`VisionTower`.
        multi_modal_projector: See :class:`Projector`.
        language_model: Llama, with an embedding and a head of their own.

    Args:
        shape: Of the checkpoint.
    """

    def __init__(self, shape: MagmaShape) -> None:
        super().__init__()
        self.shape = shape
        self.vision_tower = VisionTower(shape.vision)
        self.multi_modal_projector = Projector(shape)
        self.language_model = LlamaForCausalLM(llama_config(shape.text))
        # Computed where its weights are, which is nowhere on the meta device.
        with torch.device("cpu"):
            self.language_model.model.rotary_emb = LlamaRotaryEmbedding(llama_config(shape.text))

    def see(self, tiles: Tensor) -> Tensor:
        """Image tokens (B, N, D) of tiles (B, rows, columns, 3, S, S)."""
        batch, rows, columns = tiles.shape[:3]
        dtype = next(self.vision_tower.parameters()).dtype
        features = self.vision_tower(tiles.flatten(0, 2).to(dtype))
        tokens: Tensor = self.multi_modal_projector(features.unflatten(0, (batch, rows, columns)))
        return tokens

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings (B, T, D) of token ids (B, T)."""
        embedded: Tensor = self.language_model.model.embed_tokens(ids)
        return embedded

    def rotary(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines (1, T, head_width) that turn queries and keys at positions (T,)."""
        like = torch.empty(0, dtype=dtype, device=positions.device)
        angles = self.language_model.model.rotary_emb(like, positions[None])
        return cast("tuple[Tensor, Tensor]", angles)

    def think(
        self, hidden: Tensor, layers: range, past: Sequence[KeyValue] | None = None
    ) -> tuple[Tensor, list[KeyValue]]:
        """Run some decoder layers over the next tokens.

        Args:
            hidden: (B, T, D) of the new tokens.
            layers: Which layers, in order.
            past: Of every one of these layers, for all tokens before; None for no tokens.

        Returns:
            The hidden states (B, T, D), and the keys and values of all tokens so far.
        """
        before = 0 if past is None else past[0].keys.shape[2]
        count = hidden.shape[1]
        positions = torch.arange(before, before + count, device=hidden.device)
        turns = self.rotary(positions, hidden.dtype)
        mask = causal_mask(count, before, hidden.dtype, hidden.device)
        now: list[KeyValue] = []
        for place, index in enumerate(layers):
            cache = _LayerCache(None if past is None else past[place])
            hidden = self.language_model.model.layers[index](
                hidden,
                attention_mask=mask,
                position_embeddings=turns,
                past_key_values=cache,
            )
            assert cache.now is not None
            now.append(cache.now)
        return hidden, now

    def logits(self, hidden: Tensor, rows: Tensor | None = None) -> Tensor:
        """Logits (..., V) of the last layer's hidden states (..., D).

        Args:
            hidden: The states.
            rows: Ids of the tokens that may be chosen; all when none are given.
        """
        normed = self.language_model.model.norm(hidden)
        head = self.language_model.lm_head.weight
        return nn.functional.linear(normed, head if rows is None else head[rows])

    def prompt(self, tiles: Tensor, prefix: Tensor, suffix: Tensor) -> Tensor:
        """What the decoder reads (B, T, D): text, image, text.

        Args:
            tiles: (B, rows, columns, 3, S, S).
            prefix: (B, P) ids before the image's placeholder.
            suffix: (B, Q) ids after it.
        """
        return torch.cat([self.embed(prefix), self.see(tiles), self.embed(suffix)], dim=1)

    def forward(self, tiles: Tensor, prefix: Tensor, suffix: Tensor) -> Tensor:
        """Logits (B, T, V) of every position; see :meth:`prompt` for the arguments."""
        hidden, _ = self.think(self.prompt(tiles, prefix, suffix), self.layers)
        return self.logits(hidden)

    @property
    def layers(self) -> range:
        """All decoder layers."""
        return range(self.shape.text.layers)

    @torch.no_grad()
    def choose(
        self,
        prompt: Tensor,
        rows: Tensor,
        count: int,
        *,
        depth: int | None = None,
        read: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The likeliest next tokens (B, count) among some, one by one.

        Args:
            prompt: (B, T, D) what the decoder reads.
            rows: (R,) ids of the tokens that may be chosen.
            count: How many tokens.
            depth: How many layers run; all by default.
            read: Logits (B, R) of states (B, D) after these layers; those of the last layer's
                norm and head by default.
        """
        layers = self.layers[:depth]
        hidden, past = self.think(prompt, layers)
        chosen: list[Tensor] = []
        while True:
            last = hidden[:, -1]
            logits = self.logits(last, rows) if read is None else read(last)
            chosen.append(rows[logits.argmax(dim=-1)])
            if len(chosen) == count:
                return torch.stack(chosen, dim=1)
            hidden, past = self.think(self.embed(chosen[-1][:, None]), layers, past)


def causal_mask(
    count: int, before: int, dtype: torch.dtype, device: torch.device | None = None
) -> Tensor:
    """What is added to attention (1, 1, count, before + count): nothing, or the least number."""
    allowed = torch.ones(count, before + count, dtype=torch.bool, device=device).tril(before)
    mask = torch.zeros(allowed.shape, dtype=dtype, device=device)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)[None, None]


def llama_config(text: TextShape) -> LlamaConfig:
    """Llama's configuration; eager attention exports to plain matrix products."""
    config = LlamaConfig(
        vocab_size=text.vocabulary,
        hidden_size=text.width,
        intermediate_size=text.hidden,
        num_hidden_layers=text.layers,
        num_attention_heads=text.heads,
        num_key_value_heads=text.kv_heads,
        head_dim=text.head_width,
        rms_norm_eps=text.eps,
        rope_parameters={"rope_type": "default", "rope_theta": text.rope_theta},
        max_position_embeddings=text.max_positions,
        tie_word_embeddings=False,
        attention_bias=False,
        mlp_bias=False,
    )
    config._attn_implementation = "eager"  # noqa: SLF001
    return config
