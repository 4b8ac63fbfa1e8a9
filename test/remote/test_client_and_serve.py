# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's line and ``magma serve``, over a real socket between two processes."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from magma_ros.policy.manifest import MANIFEST, read_manifest, sha256_of
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.remote.address import read_address
from magma_ros.remote.client import FarClient
from magma_ros.remote.ledger import LineRules, LineState
from magma_ros.remote.remote_file import contract_of
from magma_ros.types import MonotonicClock, Observation

CLOCK = MonotonicClock()
TOKEN = "0123456789abcdef0123"


@pytest.fixture
def served(tiny_bundle, tmp_path):
    """Serve the small bundle at full depth; gives the process and the address."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    command = [sys.executable, "-m", "magma_ros.cli", "serve", "--port", "0", "--threads", "1"]
    command += [
        "--bundle",
        str(tiny_bundle),
        "--gate",
        "fixed",
        "--depth",
        "3",
        "--time-limit",
        "5",
    ]
    process = subprocess.Popen(
        [*command, "--token-file", str(token)], stdout=subprocess.PIPE, text=True
    )
    line = next(text for text in process.stdout if "ws://" in text)
    yield process, re.search(r"ws://[\d.:]+", line)[0], token
    process.send_signal(signal.SIGKILL)
    process.wait(10.0)
    process.stdout.close()


def test_the_plan_is_that_of_the_same_policy_here(served, tiny_bundle):
    process, address, token = served
    manifest = read_manifest(tiny_bundle)
    line = FarClient(
        read_address(address, str(token)),
        contract_of(None, manifest, sha256_of(tiny_bundle / MANIFEST)),
        LineRules(patience=5.0),
        quality=lambda: 100,
    )
    try:
        end = time.monotonic() + 20.0
        while not line.ledger().connected and time.monotonic() < end:
            time.sleep(0.01)
        observation = observed(manifest)
        line.ask(observation, CLOCK.now(), CLOCK.now() + 5.0)
        line.wait(observation.stamp, CLOCK.now() + 5.0)
        plan = line.newest
        assert plan is not None, line.ledger().sentence
        inference = StagedPolicy.load(tiny_bundle, threads=1).start(observation)
        *_, deepest = [inference.advance() for _ in manifest.stages]
        np.testing.assert_allclose(plan.chunk.actions, deepest.chunk.actions, atol=1e-3)
        assert plan.chunk.depth == manifest.exits + 1
        assert plan.exit == 3, "the policy there is the one here, by its checksum"
        assert line.ledger().trips.way() > 0.0

        process.kill()
        end = time.monotonic() + 10.0
        while line.state is not LineState.CUT and time.monotonic() < end:
            time.sleep(0.01)
        assert line.state is LineState.CUT
    finally:
        line.close()


def observed(manifest):
    """Grey pictures, which JPEG leaves as they are, and some state."""
    taken = manifest.observation
    images = {
        camera.name: np.full((camera.height, camera.width, 3), 128, np.uint8)
        for camera in taken.cameras
    }
    fields = taken.proprioception
    return Observation(1.0, images, np.full(len(fields), 0.1), fields, "push the red cube")
