# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations on the device that trains: a batch is gathered there, and nothing is sent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.device import transfer
from magma_ros.models.network.losses import Batch

SHARE = 0.5
"""Largest share of the device's free memory that demonstrations take; the rest is the network's."""


class Resident:
    """All rows of some demonstrations as tensors of one device.

    Args:
        data: The demonstrations.
        statistics: What their actions are normalised by.
        device: Where they are kept.
    """

    def __init__(self, data: Demonstrations, statistics: Statistics, device: torch.device) -> None:
        columns = data.with_images({}).batch(np.arange(len(data)), statistics)
        columns = columns.each(lambda column: column.to(device))
        images = {name: _on(device, blocks) for name, blocks in data.images.items()}
        self._all = Batch(columns.inputs._replace(images=images), columns.labels)
        self._device = device

    @staticmethod
    def fits(data: Demonstrations, device: torch.device) -> bool:
        """Whether the device is a GPU with room for them."""
        if device.type != "cuda":
            return False
        needed = sum(block.nbytes for blocks in data.images.values() for block in blocks)
        return needed < SHARE * torch.cuda.mem_get_info(device)[0]

    def batch(self, rows: npt.NDArray[np.int64]) -> Batch:
        """As :meth:`Demonstrations.batch`, on the device."""
        chosen = transfer(torch.from_numpy(rows), self._device)
        return self._all.each(lambda column: column[chosen])


def _on(device: torch.device, blocks: tuple[npt.NDArray[np.uint8], ...]) -> Tensor:
    """Blocks one after the other, without a second copy on the way."""
    shape = (sum(map(len, blocks)), *blocks[0].shape[1:])
    joined = torch.empty(shape, dtype=torch.uint8, device=device)
    begin = 0
    for block in blocks:
        joined[begin : begin + len(block)] = torch.from_numpy(block)
        begin += len(block)
    return joined
