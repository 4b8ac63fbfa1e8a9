# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where networks are trained, and how a batch gets there."""

from __future__ import annotations

import torch
from torch import Tensor


def training_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def transfer(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; neither the caller nor the device's earlier work waits for the copy.

    A copy from pageable memory waits for everything that the device was told before.
    """
    if device.type != "cuda" or tensor.device.type == "cuda" or not tensor.numel():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
