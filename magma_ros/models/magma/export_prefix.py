# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The keys and values of the prompt's constant beginning, which become constants of the graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from magma_ros.models.magma.export_decoder import Source
from magma_ros.models.magma.layout import EMBEDDING, MagmaShape, layer_prefix, layer_tensors
from magma_ros.models.magma.weights import drop, empty_network, fill


@torch.inference_mode()
def prefix_memory(shape: MagmaShape, source: Source, ids: Sequence[int]) -> Iterator[Tensor]:
    """Of each layer, the keys and the values of the tokens ``ids`` (2, kv_heads, P, head_width).

    Layer after layer, so that no more than one of them is held, in float32.

    Args:
        shape: Of the checkpoint.
        source: The checkpoint.
        ids: The tokens before the image.
    """
    network = empty_network(shape)
    hidden = source.tensor(EMBEDDING)[torch.tensor(ids)].float()[None]
    for layer in network.layers:
        prefix = layer_prefix(layer)
        names = [f"{prefix}{name}" for name, _ in layer_tensors(shape.text)]
        fill(network, source, names)
        hidden, past = network.think(hidden, range(layer, layer + 1))
        drop(network, names)
        yield torch.cat([past[0].keys, past[0].values])
