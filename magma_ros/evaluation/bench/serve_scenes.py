# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records what simulated robots show to a server, from the simulator."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from magma_ros.evaluation.bench.serve_plain import deep_plan
from magma_ros.evaluation.bench.serve_recording import Recording
from magma_ros.evaluation.bench.wall import example_clips
from magma_ros.evaluation.error import EvaluationError
from magma_ros.policy.manifest import MANIFEST, sha256_of
from magma_ros.policy.runtime import StagedPolicy


def record(bundle: Path, folder: Path, period: float, scenes: int) -> Path:
    """Record what the tasks look like, unless the folder holds that already.

    Args:
        bundle: Folder of the policy.
        folder: Where the file goes.
        period: Time between two observations [s].
        scenes: Of how many tasks.

    Returns:
        The file.

    Raises:
        MagmaError: The simulator is not installed, the policy takes other inputs than the simulator
            has, or the file cannot be written.
    """
    checksum = sha256_of(bundle / MANIFEST)
    path = folder / f"recording-{checksum[:12]}-{scenes}-{1e3 * period:.0f}ms.npz"
    if path.exists():
        return path
    policy = StagedPolicy.load(bundle, threads=1)
    seen = [each for clip in islice(example_clips(period), scenes) for each in clip]
    cameras = [camera.name for camera in policy.manifest.observation.cameras]
    if missing := [name for name in cameras if name not in seen[0].images]:
        raise EvaluationError(
            f"{policy.manifest.name} takes pictures of {', '.join(missing)}, which tabletop and "
            "moving have not; choose a policy of theirs"
        )
    Recording(
        images={name: np.array([each.images[name] for each in seen]) for name in cameras},
        states=np.array([each.proprioception for each in seen]),
        prompts=tuple(each.instruction for each in seen),
        plans=np.array([deep_plan(policy, each) for each in seen]),
        scale=2.0 / np.array(policy.manifest.action.ranges),
    ).write(path)
    return path
