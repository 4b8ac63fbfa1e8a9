# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the decoder as graphs: blocks of layers, the heads of the exits, and the draft.

The graphs' contract is told in :mod:`magma_ros.policy.stages`; a think is a block of layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import torch
from torch import Tensor

from magma_ros.models.magma.export_graph import GraphWriter, NumberFormat, spec, value
from magma_ros.models.magma.layout import TextShape, layer_prefix
from magma_ros.models.magma.quantised import Bits, Quantised
from magma_ros.policy.action_tokens import EDGES, ActionCodec
from magma_ros.policy.contract import CHOICE, EXIT_OUTPUTS, TensorSpec
from magma_ros.spaces import ACTION_DIMS, GRIPPER

LEAST = tuple(0.0 if dim == GRIPPER else -1.0 for dim in range(len(ACTION_DIMS)))
"""Least value of each dimension: a gripper is closed at 0, and tokens below that mean the same."""


class Source(Protocol):
    """Where weights come from: a checkpoint that has been checked."""

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """One tensor."""
        ...

    def quantised(self, name: str, bits: Bits) -> Quantised:
        """The weight of a product, rounded to so many bits."""
        ...


def product_weight(
    source: Source, name: str, bits: Bits | None, dtype: torch.dtype
) -> Tensor | Quantised:
    """The weight of a product as it is kept: in so many bits, or in ``dtype`` if those are None.

    One that does not fit ``dtype`` is refused by its name.
    """
    return source.tensor(name, dtype) if bits is None else source.quantised(name, bits)


class Block:
    """A block of layers as a graph.

    Args:
        number: 1 for the first.
        layers: The decoder layers in it.
        text: The decoder's shape.
        tokens: Tokens N of the prompt that it runs over.
        prefix: Positions P before these.
        compute: Type of its tensors.
    """

    def __init__(
        self,
        number: int,
        layers: range,
        text: TextShape,
        *,
        tokens: int,
        prefix: int,
        compute: torch.dtype,
    ) -> None:
        self.number, self.layers, self.text, self.compute = number, layers, text, compute
        self.tokens, self.prefix = tokens, prefix
        kept = 2 * len(layers), text.kv_heads
        self.past = spec(f"past_{number}", compute, *kept, prefix, text.head_width)
        self._memory = spec(f"memory_{number}", compute, *kept, prefix + tokens, text.head_width)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """State, positions and past."""
        positions = spec("positions", torch.int64, 1, self.tokens)
        return (self._state(self.number - 1), positions, self.past)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """State and memory."""
        return (self._state(self.number), self._memory)

    def write(self, path: Path, source: Source, numbers: NumberFormat, positions: int) -> int:
        """Write the graph; return the bytes of its weights.

        Args:
            path: The ONNX file.
            source: The checkpoint.
            numbers: How weights are kept.
            positions: Positions that may occur.
        """
        state, place, past = (tensor.name for tensor in self.inputs)
        with GraphWriter(path, self.compute) as graph:
            layer = _Layer(
                graph, self.text, source, numbers, positions=place, past=past, count=positions
            )
            pasts = graph.ops(
                "Split",
                [past],
                graph.names("past", 2 * len(self.layers)),
                axis=0,
                num_outputs=2 * len(self.layers),
            )
            memory: list[str] = []
            hidden = state
            for count, index in enumerate(self.layers):
                hidden, kept = layer.write(hidden, index, pasts[2 * count : 2 * count + 2])
                memory += kept
            made, remembered = self.outputs
            graph.op("Identity", hidden, output=made.name)
            graph.op("Concat", *memory, output=remembered.name, axis=0)
            graph.finish(self._values(self.inputs, "past"), self._values(self.outputs, "total"))
            return graph.weight_bytes

    def _state(self, number: int) -> TensorSpec:
        return spec(f"state_{number}", self.compute, 1, self.tokens, self.text.width)

    def _values(self, tensors: tuple[TensorSpec, ...], kept: str) -> list[onnx.ValueInfoProto]:
        symbols = {2: (None, "tokens"), 3: (None, "tokens", None), 4: (None, None, kept, None)}
        return [value(tensor, *symbols[len(tensor.shape)]) for tensor in tensors]


class _Layer:
    """Writes Llama's layers, which share their positions, their mask and the rotations."""

    def __init__(
        self,
        graph: GraphWriter,
        text: TextShape,
        source: Source,
        numbers: NumberFormat,
        *,
        positions: str,
        past: str,
        count: int,
    ) -> None:
        self._graph, self._text, self._source = graph, text, source
        self._numbers = numbers
        self._positions = positions
        cosines, sines = rotations(text, count)
        self._turns = graph.weight(cosines), graph.weight(sines)
        self._scale = graph.weight(torch.tensor(text.head_width**-0.5))
        self._mask = _mask(graph, positions, past)

    def write(self, hidden: str, index: int, past: Sequence[str]) -> tuple[str, list[str]]:
        """Append a layer; return its hidden states, and the keys and values of all positions."""
        graph, text, name = self._graph, self._text, layer_prefix(index)
        normed = self._norm(hidden, f"{name}input_layernorm.weight")
        queries = self._turn(self._linear(normed, f"{name}self_attn.q_proj.weight"), text.heads)
        keys = self._turn(self._linear(normed, f"{name}self_attn.k_proj.weight"), text.kv_heads)
        values = self._linear(normed, f"{name}self_attn.v_proj.weight")
        kept = [self._append(old, new) for old, new in zip(past, (keys, values), strict=True)]
        mixed = self._attend(queries, *kept)
        hidden = graph.op("Add", hidden, self._linear(mixed, f"{name}self_attn.o_proj.weight"))
        normed = self._norm(hidden, f"{name}post_attention_layernorm.weight")
        gate = self._linear(normed, f"{name}mlp.gate_proj.weight")
        gate = graph.op("Mul", gate, graph.op("Sigmoid", gate))
        up = self._linear(normed, f"{name}mlp.up_proj.weight")
        down = self._linear(graph.op("Mul", gate, up), f"{name}mlp.down_proj.weight")
        return graph.op("Add", hidden, down), kept

    def _append(self, past: str, new: str) -> str:
        """Earlier keys or values (1, G, P, D), and the new ones (1, N, G D) after them."""
        graph, text = self._graph, self._text
        heads = graph.op("Reshape", new, graph.numbers(0, 0, text.kv_heads, text.head_width))
        return graph.op("Concat", past, graph.op("Transpose", heads, perm=[0, 2, 1, 3]), axis=2)

    def _attend(self, queries: str, keys: str, values: str) -> str:
        """Attention (1, N, heads D) of queries (1, N, heads D) to all keys (1, G, P + N, D).

        Plain products: what ONNX Runtime 1.23 makes of the operator for attention is wrong where
        several heads share keys. The heads of a group stand in a dimension of their own, to which
        keys and values are broadcast.
        """
        graph, text = self._graph, self._text
        group = text.heads // text.kv_heads
        split = graph.numbers(0, 0, text.kv_heads, group, text.head_width)
        given = graph.op("Reshape", graph.op("Mul", queries, self._scale), split)
        given = graph.op("Transpose", given, perm=[0, 2, 3, 1, 4])
        axis = graph.numbers(2)
        turned = graph.op("Unsqueeze", graph.op("Transpose", keys, perm=[0, 1, 3, 2]), axis)
        scores = graph.op("Add", graph.op("MatMul", given, turned), self._mask)
        shares = graph.op("Softmax", scores, axis=-1)
        mixed = graph.op("MatMul", shares, graph.op("Unsqueeze", values, axis))
        mixed = graph.op("Transpose", mixed, perm=[0, 3, 1, 2, 4])
        return graph.op("Reshape", mixed, graph.numbers(0, 0, text.query_width))

    def _linear(self, given: str, name: str) -> str:
        numbers = self._numbers
        weight = product_weight(self._source, name, numbers.decoder_bits, numbers.weights)
        return self._graph.linear(given, weight)

    def _norm(self, given: str, name: str) -> str:
        scale = self._graph.weight(self._source.tensor(name, self._graph.compute))
        return self._graph.op("RMSNormalization", given, scale, epsilon=self._text.eps)

    def _turn(self, given: str, heads: int) -> str:
        inputs = (given, *self._turns, self._positions)
        return self._graph.op("RotaryEmbedding", *inputs, num_heads=heads)


def rotations(text: TextShape, count: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (count, head_width / 2) of Llama's rotary position embedding."""
    steps = torch.arange(0, text.head_width, 2, dtype=torch.int64).float() / text.head_width
    angles = torch.arange(count).float()[:, None] / text.rope_theta**steps
    return angles.cos(), angles.sin()


def _mask(graph: GraphWriter, positions: str, past: str) -> str:
    """What is added to scores (N, P + N): nothing for earlier positions and itself, or -inf."""
    zero, one = graph.constant(torch.tensor(0)), graph.constant(torch.tensor(1))
    count = graph.op("Gather", graph.op("Shape", positions), one, axis=0)
    before = graph.op("Gather", graph.op("Shape", past), graph.constant(torch.tensor(2)), axis=0)
    columns = graph.op("Range", zero, graph.op("Add", before, count), one)
    rows = graph.op("Unsqueeze", graph.op("Range", zero, count, one), graph.numbers(1))
    first = graph.op("Gather", graph.op("Reshape", positions, graph.numbers(-1)), zero, axis=0)
    # Of the past what lies before the first token, and of the new tokens those up to each itself.
    of_past = graph.op("Less", columns, before)
    ends = graph.op("Add", graph.op("Add", rows, before), one)
    seen = graph.op("Less", columns, graph.op("Where", of_past, first, ends))
    nothing, hidden = (graph.weight(torch.tensor(number)) for number in (0.0, -math.inf))
    return graph.op("Where", seen, nothing, hidden)


def write_draft(
    path: Path, choice: TensorSpec, state: TensorSpec, table: Tensor, compute: torch.dtype
) -> int:
    """Write the graph that embeds a draft; return the bytes of its weights.

    Args:
        path: The ONNX file.
        choice: (1, N), its input.
        state: (1, N, H), its output.
        table: (EDGES + 1, H) embeddings of the action tokens, then of the prompt's last token.
        compute: Type of the state.
    """
    with GraphWriter(path, compute) as graph:
        kept = graph.op(
            "Slice", CHOICE, graph.numbers(0), graph.numbers(choice.shape[1] - 1), graph.numbers(1)
        )
        start = graph.constant(torch.tensor([[len(table) - 1]]))
        ids = graph.op("Concat", start, kept, axis=1)
        graph.op("Gather", graph.weight(table), ids, output=state.name, axis=0)
        graph.finish([value(choice)], [value(state)])
        return graph.weight_bytes


def head_outputs(choice: TensorSpec, steps: int) -> tuple[TensorSpec, ...]:
    """What an exit gives: the action and how sure it is, for so many steps, and the tokens."""
    shape = (1, steps, len(ACTION_DIMS))
    return (*(spec(name, torch.float32, *shape) for name in EXIT_OUTPUTS), choice)


def write_head(
    path: Path,
    state: TensorSpec,
    outputs: tuple[TensorSpec, ...],
    norm: Tensor,
    rows: Tensor,
    *,
    eps: float,
) -> int:
    """Write an exit's norm and head in float32; return the bytes of its weights.

    Only action tokens are chosen. How probable the end of the turn is counts against them in the
    entropy and the margin. All steps are the one that the tokens stand for.

    Args:
        path: The ONNX file.
        state: (1, 7, H), its input.
        outputs: Made by :func:`head_outputs`.
        norm: (H,) scale of the norm.
        rows: (EDGES + 1, H) of the head: the action tokens, then the end of the turn.
        eps: Added to the mean square in the norm.
    """
    action, entropy, margin, choice = outputs
    with GraphWriter(path) as graph:
        wide = graph.op("Cast", state.name, to=onnx.TensorProto.FLOAT)
        normed = graph.op("RMSNormalization", wide, graph.weight(norm.float()), epsilon=eps)
        logits = graph.linear(normed, rows.float())
        allowed = graph.op(
            "Slice", logits, graph.numbers(0), graph.numbers(EDGES), graph.numbers(2)
        )
        graph.op("ArgMax", allowed, output=choice.name, axis=-1, keepdims=0)
        values = graph.op("Gather", graph.weight(token_values()), choice.name)
        _hold(graph, graph.op("Max", values, graph.weight(torch.tensor(LEAST))), action)
        logs = graph.op("LogSoftmax", logits, axis=-1)
        shares = graph.op("Exp", logs)
        total = graph.op("ReduceSum", graph.op("Mul", shares, logs), graph.numbers(-1), keepdims=0)
        scale = graph.weight(torch.tensor(-1.0 / math.log(len(rows))))
        _hold(graph, graph.op("Mul", total, scale), entropy)
        _hold(graph, graph.op("Squeeze", _margin(graph, shares), graph.numbers(-1)), margin)
        graph.finish([value(state)], [value(tensor) for tensor in outputs])
        return graph.weight_bytes


def _hold(graph: GraphWriter, step: str, chunk: TensorSpec) -> None:
    """Output one step (1, 7) as all the steps of a chunk (1, K, 7)."""
    one = graph.op("Unsqueeze", step, graph.numbers(1))
    graph.op("Expand", one, graph.numbers(*chunk.shape), output=chunk.name)


def token_values() -> Tensor:
    """What each action token stands for in [-1, 1], in the order of their ids (EDGES,)."""
    values = ActionCodec(base=EDGES).decode(np.arange(EDGES))
    return torch.from_numpy(values).float()


def _margin(graph: GraphWriter, shares: str) -> str:
    """The lead of the likeliest token, or 0 if that is no action token."""
    best, _ = graph.ops("TopK", [shares, graph.numbers(2)], graph.names("topk", 2), axis=-1)
    first, second = graph.ops("Split", [best], graph.names("split", 2), axis=-1, num_outputs=2)
    end = graph.op(
        "Slice", shares, graph.numbers(EDGES), graph.numbers(EDGES + 1), graph.numbers(2)
    )
    lead = graph.op("Sub", first, second)
    return graph.op("Where", graph.op("Less", end, first), lead, graph.op("Sub", lead, lead))
