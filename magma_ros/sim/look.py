# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the appearance of a scene: light, pattern of the table, and pose of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from magma_ros.sim.layout import Layout
from magma_ros.sim.schema import Colour, SimulationError
from magma_ros.sim.splits import CameraShift, LightSpec, PatternSpec, SplitSpec
from magma_ros.sim.suite import CameraSpec
from magma_ros.types import ImageArray

Vector = npt.NDArray[np.float64]

TABLE_SIZE = (1.20, 1.30)
"""Length and width of the table [m]."""
TEXTURE_SIZE = 256
"""Pixels along either side of the table's pattern."""
CAMERA_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Look:
    """The looks of one scene.

    Attributes:
        light: The light.
        table: Colour of the table.
        pattern: Painted over the table instead, (H, W, 3) uint8 RGB, or None.
        front_camera: The policy's fixed camera.
    """

    light: LightSpec
    table: Colour
    pattern: ImageArray | None
    front_camera: CameraSpec


def draw_look(
    camera: CameraSpec, split: SplitSpec, layout: Layout, rng: np.random.Generator
) -> Look:
    """Draw what a split leaves open.

    Args:
        camera: The front camera in its place.
        split: How its scenes look.
        layout: The scene, which must stay in the camera's image.
        rng: Source of randomness.

    Raises:
        SimulationError: The whole scene is hardly ever in the image.
    """
    light, spec = split.light, split.pattern
    towards = _random_turn(light.turn, rng).apply(light.direction)
    return Look(
        light=light.model_copy(update={"direction": _triple(towards)}),
        table=split.table,
        pattern=None if spec is None else _paint(split.table, spec, rng),
        front_camera=_shifted(camera, split.camera, _landmarks(layout), rng),
    )


def _landmarks(layout: Layout) -> list[Vector]:
    """Places on the table that the task is about, (3,) each [m]."""
    if layout.cabinet is not None:
        return [np.array([*layout.cabinet.pose[:2], 0.0])]
    spots = [layout.zone, layout.tray, *(at.pose[:2] for at in layout.objects.values())]
    return [np.array([*spot, 0.0]) for spot in spots]


def _shifted(
    camera: CameraSpec, shift: CameraShift, landmarks: Sequence[Vector], rng: np.random.Generator
) -> CameraSpec:
    """The camera with its eye moved within a ball and its view turned about any axis."""
    if not shift.move and not shift.turn:
        return camera
    eye, look_at = np.array(camera.eye), np.array(camera.look_at)
    for _ in range(CAMERA_TRIES):
        moved = eye + shift.move * np.cbrt(rng.random()) * _random_direction(rng)
        turn = _random_turn(shift.turn, rng)
        places = {
            "eye": _triple(moved),
            "look_at": _triple(moved + turn.apply(look_at - eye)),
            "up": _triple(turn.apply(camera.up)),
        }
        shifted = camera.model_copy(update=places)
        if all(_sees(shifted, landmark) for landmark in landmarks):
            return shifted
    raise SimulationError(
        "the front camera loses sight of the scene in nearly every place that the split allows; "
        "give camera a smaller move or turn"
    )


def _sees(camera: CameraSpec, point: Vector) -> bool:
    """Whether a point lies within the picture of a camera that is fixed in the world."""
    ahead = np.subtract(camera.look_at, camera.eye)
    right = np.cross(ahead, camera.up)
    axes = [axis / np.linalg.norm(axis) for axis in (ahead, right, np.cross(right, ahead))]
    depth, x, y = np.array(axes) @ (point - camera.eye)
    half = depth * np.tan(np.radians(camera.field_of_view) / 2)
    return bool(abs(x) <= half * camera.width / camera.height and abs(y) <= half)


def _random_turn(largest: float, rng: np.random.Generator) -> Rotation:
    """A turn about any axis by up to an angle [deg]."""
    return Rotation.from_rotvec(np.radians(rng.uniform(0.0, largest)) * _random_direction(rng))


def _random_direction(rng: np.random.Generator) -> Vector:
    """A unit vector, each direction equally likely."""
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _paint(colour: Colour, spec: PatternSpec, rng: np.random.Generator) -> ImageArray:
    """A pattern of two colours over the table: stripes or squares, turned, or spots."""
    kind, size = str(rng.choice(spec.kinds)), rng.uniform(*spec.size)
    angle = rng.uniform(0.0, np.pi)
    x, y = np.meshgrid(*(np.linspace(0.0, side, TEXTURE_SIZE) for side in TABLE_SIZE))
    if kind == "spots":
        coarse = rng.random([round(side / size) for side in TABLE_SIZE])
        share = cv2.resize(coarse, x.shape, interpolation=cv2.INTER_CUBIC) > 0.5
    else:
        share = np.floor((x * np.cos(angle) + y * np.sin(angle)) / size) % 2 == 1
        if kind == "squares":
            share ^= np.floor((y * np.cos(angle) - x * np.sin(angle)) / size) % 2 == 1
    image = np.where(share[..., None], spec.colour, colour)
    return np.asarray((255.0 * image).round(), np.uint8)


def _triple(vector: Vector) -> tuple[float, float, float]:
    x, y, z = map(float, vector)
    return x, y, z
