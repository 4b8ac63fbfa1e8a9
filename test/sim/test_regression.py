# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scenes that the shipped policy is trained and judged in stay what they are.

Not to the last bit: numpy and libm choose their kernels by the processor, so poses differ by some
1e-16 from one machine to another, and now and then a pixel on an edge with them.

``python test/sim/test_regression.py`` writes the figures anew, for a change that is meant.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS, Simulation
from magma_ros.sim.suite import load_suite

FIGURES = Path(__file__).with_name("regression.json")
STEPS = 10
POSE_TOLERANCE = 1e-4
"""Greatest difference of a measurement, [m] or a sine or cosine."""
COLOUR_TOLERANCE = 0.5
"""Greatest difference of the mean colour of a tile, of 255: a few edge pixels of some thousand."""
SEEDS = {"seen": (0, TRAINING_SEEDS + 1), "shift": (0,)}
SCENES = [
    (suite, task, split, seed)
    for suite in ("tabletop", "moving")
    for task, (split, seeds) in product(load_suite(suite).tasks, SEEDS.items())
    for seed in seeds
]


def tiles(image) -> list[float]:
    """Mean colours of 4 x 4 tiles of an image."""
    rows = [part for band in np.array_split(image, 4) for part in np.array_split(band, 4, axis=1)]
    return np.concatenate([part.mean(axis=(0, 1)) for part in rows]).round(2).tolist()


def figures(simulation) -> dict:
    """What the policy is given at the start and after the expert's first steps."""
    expert, looks = Expert(), []
    for step in range(STEPS + 1):
        if step in (0, STEPS):
            observation = simulation.observation()
            pixels = {name: tiles(image) for name, image in sorted(observation.images.items())}
            state = np.asarray(observation.proprioception, float).round(6).tolist()
            looks.append({"state": state, "pixels": pixels})
        action = expert.act(simulation)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
    words = [simulation.instruction, simulation.swapped_instruction()]
    return {"words": words, "looks": looks}


@pytest.mark.parametrize(("suite", "task", "split", "seed"), SCENES)
def test_scenes_and_trajectories_never_change(simulate, suite, task, split, seed):
    known = json.loads(FIGURES.read_text())[f"{suite}/{task}/{split}/{seed}"]
    found = figures(simulate(task, suite=suite, split=split, seed=seed))
    assert found["words"] == known["words"]
    for ours, theirs in zip(found["looks"], known["looks"], strict=True):
        np.testing.assert_allclose(ours["state"], theirs["state"], atol=POSE_TOLERANCE, rtol=0)
        assert ours["pixels"].keys() == theirs["pixels"].keys()
        for camera, colours in theirs["pixels"].items():
            np.testing.assert_allclose(
                ours["pixels"][camera], colours, atol=COLOUR_TOLERANCE, rtol=0, err_msg=camera
            )


def test_every_task_of_every_split_is_pinned():
    assert set(json.loads(FIGURES.read_text())) == {"/".join(map(str, s)) for s in SCENES}


if __name__ == "__main__":
    written = {}
    for suite, task, split, seed in SCENES:
        world = Simulation(task, suite=suite, split=split, seed=seed)
        written[f"{suite}/{task}/{split}/{seed}"] = figures(world)
        world.close()
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in written.items()]
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
