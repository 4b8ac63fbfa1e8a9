# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A world that nobody here wrote is evaluated without a line changed, and without a simulator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import (
    Demonstrates,
    ExplainsFailure,
    KnowsMarks,
    Pictured,
    SwapsInstruction,
    World,
)
from magma_ros.sim.benchmark import suites

HERE = Path(__file__).resolve().parent
FOREIGN = HERE / "foreign"
"""A package of somebody else; its ``sitecustomize`` hides all simulators from every process."""


@pytest.fixture
def foreign(monkeypatch):
    """The foreign package, importable."""
    monkeypatch.syspath_prepend(str(FOREIGN))
    find_suite.cache_clear()
    yield
    find_suite.cache_clear()


def test_a_world_nobody_here_wrote_is_played_by_every_clock(tiny_bundle, tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOREIGN / "play.py"), str(tiny_bundle), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOREIGN), str(HERE.parents[1])])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    for clock in ("ideal", "wall", "modelled"):
        success, duration, failure, closest = told[clock]
        assert success
        assert 0.0 < duration < 1.5
        assert (failure, closest) == (None, None)  # what a world does not know is left out
    assert told["ideal evaluation"] == told["modelled evaluation"] == 2
    page = (tmp_path / "report.md").read_text()
    assert "points:suite" in page
    assert "## Failures" not in page


def test_controls_are_refused_where_the_instruction_cannot_be_swapped(foreign, tiny_bundle):
    from magma_ros.evaluation.play.evaluate import evaluate

    spec = EvaluationSpec(("points:suite",), split="plain", episodes=1, controls=True, workers=1)
    with pytest.raises(EvaluationError, match="points:suite cannot swap the instruction"):
        evaluate(spec, tiny_bundle)


def test_pictures_are_refused_where_there_are_none(foreign):
    from magma_ros.evaluation.report.replay import Pictures

    spec = EvaluationSpec(("points:suite",), split="plain", episodes=1)
    with pytest.raises(EvaluationError, match="points:suite have no pictures"):
        Pictures(sheet=True).require_possible(spec)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "kitchen",
            (
                r"'kitchen'; known: cell-belt, cell-grasping, cell-pushing, metaworld, "
                r"metaworld-cut, metaworld-part, moving, obstacles, tabletop; one of"
            ),
        ),
        ("nowhere.at.all:suite", r"cannot import the suite nowhere.at.all:suite: No module"),
        ("json:suite", r"cannot import the suite json:suite: .*no attribute 'suite'"),
        (":suite", r"cannot import the suite :suite"),
    ],
)
def test_a_suite_that_cannot_be_found_is_named(name, sentence):
    with pytest.raises(EvaluationError, match=sentence):
        EvaluationSpec((name,))


def test_the_simulation_offers_all_that_an_evaluation_can_use():
    for name in suites():
        suite = find_suite(name)
        world = suite.make_world()
        try:
            world.reset(next(iter(suite.tasks)), "seen", 0)
            for protocol in (
                World,
                SwapsInstruction,
                ExplainsFailure,
                KnowsMarks,
                Pictured,
                Demonstrates,
            ):
                assert isinstance(world, protocol)
        finally:
            world.close()
