# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is varied at training time: light and colour of the images, noise on measured values."""

from __future__ import annotations

import torch
from torch import Tensor

from magma_ros.models.config import AugmentationConfig
from magma_ros.models.network import Inputs


def augment(
    inputs: Inputs, config: AugmentationConfig, std: Tensor, generator: torch.Generator
) -> Inputs:
    """A varied copy; images become float on 0 to 255.

    Args:
        inputs: The batch as recorded.
        config: How much is varied.
        std: (P,) standard deviation of the measured values.
        generator: Source of randomness, on the CPU.
    """
    noise = torch.randn(inputs.proprioception.shape, generator=generator)
    noise = noise.to(inputs.proprioception.device)
    return Inputs(
        images={name: _vary(image, config, generator) for name, image in inputs.images.items()},
        proprioception=inputs.proprioception + config.proprioception * std * noise,
        tokens=inputs.tokens,
    )


def _vary(image: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Another brightness, contrast and tint for every image of the batch."""
    batch = len(image)

    def around_one(amount: float, channels: int) -> Tensor:
        change = 2.0 * torch.rand(batch, 1, 1, channels, generator=generator) - 1.0
        return (1.0 + amount * change).to(image.device)

    pixels = image.float()
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    pixels = (pixels - mean) * around_one(config.contrast, 1) + mean
    gain = around_one(config.brightness, 1) * around_one(config.colour, 3)
    return (pixels * gain).clamp(0.0, 255.0)
