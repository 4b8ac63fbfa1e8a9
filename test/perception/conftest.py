# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An arm on a table, and a camera that sees it."""

from dataclasses import dataclass

import numpy as np
import pytest

from magma_ros.perception.body import Body
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.shapes import PlacedShapes, box
from magma_ros.perception.synthetic import at, depth_image, looking
from magma_ros.perception.urdf import Description, read_description
from magma_ros.share import share_file

HOME = {
    "shoulder_pan": 0.0,
    "shoulder_lift": 0.1,
    "elbow": 1.9,
    "wrist_pitch": 1.14,
    "wrist_roll": 0.0,
    "left_finger": 0.03,
    "right_finger": 0.03,
}
INTRINSICS = Intrinsics(320, 240, 277.0, 277.0, 159.5, 119.5)
TABLE = at(box(np.eye(4), [3.0, 3.0, 0.1]), [0.5, 0.0, -0.05])


@dataclass(frozen=True)
class Scene:
    """An arm on a table, seen by a camera."""

    body: Body
    camera: np.ndarray

    def solids(self, joints=None) -> PlacedShapes:
        return self.body.solids(self.body.poses(joints or HOME))

    def picture(self, *others, joints=None, camera=None) -> np.ndarray:
        robot = self.solids(joints)
        drawn = [TABLE, *zip(robot.shapes, robot.poses, strict=True), *others]
        return depth_image(drawn, self.camera if camera is None else camera, INTRINSICS)


@pytest.fixture(scope="session")
def nano_arm() -> Description:
    return read_description(share_file("sim", "robots", "nano_arm.urdf").read_text())


@pytest.fixture(scope="session")
def scene(nano_arm) -> Scene:
    body = Body(nano_arm, "base_link", "tcp", ("forearm", "wrist", "hand", "left_pad", "right_pad"))
    return Scene(body, looking([1.1, 0.5, 0.7], [0.35, 0.0, 0.25]))


@pytest.fixture(scope="session")
def home() -> dict[str, float]:
    return dict(HOME)


@pytest.fixture(scope="session")
def intrinsics() -> Intrinsics:
    return INTRINSICS
