# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`magma eval --suite metaworld-part` plays a policy of four columns that somebody else trained."""

import json
import runpy
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from magma_ros.cli import main
from magma_ros.evaluation.calibrate.readings import TaskSet, collect, explorer, yardstick_for
from magma_ros.policy.manifest import read_manifest

STEPS = 8


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A policy that goes down, whatever it sees, in steps of 0.05 s."""
    from onnx import TensorProto

    from magma_ros.models.export.foreign import create_bundle
    from magma_ros.models.export.foreign_answers import Answers

    theirs = runpy.run_path(str(Path(__file__).parents[1] / "models" / "foreign_policies.py"))
    folder = tmp_path_factory.mktemp("policy")
    down = np.tile(np.array([0.0, 0.0, -0.03, 1.0], np.float32), STEPS)
    weights = {"w": np.zeros((3, 4 * STEPS), np.float32), "b": down, "s": np.array([1, STEPS, 4])}
    nodes = [
        ("ReduceMean", ["corner2"], ["seen"], {"axes": [2, 3], "keepdims": 0}),
        ("Gemm", ["seen", "w", "b"], ["flat"], {}),
        ("Reshape", ["flat", "s"], ["action"], {}),
    ]
    given = [("corner2", TensorProto.FLOAT, [1, 3, 48, 48])]
    made = [("action", TensorProto.FLOAT, [1, STEPS, 4])]
    path = SimpleNamespace(**theirs).save(folder / "down.onnx", nodes, weights, given, made)
    told = {"kind": "ee_delta", "dims": ["dx", "dy", "dz", "gripper"], "step_period": 0.05}
    create_bundle(path, Answers.model_validate({"name": "down", **told}), folder / "down", "test")
    return folder / "down"


def played(bundle, out, *words):
    command = ["eval", "--suite", "metaworld-part", "--episodes", "1", "--bundle", str(bundle)]
    assert main([*command, "--workers", "1", "--json", str(out), *words]) == 0
    return json.loads(out.read_text())


def test_a_report_has_tiers_controls_failures_and_clips(bundle, tmp_path, capsys):
    report = tmp_path / "report"
    words = ["--tasks", "handle-press", "--controls", "--seed", "1000", "--videos", "1000"]
    told = played(bundle, tmp_path / "told.json", *words, "--out", str(report))
    assert told["results"]["none"]["tiers"]["metaworld-part"]["missing"] == 49
    assert [e["control"] for e in told["episodes"]] == ["none", "blackout", "swapped"]
    assert told["episodes"][2]["swapped_success"] is None
    page = (report / "report.md").read_text()
    assert "average of the tiers" in page
    assert "The hand never came within 6 cm" in page
    assert (report / "videos" / "metaworld-part-handle-press-1000.gif").stat().st_size > 1000


def test_the_policy_looks_every_tenth_of_a_second_unless_told_otherwise(bundle, tmp_path):
    few = played(bundle, tmp_path / "few.json", "--tasks", "reach", "--execute", "8")
    assert few["episodes"][0]["chunks"] == 13  # 5 s in plans of 0.4 s
    assert few["episodes"][0]["failure"] == "NOT_DONE"  # the puck is below the hand


def test_the_world_goes_on_while_a_modelled_computer_thinks(bundle, tmp_path):
    words = ["--tasks", "handle-press", "--clock", "modelled", "--depth", "1"]
    first = played(bundle, tmp_path / "first.json", *words)
    assert first == played(bundle, tmp_path / "second.json", *words)


def test_a_calibration_plays_the_steps_of_the_policy_and_not_those_of_the_suite(bundle, tmp_path):
    words = ["--tasks", "handle-press", "--seed", "1000", "--depth", "1"]
    (told,) = played(bundle, tmp_path / "told.json", *words)["episodes"]
    task_set = TaskSet(("metaworld-part",), ("handle-press",))
    yardstick = yardstick_for(read_manifest(bundle).action, task_set.suites)
    assert yardstick.steps == 2
    (episode,) = collect(
        bundle,
        task_set.scenes(1, 1000),
        partial(explorer, 1),
        yardstick,
        workers=1,
        console=None,
        description="",
    )
    assert len(episode.depths) == told["chunks"]
    assert episode.success is told["success"] is True
