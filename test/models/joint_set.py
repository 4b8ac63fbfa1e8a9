# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set of a hobby arm's joints, with what such sets have: degrees, a gripper from 0
to 100, names with ``.pos`` in an order that is not the robot's, and a joint that never moves."""

import runpy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_PARTS = runpy.run_path(str(Path(__file__).parents[1] / "episodes" / "conftest.py"))

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_pitch", "wrist_roll")
GOAL = (0.1, 0.45, 1.9, 0.79, 0.3)
"""Where every episode leads the simulated arm [rad]; the shoulder's pan is there from the start."""

MOVED = (0.0, 0.05, -0.08, 0.06, 0.1)
"""How far the joints move in an episode [rad]."""

NAMES = {
    "observation.state": [f"{joint}.pos" for joint in (*JOINTS, "gripper")],
    "action": [f"{joint}.pos" for joint in ("gripper", *reversed(JOINTS))],
}
SPACE = {
    "kind": "joint_position",
    "dims": [
        {"name": "gripper", "open": 100.0, "closed": 0.0},
        *({"name": joint, "unit": "rad"} for joint in reversed(JOINTS)),
    ],
}


@dataclass
class JointSet(_PARTS["Elsewhere"]):
    """What :class:`Elsewhere` writes, of joints."""

    lengths: tuple = (12, 12, 12)
    names: dict = field(default_factory=lambda: dict(NAMES))
    camera: str = "observation.images.front"
    changed: dict = field(default_factory=dict)  # by column, what makes it of episode and column

    def columns(self, episode):
        columns = super().columns(episode)
        share = np.linspace(0.0, 1.0, self.lengths[episode] + 1)[:, None]
        joints = np.degrees(np.array(GOAL) - (1.0 - share) * np.array(MOVED))
        opening = 100.0 * (1.0 - share)
        states = np.concatenate([joints, opening], axis=1).astype(np.float32)
        columns[self.state] = states[:-1, : len(self.names[self.state])]
        columns[self.action] = states[1:, ::-1][:, : len(self.names[self.action])]
        for name, change in self.changed.items():
            columns[name] = change(episode, columns[name])
        return columns


def network(**changes):
    """The smallest network for the set."""
    view = {"name": "scene", "camera": "front", "height": 16, "width": 16}
    return {
        "cameras": [{"name": "front", "height": 16, "width": 16}],
        "views": [view | {"depths": [1, 1], "channels": [8, 16]}],
        "proprioception": [*(f"{joint}.position" for joint in JOINTS), "gripper_opening"],
        "max_tokens": 8,
        "chunk_length": 8,
        "width": 16,
        "heads": 2,
        "hidden": 32,
        "grounding": 0,
        "action": SPACE,
        "stages": [{"look": ["scene"]}, {"think": 1}, {"think": 1}],
    } | changes


def data(folder, **changes):
    """The part of a recipe that names the set."""
    return {"folder": str(folder), "lerobot": True, "rate": 10, "degrees": True} | changes


def recipe(folder, **changes):
    """A whole recipe."""
    return {
        "name": "joints",
        "description": "A policy for tests.",
        "seed": 0,
        "network": network(),
        "data": data(folder),
        "optimiser": {"steps": 200, "batch": 8, "warm_up": 10},
        "checkpoint_every": 200,
    } | changes
