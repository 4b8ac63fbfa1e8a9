# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is varied at training time: light, colour, the cameras' direction, measured values."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from magma_ros.models.data.config import AugmentationConfig, TiltConfig
from magma_ros.models.device import transfer
from magma_ros.models.network.losses import Batch, Labels
from magma_ros.models.network.network import Inputs


def augment(
    batch: Batch,
    config: AugmentationConfig,
    std: Tensor,
    generator: torch.Generator,
    *,
    trace_camera: str | None = None,
    point_camera: str | None = None,
) -> Batch:
    """A varied copy; images become float on 0 to 255.

    Args:
        batch: The batch as recorded.
        config: How much is varied.
        std: (P,) standard deviation of the measured values.
        generator: Source of randomness, on the CPU.
        trace_camera: Camera in whose image the traces lie.
        point_camera: Camera in whose image the points lie.
    """
    inputs, labels = batch
    noise = torch.randn(inputs.proprioception.shape, generator=generator)
    noise = transfer(noise, inputs.proprioception.device)
    images = {name: _vary(image, config, generator) for name, image in inputs.images.items()}
    if config.tilt is not None:
        turn = transfer(_draw_turns(len(noise), config.tilt, generator), noise.device)
        images, labels = _tilt(images, labels, turn, config.tilt, trace_camera)
        if inputs.point is not None and point_camera == config.tilt.camera:
            inputs = inputs._replace(point=_turn_mark(inputs, turn, config.tilt))
    if config.shift:
        images, labels = _shift(images, labels, config.shift, generator)
    measured = inputs.proprioception + config.proprioception * std * noise
    return Batch(inputs._replace(images=images, proprioception=measured), labels)


def _shift(
    images: dict[str, Tensor], labels: Labels, farthest: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], Labels]:
    """Shift every image by whole pixels, and the labels in it with it; border pixels repeat."""
    shifted, pixels = {}, dict(labels.pixels)
    for name, image in images.items():
        count, height, width = image.shape[:3]
        by = torch.randint(-farthest, farthest + 1, (count, 2), generator=generator)
        by = transfer(by, image.device)
        columns = torch.arange(width, device=image.device) - by[:, :1]
        rows = torch.arange(height, device=image.device) - by[:, 1:]
        chosen = torch.arange(count, device=image.device)[:, None, None]
        shifted[name] = image[
            chosen,
            rows.clamp(0, height - 1)[:, :, None],
            columns.clamp(0, width - 1)[:, None, :],
        ]
        if name in pixels:
            share = torch.stack([by[:, 0] / width, by[:, 1] / height], dim=-1)
            pixels[name] = pixels[name] + share[:, None]
    return shifted, labels._replace(pixels=pixels)


def turn_image(image: Tensor, turn: Tensor, field_of_view: float) -> Tensor:
    """The image of a camera turned about its centre; border pixels are repeated outwards.

    Args:
        image: (B, H, W, 3) float.
        turn: (B, 3, 3) rotation from directions before the turn to those after it; the
            camera looks along z, x is right and y is down.
        field_of_view: Vertical [deg].
    """
    height, width = image.shape[1:3]
    rows = (torch.arange(height, device=image.device) + 0.5) / height
    columns = (torch.arange(width, device=image.device) + 0.5) / width
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    after = torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(len(image), -1, -1)
    before = turn_points(after, turn.transpose(1, 2), field_of_view, width / height)
    grid = (2.0 * before - 1.0).unflatten(1, (height, width))
    turned = functional.grid_sample(
        image.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=False
    )
    return turned.permute(0, 2, 3, 1)


def turn_points(points: Tensor, turn: Tensor, field_of_view: float, aspect: float = 1.0) -> Tensor:
    """Where points of an image lie after a turn of the camera.

    Args:
        points: (B, N, 2) column and row, 0 to 1 across the image.
        turn: As in :func:`turn_image`.
        field_of_view: Vertical [deg].
        aspect: Width of the image in units of its height.
    """
    tangent = math.tan(math.radians(field_of_view) / 2.0)
    scale = transfer(torch.tensor([tangent * aspect, tangent]), points.device)
    directions = functional.pad((2.0 * points - 1.0) * scale, (0, 1), value=1.0)
    turned = directions @ turn.transpose(1, 2)
    return (turned[..., :2] / turned[..., 2:].clamp_min(1e-3) / scale + 1.0) / 2.0


def _tilt(
    images: dict[str, Tensor],
    labels: Labels,
    turn: Tensor,
    config: TiltConfig,
    trace_camera: str | None,
) -> tuple[dict[str, Tensor], Labels]:
    """Turn the camera, and with it every label that lies in its image."""
    name = config.camera
    height, width = images[name].shape[1:3]

    def moved(points: Tensor) -> Tensor:
        flat = points.flatten(1, -2)
        return turn_points(flat, turn, config.field_of_view, width / height).reshape(points.shape)

    images = images | {name: turn_image(images[name], turn, config.field_of_view)}
    labels = labels._replace(pixels=labels.pixels | {name: moved(labels.pixels[name])})
    if trace_camera == name:
        labels = labels._replace(traces=moved(labels.traces))
    return images, labels


def _turn_mark(inputs: Inputs, turn: Tensor, config: TiltConfig) -> Tensor:
    """The points after a turn of their camera; those that are none stay zeros."""
    assert inputs.point is not None
    height, width = inputs.images[config.camera].shape[1:3]
    place, present = inputs.point[:, None, :2], inputs.point[:, 2:]
    moved = turn_points(place, turn, config.field_of_view, width / height).squeeze(1)
    return torch.cat([moved.clamp(0.0, 1.0) * present, present], dim=-1)


def _draw_turns(count: int, config: TiltConfig, generator: torch.Generator) -> Tensor:
    """(B, 3, 3) rotations of up to so many degrees about any axis; no turn for the others."""
    axis = functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    angle = math.radians(config.degrees) * torch.rand(count, 1, generator=generator)
    chosen = torch.rand(count, 1, generator=generator) < config.share
    x, y, z = (axis * angle * chosen).unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.matrix_exp(skew)


def _vary(image: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Draw a brightness, contrast and tint for every image of the batch."""
    batch = len(image)

    def around_one(amount: float, channels: int) -> Tensor:
        change = 2.0 * torch.rand(batch, 1, 1, channels, generator=generator) - 1.0
        return transfer(1.0 + amount * change, image.device)

    pixels = image.float()
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    pixels = (pixels - mean) * around_one(config.contrast, 1) + mean
    gain = around_one(config.brightness, 1) * around_one(config.colour, 3)
    return (pixels * gain).clamp(0.0, 255.0)
