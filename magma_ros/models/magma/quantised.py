# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of products in blocks that share a scale and a zero point (``MatMulNBits``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    DefaultWeightOnlyQuantizer,
)
from torch import Tensor

BLOCK = 32
"""Weights that share a scale in quantised products; the smallest blocks lose the least."""

Bits = Literal[4, 8]


@dataclass(frozen=True, slots=True)
class Quantised:
    """A weight (out, in) as ``MatMulNBits`` takes it, with B blocks of :data:`BLOCK` inputs.

    Attributes:
        size: Outputs and inputs.
        bits: That each weight keeps.
        packed: (out, B, BLOCK bits / 8) uint8, two weights of 4 bits in each.
        scales: (out, B) float32.
        zeros: (out, B bits / 8 rounded up) uint8, what stands for zero; packed likewise.
    """

    size: tuple[int, int]
    bits: Bits
    packed: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float32]
    zeros: npt.NDArray[np.uint8]


def quantise(weight: Tensor, bits: Bits) -> Quantised:
    """Round a weight (out, in) of any floating type, with ONNX Runtime's own tool."""
    wide = weight.T.contiguous().to(torch.float32).numpy()
    config = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=False, bits=bits)
    packed, scales, zeros = DefaultWeightOnlyQuantizer(config).qbits_block_quant(wide)
    return Quantised((wide.shape[1], wide.shape[0]), bits, packed, scales, zeros)
