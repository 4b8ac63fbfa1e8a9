# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counts in simulated scenes how many things on the table get exactly one mark: docs/marks.md.

Run it as ``python docs/measure_marks.py [SCENES]``, in the source tree.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.perception.proposals import Proposal, ProposalConfig, View, propose
from magma_ros.sim.simulation import Simulation
from magma_ros.types import TRACE_GRID

DEPTH_SIZE = (320, 240)
"""Width and height of the depth image [px]."""

REACH = 0.04
"""Farthest that what a mark's point shows may lie from the middle of the thing [m]: its corners are
no farther."""

CONFIG = ProposalConfig(lower=(0.24, -0.34), upper=(0.68, 0.34))


def look(simulation: Simulation) -> View:
    """What the front camera sees."""
    mount = simulation.mount("front")
    return View(
        depth=simulation.depth("front", *DEPTH_SIZE),
        depth_matrix=simulation.camera_matrix("front", DEPTH_SIZE),
        picture=simulation.image("front"),
        picture_matrix=simulation.camera_matrix("front"),
        position=mount.position,
        rotation=Rotation.from_quat(mount.quaternion).as_matrix(),
    )


def marked(simulation: Simulation, view: View, proposal: Proposal) -> str:
    """Which object the point of a proposal lies on, or '' for none."""
    height, width = view.picture.shape[:2]
    pixel = np.array(proposal.point) * [width, height] / TRACE_GRID - 0.5
    onto = view.depth_matrix @ np.linalg.inv(view.picture_matrix)
    column, row, _ = np.rint(onto @ [*pixel, 1.0]).astype(int)
    shown = view.points()[row, column]
    away = {
        name: float(np.linalg.norm(shown - simulation.object_position(name)))
        for name in simulation.world.object_names
    }
    nearest = min(away, key=lambda name: away[name])
    return nearest if away[nearest] <= REACH else ""


def measure(task: str, split: str, seed: int) -> tuple[int, int, int, float]:
    """Objects, those with exactly one mark, marks on nothing, and time spent [s], of one scene."""
    simulation = Simulation(task, split=split, seed=seed)
    try:
        view = look(simulation)
        begun = time.perf_counter()
        proposals = propose(view, CONFIG)
        spent = time.perf_counter() - begun
        marks = Counter(marked(simulation, view, proposal) for proposal in proposals)
        once = sum(marks[name] == 1 for name in simulation.world.object_names)
        return len(simulation.world.object_names), once, marks[""], spent
    finally:
        simulation.close()


def main(scenes: int) -> None:
    """Print a row for each split."""
    for split in ("seen", "varied", "shift"):
        counts = [measure("pick", split, 10_000 + seed) for seed in range(scenes)]
        objects, once, stray = (sum(column) for column in list(zip(*counts, strict=True))[:3])
        middle = 1e3 * float(np.median([spent for *_, spent in counts]))
        print(
            f"{split}: {scenes} scenes, {objects} objects, {once} with exactly one mark "
            f"({once / objects:.1%}), {stray} marks on nothing, {middle:.1f} ms"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
