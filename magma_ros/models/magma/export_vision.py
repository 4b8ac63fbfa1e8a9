# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what looks as graphs: the instruction's embedding, and the tower with its projector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from onnx import TensorProto
from torch import Tensor

from magma_ros.models.magma.export_decoder import Source, product_weight
from magma_ros.models.magma.export_graph import (
    ELEMENT_TYPES,
    GraphWriter,
    NumberFormat,
    spec,
    value,
)
from magma_ros.models.magma.layout import (
    EMBEDDING,
    PROJECTOR,
    ROW_SEPARATOR,
    TRUNK,
    MagmaShape,
)
from magma_ros.models.magma.operations import projector_flops, tower_flops
from magma_ros.policy.contract import CameraContract, TensorSpec

WORDS = "words"
"""The embedded tokens of the prompt from the instruction on."""


def write_words(
    path: Path, tokens: TensorSpec, words: TensorSpec, source: Source, compute: torch.dtype
) -> int:
    """Write the graph that embeds the instruction; return the bytes of the rows that it reads.

    The table is kept in the type of the checkpoint, so that it can be mapped as it is. Where more
    than half of its rows are zero, as those of tokens that a small checkpoint never met, these are
    one row, and a second table says which row a token has.

    Args:
        path: The ONNX file.
        tokens: (1, T) its input.
        words: (1, T, H) its output.
        source: The checkpoint.
        compute: Type of the output.
    """
    with GraphWriter(path, compute) as graph:
        table = source.tensor(EMBEDDING)
        given, learned = tokens.name, _learned(table)
        if 2 * int(learned.sum()) < len(table):
            places = (learned.cumsum(0) * learned).to(torch.int32)
            table = torch.cat([torch.zeros_like(table[:1]), table[learned]])
            given = graph.op("Gather", graph.constant(places), given, axis=0)
        rows = graph.op("Gather", graph.constant(table), given, axis=0)
        graph.op("Cast", rows, output=words.name, to=ELEMENT_TYPES[compute])
        graph.finish([value(tokens)], [value(words)])
        return tokens.shape[1] * table.shape[1] * table.itemsize


def _learned(table: Tensor) -> Tensor:
    """(V,) whether a row is not zero, without a mask as large as the table."""
    return torch.cat([(part != 0).any(dim=1) for part in table.split(4096)])


class Vision:
    """The tower and the projector as a graph, with what the decoder needs besides.

    Args:
        shape: Of the checkpoint.
        camera: Whose pictures are seen.
        tiles: Rows and columns of tiles that a picture is stretched to.
        words: The embedded instruction, which follows the image.
        prefix: Positions before the image.
        compute: Type of the activations.
    """

    def __init__(
        self,
        shape: MagmaShape,
        camera: CameraContract,
        tiles: tuple[int, int],
        *,
        words: TensorSpec,
        prefix: int,
        compute: torch.dtype,
    ) -> None:
        self.shape, self.tiles, self.prefix, self.compute = shape, tiles, prefix, compute
        self.image = spec(f"image_{camera.name}", torch.uint8, 1, camera.height, camera.width, 3)
        self.words = words
        self.tokens = shape.image_tokens(*tiles) + words.shape[1]
        self.state = spec("state_0", compute, 1, self.tokens, shape.text.width)
        self.positions = spec("positions", torch.int64, 1, self.tokens)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Picture and instruction."""
        return (self.image, self.words)

    def outputs(self, pasts: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """State, positions, and the constant keys and values of each block."""
        return (self.state, self.positions, *pasts)

    def flops(self) -> int:
        """Floating-point operations of one run."""
        tiles = self.tiles[0] * self.tiles[1]
        return tiles * (tower_flops(self.shape) + projector_flops(self.shape))

    def write(
        self,
        path: Path,
        source: Source,
        numbers: NumberFormat,
        pasts: Sequence[tuple[TensorSpec, Tensor]],
    ) -> int:
        """Write the graph; return the bytes of its weights.

        Args:
            path: The ONNX file.
            source: The checkpoint.
            numbers: How weights are kept.
            pasts: For each block the keys and values of the prompt's constant beginning.
        """
        with GraphWriter(path, self.compute) as graph:
            tower = _Tower(graph, self.shape, source, numbers)
            rows = tower.project(tower.see(self._pixels(graph)), self.tiles)
            graph.op("Concat", rows, self.words.name, output=self.state.name, axis=1)
            places = torch.arange(self.prefix, self.prefix + self.tokens)[None]
            graph.op("Identity", graph.constant(places), output=self.positions.name)
            for past, content in pasts:
                graph.op("Identity", graph.weight(content), output=past.name)
            outputs = self.outputs([past for past, _ in pasts])
            graph.finish([value(t) for t in self.inputs], [value(t) for t in outputs])
            return graph.weight_bytes

    def _pixels(self, graph: GraphWriter) -> str:
        """Normalised tiles (rows x columns, 3, S, S) of the picture."""
        side, (rows, columns) = self.shape.vision.image_size, self.tiles
        # In float32, since the picture's values are exact there: x / 255, then mean and deviation.
        wide = graph.op("Cast", self.image.name, to=TensorProto.FLOAT)
        wide = graph.op("Transpose", wide, perm=[0, 3, 1, 2])
        scaled = graph.op("Div", wide, graph.constant(torch.tensor(255.0)))
        mean, deviation = (
            graph.constant(torch.tensor(values).reshape(1, 3, 1, 1))
            for values in (self.shape.image_mean, self.shape.image_std)
        )
        pixels = graph.op("Div", graph.op("Sub", scaled, mean), deviation)
        size = graph.numbers(1, 3, rows * side, columns * side)
        canvas = graph.op(
            "Resize",
            pixels,
            "",
            "",
            size,
            mode="linear",
            coordinate_transformation_mode="pytorch_half_pixel",
        )
        cut = graph.op("Reshape", canvas, graph.numbers(3, rows, side, columns, side))
        cut = graph.op("Transpose", cut, perm=[1, 3, 0, 2, 4])
        tiles = graph.op("Reshape", cut, graph.numbers(rows * columns, 3, side, side))
        return graph.cast(tiles, torch.float32)


class _Tower:
    """Writes ConvNeXt's stem, stages and blocks, and LLaVA's projector."""

    def __init__(
        self, graph: GraphWriter, shape: MagmaShape, source: Source, numbers: NumberFormat
    ) -> None:
        self._graph, self._shape, self._source = graph, shape, source
        self._numbers = numbers

    def see(self, pixels: str) -> str:
        """Features (tiles, H, W, C) of normalised tiles (tiles, 3, S, S)."""
        vision, graph = self._shape.vision, self._graph
        made = self._convolution(pixels, f"{TRUNK}stem.0", vision.patch)
        features = self._norm(graph.op("Transpose", made, perm=[0, 2, 3, 1]), f"{TRUNK}stem.1")
        for index, depth in enumerate(vision.depths):
            stage = f"{TRUNK}stages.{index}."
            if index:
                normed = self._norm(features, f"{stage}downsample.0")
                turned = graph.op("Transpose", normed, perm=[0, 3, 1, 2])
                made = self._convolution(turned, f"{stage}downsample.1", 2)
                features = graph.op("Transpose", made, perm=[0, 2, 3, 1])
            for block in range(depth):
                features = self._block(features, f"{stage}blocks.{block}.")
        return features

    def project(self, features: str, tiles: tuple[int, int]) -> str:
        """Image tokens (1, N, D), row by row of all tiles together."""
        graph, (rows, columns), side = self._graph, tiles, self._shape.vision.grid
        width = self._shape.text.width
        inner = self._linear(features, f"{PROJECTOR}proj.0")
        made = self._linear(graph.op("Gelu", inner), f"{PROJECTOR}proj.2")
        made = graph.op("Reshape", made, graph.numbers(rows, columns, side, side, width))
        made = graph.op("Transpose", made, perm=[0, 2, 1, 3, 4])
        made = graph.op("Reshape", made, graph.numbers(rows * side, columns * side, width))
        if self._shape.row_separator:
            separator = self._read(ROW_SEPARATOR).reshape(1, 1, width)
            ends = graph.weight(separator.expand(rows * side, 1, width))
            made = graph.op("Concat", made, ends, axis=1)
        return graph.op("Reshape", made, graph.numbers(1, -1, width))

    def _block(self, features: str, name: str) -> str:
        graph = self._graph
        turned = graph.op("Transpose", features, perm=[0, 3, 1, 2])
        mixed = self._convolution(turned, f"{name}conv_dw", 1)
        normed = self._norm(graph.op("Transpose", mixed, perm=[0, 2, 3, 1]), f"{name}norm")
        inner = graph.op("Gelu", self._linear(normed, f"{name}mlp.fc1"))
        made = self._linear(inner, f"{name}mlp.fc2")
        scaled = graph.op("Mul", made, graph.weight(self._read(f"{name}gamma")))
        return graph.op("Add", features, scaled)

    def _convolution(self, given: str, name: str, stride: int) -> str:
        graph, compute = self._graph, self._graph.compute
        # CUDA's provider has those of bfloat16 in ONNX Runtime's latest releases alone.
        inner = torch.float32 if compute == torch.bfloat16 else compute
        weight = self._read(f"{name}.weight")
        parts = (graph.weight(weight), graph.weight(self._read(f"{name}.bias")))
        kernel = weight.shape[-1]
        edge = kernel // 2 if stride == 1 else 0
        made = graph.op(
            "Conv",
            *(graph.cast(part, compute, inner) for part in (given, *parts)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[edge] * 4,
            group=weight.shape[0] if weight.shape[1] == 1 else 1,
        )
        return graph.cast(made, inner)

    def _norm(self, given: str, name: str) -> str:
        scale, shift = (self._graph.weight(self._read(f"{name}.{p}")) for p in ("weight", "bias"))
        eps = self._shape.vision.eps
        return self._graph.op("LayerNormalization", given, scale, shift, axis=-1, epsilon=eps)

    def _linear(self, given: str, name: str) -> str:
        numbers = self._numbers
        weight = product_weight(
            self._source, f"{name}.weight", numbers.vision_bits, numbers.weights
        )
        return self._graph.linear(given, weight, self._read(f"{name}.bias"))

    def _read(self, name: str) -> Tensor:
        return self._source.tensor(name, self._graph.compute)
