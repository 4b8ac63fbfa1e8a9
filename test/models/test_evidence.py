# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was measured about a bundle reaches its manifest and its card."""

from pathlib import Path

import pytest

from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.play.evaluate import Evaluation
from magma_ros.evaluation.play.exits import ExitStudy
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.world import Control
from magma_ros.models.export.card import _success
from magma_ros.models.export.evidence import NOTHING, Evidence
from magma_ros.policy.manifest import read_manifest
from magma_ros.sim.failures import Failure

SHIPPED = Path(__file__).parents[2] / "models" / "magma-nano"


def episode(scene, depth):
    """Done at depth 2; blind never; with the instruction swapped to the object named instead."""
    done = depth == 2 and scene.control is not Control.BLACKOUT
    swapped = scene.control is Control.SWAPPED
    return EpisodeResult(
        scene=scene, success=done and not swapped, swapped_success=done and swapped,
        failure=None if done else Failure.MISSED_GRASP, duration=2.0, closest=0.0, closest_at=1.0,
        jerk=1.0, reasons={"CONFIDENT": 10}, chunks=10, depth=10 * depth, flops=depth,
        weight_bytes=depth, late=0, stalls=0, lag=0.0, trace_errors=(),
    )  # fmt: skip


@pytest.fixture
def evidence():
    manifest, exits = read_manifest(SHIPPED), {}
    for depth in (1, 2):
        spec = EvaluationSpec(("tabletop",), ("pick",), episodes=4, controls=depth == 2)
        results = tuple(episode(scene, depth) for scene in spec.scenes())
        exits[depth] = Evaluation(spec.at_depth(depth), manifest, "0" * 64, results)
    return Evidence(ExitStudy(exits), ())


def test_the_manifest_is_given_every_rate_by_condition_and_task(evidence):
    assert evidence.metrics == {
        "exit 1/pick": 0.0,
        "exit 2/pick": 1.0,
        "exit 2, cameras black/pick": 0.0,
        "exit 2, instruction names another object/pick": 0.0,
        "exit 2, instruction names another object, which is served/pick": 1.0,
    }


def test_the_card_shows_the_tables_of_the_evaluation(evidence):
    text = _success(evidence)
    for part in ("| 1 |", "| 2 |", "4/4 100 %", "honest", "Seeds 1000 to 1003"):
        assert part in text


def test_what_was_not_measured_is_said_so():
    assert NOTHING.metrics == {}
    assert _success(NOTHING) == "Not measured for this export."
