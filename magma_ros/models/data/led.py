# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy that acts before the expert takes over, so that demonstrations begin where it leads.

As in DAgger (Ross et al., AISTATS 2011), what is learned are the expert's actions in states that
the policy gets itself into. Only the expert's part is recorded, so an episode of the data set is
the work of one hand from its first row to its last.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from magma_ros.evaluation.play.shadow import read_all
from magma_ros.evaluation.suites import steps_executed
from magma_ros.evaluation.world import World
from magma_ros.motion.steps import displacements, openings
from magma_ros.policy.manifest import MANIFEST, sha256_of
from magma_ros.policy.runtime import StagedPolicy

LEAD = (2, 30)
"""Fewest and most rows of the data set for which the policy acts first, unless the task is done by
then: it acts for half as many, and again half, until the expert has something left to show."""


def draw_lead(rng: np.random.Generator) -> int:
    """Rows for which the policy acts in an episode."""
    return int(rng.integers(LEAD[0], LEAD[1] + 1))


def lead(world: World, suite: str, bundle: Path, seconds: float) -> None:
    """Let the deepest exit of a policy act, until the task is done or the time is over.

    Args:
        world: In which it acts, at the beginning of an episode.
        suite: Name of the world's suite, which says how often the policy looks.
        bundle: Folder of the policy's bundle.
        seconds: For how long [s].

    Raises:
        MagmaError: The bundle does not load, or takes what the world does not show.
    """
    policy = _load(bundle)
    period = policy.manifest.action.step_period
    executed = steps_executed(suite, period)
    until = world.time + seconds - 0.5 * period
    while world.time < until and not world.done():
        chunk = read_all(policy.start(world.observe())).readings[-1].chunk
        moves, grips = displacements(chunk), openings(chunk)[:, 0]
        for move, grip in zip(moves[:executed], grips[:executed], strict=True):
            world.command(move / period, float(grip))
            world.step(period)


def identity_of(bundle: Path) -> str:
    """SHA-256 of a bundle's manifest, which names the checksums of all its files."""
    return sha256_of(bundle / MANIFEST)


@cache
def _load(bundle: Path) -> StagedPolicy:
    """The policy of this process, on one thread because episodes run side by side."""
    policy = StagedPolicy.load(bundle, threads=1)
    policy.warm_up()
    return policy
