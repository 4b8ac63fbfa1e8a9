# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scenes that the shipped policy is trained and judged in stay what they are, bit for bit."""

import hashlib
import platform

import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS

DIGESTS = {
    ("tabletop", "reach", "seen", 0): "e1b82db5afbfa7eb",
    ("tabletop", "reach", "seen", TRAINING_SEEDS + 1): "bbd00c80f4b9d50d",
    ("tabletop", "push", "seen", 0): "acd4a60171b1b4c8",
    ("tabletop", "push", "seen", TRAINING_SEEDS + 1): "d15311ac677b3d9a",
    ("tabletop", "pick", "seen", 0): "e6816fba4d7580ee",
    ("tabletop", "pick", "seen", TRAINING_SEEDS + 1): "1f255cdc00270d89",
    ("tabletop", "place", "seen", 0): "5caa63b24ab3ee01",
    ("tabletop", "place", "seen", TRAINING_SEEDS + 1): "b7606d434989bf7d",
    ("tabletop", "stack", "seen", 0): "60d70e4ae3cd33e7",
    ("tabletop", "stack", "seen", TRAINING_SEEDS + 1): "cbe5e3260c1aa0bf",
    ("tabletop", "open-drawer", "seen", 0): "c6434f8c0f975d26",
    ("tabletop", "open-drawer", "seen", TRAINING_SEEDS + 1): "8d11528a8aeaf1b4",
    ("moving", "track", "seen", 0): "337a9f690f016aa4",
    ("moving", "track", "seen", TRAINING_SEEDS + 1): "7a3a390ce7544f86",
    ("moving", "intercept", "seen", 0): "42d898d9eaeb8ac2",
    ("moving", "intercept", "seen", TRAINING_SEEDS + 1): "dddab07bf73a4978",
    ("moving", "conveyor-push", "seen", 0): "fd85cbb33fb68d70",
    ("moving", "conveyor-push", "seen", TRAINING_SEEDS + 1): "500c7b921dfb627f",
    ("moving", "conveyor-pick", "seen", 0): "725abe909b798dc6",
    ("moving", "conveyor-pick", "seen", TRAINING_SEEDS + 1): "86ccee92f66673e5",
    ("tabletop", "reach", "shift", 0): "cf5932242a953144",
    ("tabletop", "push", "shift", 0): "9a93370e74c6acce",
    ("tabletop", "pick", "shift", 0): "ef45a1109b7e3fa1",
    ("tabletop", "place", "shift", 0): "c29de628f64dba78",
    ("tabletop", "stack", "shift", 0): "e4b4757794181879",
    ("tabletop", "open-drawer", "shift", 0): "2b05af7b5f0e8701",
    ("moving", "track", "shift", 0): "4842185915d95a48",
    ("moving", "intercept", "shift", 0): "9b2682bb3960f058",
    ("moving", "conveyor-push", "shift", 0): "13f60bbc66e2094a",
    ("moving", "conveyor-pick", "shift", 0): "dcdef64f70c2ba0c",
}
"""By suite, task, split and seed: every pixel, measurement and word of the expert's first steps."""


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the last bits of PyBullet's floating point differ between processor families",
)
@pytest.mark.parametrize(("suite", "task", "split", "seed"), DIGESTS)
def test_scenes_and_trajectories_never_change(simulate, suite, task, split, seed):
    simulation = simulate(task, suite=suite, split=split, seed=seed)
    expert, digest = Expert(), hashlib.sha256()
    for _ in range(25):
        observation = simulation.observation()
        for part in (*observation.images.values(), observation.proprioception):
            digest.update(part.tobytes())
        digest.update(observation.instruction.encode())
        digest.update(simulation.swapped_instruction().encode())
        action = expert.act(simulation)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
    assert digest.hexdigest()[:16] == DIGESTS[suite, task, split, seed]
