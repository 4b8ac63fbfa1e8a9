# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Floating-point operations of the large Magma's parts, twice the multiply-adds of their products.

What a bundle declares and what a plan predicts are counted here. Norms, activations and the softmax
are left out: they are less than a hundredth.
"""

from __future__ import annotations

from magma_ros.models.magma.layout import MagmaShape, TextShape
from magma_ros.spaces import ACTION_DIMS

ACTION_TOKENS = len(ACTION_DIMS)

HEAD_ROWS = 257
"""Rows of an exit's head: the 256 action tokens and the one that ends a turn."""


def tower_flops(shape: MagmaShape) -> int:
    """Of the vision tower, on one tile."""
    vision = shape.vision
    side = vision.image_size // vision.patch
    products = side**2 * 3 * vision.patch**2 * vision.widths[0]
    for index, (depth, width) in enumerate(zip(vision.depths, vision.widths, strict=True)):
        if index:
            side //= 2
            products += side**2 * 4 * vision.widths[index - 1] * width
        block = width * (vision.kernel**2 + 2 * vision.expansion * width)
        products += depth * side**2 * block
    return 2 * products


def projector_flops(shape: MagmaShape) -> int:
    """Of the projector, on one tile."""
    features, width = shape.vision.widths[-1], shape.text.width
    return 2 * shape.vision.grid**2 * width * (features + width)


def layer_weights(text: TextShape) -> int:
    """Weights of a decoder layer's products."""
    return text.width * (2 * text.query_width + 2 * text.kv_width + 3 * text.hidden)


def layer_flops(text: TextShape, tokens: int, past: int) -> int:
    """Of a decoder layer over ``tokens`` that attend to each other and to ``past`` more."""
    attention = 2 * text.query_width * (past + tokens)
    return 2 * tokens * (layer_weights(text) + attention)


def pass_flops(text: TextShape, layers: int, past: int) -> int:
    """Of one pass over the tokens of an action, after ``past`` others, and the exit's head."""
    head = 2 * ACTION_TOKENS * HEAD_ROWS * text.width
    return layers * layer_flops(text, ACTION_TOKENS, past) + head
