# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scenes that the shipped policy was trained and judged in stay what they are, bit for bit."""

import hashlib
import platform

import pytest

from magma_ros.sim.expert import Expert
from magma_ros.sim.simulation import ENV_STEP, TRAINING_SEEDS

DIGESTS = {
    ("reach", "seen", 0): "d0694bc521fd417d",
    ("reach", "seen", 3): "c9dd4ad9757daca8",
    ("reach", "seen", TRAINING_SEEDS + 1): "7e4b91a2f978f12b",
    ("reach", "shift", 0): "203d64dbdd754f94",
    ("reach", "shift", 3): "5d7b8a2248476e8d",
    ("reach", "shift", TRAINING_SEEDS + 1): "16c1c9cee50f5cad",
    ("push", "seen", 0): "3de7726a96a24e97",
    ("push", "seen", 3): "6099ead7dc48a5e3",
    ("push", "seen", TRAINING_SEEDS + 1): "1f9aaa578afbff3c",
    ("push", "shift", 0): "c2eaa3825eec8005",
    ("push", "shift", 3): "c13cb73a9fe7aa23",
    ("push", "shift", TRAINING_SEEDS + 1): "7de765f87304b055",
    ("pick", "seen", 0): "9aecb633d2bb127e",
    ("pick", "seen", 3): "f2988ae267432382",
    ("pick", "seen", TRAINING_SEEDS + 1): "8bb196bb7836c347",
    ("pick", "shift", 0): "3b98951f974aafb7",
    ("pick", "shift", 3): "bc472213aec81a64",
    ("pick", "shift", TRAINING_SEEDS + 1): "595d4fb1412d78e0",
    ("place", "seen", 0): "e340158918fb045d",
    ("place", "seen", 3): "c645ceb84bc38adc",
    ("place", "seen", TRAINING_SEEDS + 1): "33f37c3c164493e8",
    ("place", "shift", 0): "9ab63ef870ba8872",
    ("place", "shift", 3): "0bb4f9b1426df9f4",
    ("place", "shift", TRAINING_SEEDS + 1): "4c91472c2fa0dafb",
}
"""By task, split and seed: every pixel, measurement and word of the expert's first 40 steps."""


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the last bits of PyBullet's floating point differ between processor families",
)
@pytest.mark.parametrize(("task", "split", "seed"), DIGESTS)
def test_scenes_and_trajectories_of_shipped_tasks_never_change(simulate, task, split, seed):
    simulation, expert, digest = simulate(task, split=split, seed=seed), Expert(), hashlib.sha256()
    for _ in range(40):
        observation = simulation.observation()
        for part in (*observation.images.values(), observation.proprioception):
            digest.update(part.tobytes())
        digest.update(observation.instruction.encode())
        digest.update(simulation.swapped_instruction().encode())
        action = expert.act(simulation)
        simulation.command(action[:6] / ENV_STEP, action[6])
        simulation.step(ENV_STEP)
    assert digest.hexdigest()[:16] == DIGESTS[task, split, seed]
