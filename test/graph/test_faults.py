# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bench of faults makes its faults in real processes, and finds the arm at rest."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.graph, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def operators(needs):
    needs("console")


def test_frozen_camera_and_hung_console_end_in_an_arm_at_rest_and_a_sentence(tmp_path):
    command = [sys.executable, "-m", "magma_ros.cli", "bench", "faults"]
    command += ["--only", "camera-frozen,console-hung", "--json", "faults.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    trials = json.loads((tmp_path / "faults.json").read_text())["trials"]
    assert [trial["problem"] for trial in trials] == ["", ""], done.stdout + done.stderr
    camera, console = (trial["sentence"] for trial in trials)
    assert "has shown the same picture" in camera
    assert "the operator's link is silent" in console
    assert all(trial["arm_still"] is not None for trial in trials), done.stdout
