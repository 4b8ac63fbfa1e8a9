# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes from a depth image to the clearance, and how much of a core at a rate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from magma_ros.evaluation.report.tables import Grid
from magma_ros.perception.body import Body
from magma_ros.perception.clearance import ClearanceConfig, ClearanceEstimator, RobotState
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.shapes import box, sphere
from magma_ros.perception.synthetic import Placed, at, depth_image, looking
from magma_ros.perception.urdf import read_description
from magma_ros.share import share_file
from magma_ros.types import FloatArray

FORMAT = "magma-perception-bench/1"
"""Mark of the JSON."""

RATE = 15.0
"""Rate at which a depth camera is to be followed [Hz]."""

NOISE = 0.002
"""Standard deviation of the noise on depth [m]."""

_POSES = 12
"""Different pictures, which are seen in turns."""

_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class PerceptionBench:
    """What came out.

    Attributes:
        width: Columns of the depth images.
        height: Rows.
        pictures: How many were measured.
        p50: Median duration [s].
        p95: Duration that one in twenty exceeds [s].
        core_share: Share of one core at :data:`RATE`, by the processor time of all threads.
        points: Mean number of points that were neither robot nor work.
    """

    width: int
    height: int
    pictures: int
    p50: float
    p95: float
    core_share: float
    points: float

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"format": FORMAT, "rate_hz": RATE, **asdict(self)}

    def grid(self) -> Grid:
        """For a terminal."""
        cells = (
            f"{self.width} x {self.height}",
            f"{self.pictures}",
            f"{1e3 * self.p50:.1f}",
            f"{1e3 * self.p95:.1f}",
            f"{self.core_share:.0%}",
            f"{self.points:.0f}",
        )
        header = ("depth image", "pictures", "p50 ms", "p95 ms", f"core at {RATE:.0f} Hz", "points")
        return Grid("From depth to clearance", header, [cells])


def run_perception_bench(pictures: int, width: int, height: int) -> PerceptionBench:
    """Measure pictures of the simulated arm between obstacles, one after the other.

    Args:
        pictures: How many.
        width: Columns of the images.
        height: Rows.
    """
    body = _arm()
    focal = 0.87 * width
    camera = Intrinsics(width, height, focal, focal, 0.5 * width - 0.5, 0.5 * height - 0.5)
    eye = looking((1.1, 0.5, 0.7), (0.35, 0.0, 0.25))
    scenes = [(joints, _seen(body, joints, eye, camera, i)) for i, joints in enumerate(_way())]
    estimator = ClearanceEstimator(ClearanceConfig(), body)
    durations, points = [], 0
    for index in range(-_WARM_UP, pictures):
        if index == 0:
            began = time.process_time()
        joints, depth = scenes[index % len(scenes)]
        start = time.perf_counter()
        reading = estimator.update(depth, camera, eye, RobotState(joints), 1.0 + index / RATE)
        if index >= 0:
            durations.append(time.perf_counter() - start)
            points += len(reading.points)
    share = (time.process_time() - began) / pictures * RATE
    p50, p95 = (float(p) for p in np.percentile(durations, (50, 95)))
    return PerceptionBench(width, height, pictures, p50, p95, share, points / pictures)


def _arm() -> Body:
    urdf = share_file("sim", "robots", "nano_arm.urdf").read_text(encoding="utf-8")
    guarded = ("forearm", "wrist", "hand", "left_pad", "right_pad")
    return Body(read_description(urdf), "base_link", "tcp", guarded)


def _way() -> list[Mapping[str, float]]:
    """Joint positions of a slow sweep with the hand down."""
    return [
        {
            "shoulder_pan": pan,
            "shoulder_lift": 0.1,
            "elbow": 1.9,
            "wrist_pitch": 1.14,
            "wrist_roll": pan,
            "left_finger": 0.03,
            "right_finger": 0.03,
        }
        for pan in np.linspace(-0.4, 0.4, _POSES).tolist()
    ]


def _seen(
    body: Body, joints: Mapping[str, float], eye: FloatArray, camera: Intrinsics, seed: int
) -> FloatArray:
    solids = body.solids(body.poses(joints))
    things: list[Placed] = [
        at(box(np.eye(4), (3.0, 3.0, 0.1)), (0.5, 0.0, -0.05)),
        at(box(np.eye(4), (0.05, 0.05, 0.3)), (0.5, -0.25, 0.15)),
        at(box(np.eye(4), (0.4, 0.02, 0.25)), (0.45, 0.3, 0.125)),
        at(sphere(np.eye(4), 0.06), (0.55, 0.05, 0.3)),
        *zip(solids.shapes, solids.poses, strict=True),
    ]
    depth = depth_image(things, eye, camera)
    noise = np.random.default_rng(seed).normal(0.0, NOISE, depth.shape)
    noisy: FloatArray = (depth + noise).astype(np.float32)
    return noisy
