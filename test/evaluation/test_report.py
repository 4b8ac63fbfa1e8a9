# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports hold every exit's figures and pictures of the episodes that were really played."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.evaluate import pace_of, start_clock
from magma_ros.evaluation.play.exits import evaluate_exits
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.evaluation import write_report
from magma_ros.evaluation.report.replay import FilmedEpisode, Pictures, write_sheet
from magma_ros.evaluation.world import Control, Scene
from magma_ros.types import MagmaError

SPEC = EvaluationSpec(("tabletop",), ("reach",), episodes=1, seed=40, controls=True)


@pytest.fixture(scope="module")
def study(tiny_bundle):
    return evaluate_exits(SPEC, tiny_bundle)


@pytest.fixture(scope="module")
def report(study, tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    pictures = Pictures(sheet=True, seeds=(40,))
    write_report(study, folder, bundle=tiny_bundle, pictures=pictures)
    return folder


def test_every_exit_plays_the_same_seeds_at_its_own_depth(study):
    assert list(study.exits) == [1, 2, 3]
    costs = []
    for depth, evaluation in study.exits.items():
        seeds = [r.scene.seed for r in evaluation.results if r.scene.control is Control.NONE]
        assert seeds == [40]
        assert evaluation.summary().mean_depth == depth
        costs.append(evaluation.summary().flops_fraction)
    assert costs == sorted(costs)
    assert costs[-1] == 1.0


def test_controls_are_played_at_the_deepest_exit_alone(study):
    assert [e.spec.controls for e in study.exits.values()] == [False, False, True]


def test_a_report_is_complete(report):
    names = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    assert names == {
        "evaluation.json", "exits.json", "exits.png", "failures.png", "report.md", "success.png",
        "videos/tabletop-reach-40.gif",
    }  # fmt: skip
    page = (report / "report.md").read_text()
    for part in ("every exit", "Honesty", "failures.png", "videos/tabletop-reach-40.gif",
                 "--episodes 1 --seed 40", "--per-exit"):  # fmt: skip
        assert part in page


def test_the_json_of_all_exits_holds_whole_evaluations(report):
    exits = json.loads((report / "exits.json").read_text())["exits"]
    assert list(exits) == ["1", "2", "3"]
    assert exits["3"] == json.loads((report / "evaluation.json").read_text())


def test_a_clip_shows_the_whole_episode_in_real_time(report, study):
    (played,) = [r for r in study.deepest.results if r.scene.control is Control.NONE]
    with Image.open(report / "videos" / "tabletop-reach-40.gif") as clip:
        assert clip.n_frames == round(played.duration / 0.1) + 1
        assert clip.info["duration"] == 100


def test_a_replay_is_the_episode_that_was_evaluated(study, tiny_bundle):
    spec = study.deepest.spec
    scene = Scene("tabletop", "reach", "seen", 40)
    with FilmedEpisode(scene, (32, 24)) as episode:
        start_clock(spec, tiny_bundle).play(episode, pace_of(spec, "tabletop"))
        assert episode.result() == study.deepest.results[0]
    times = [time for time, _ in episode.run.frames]
    np.testing.assert_allclose(np.diff(times), 0.1)
    assert {plan.depth for _, plan in episode.run.plans} == {3}
    assert episode.run.views[0][1].paths.keys() == {"gripper", "target"}


def test_a_sheet_shows_three_pictures_of_every_failure(report):
    with Image.open(report / "failures.png") as sheet:
        assert sheet.size == (3 * 240, 180 + 36)


def test_without_failures_there_is_no_sheet(study, tiny_bundle, tmp_path):
    done = [replace(r, success=True, failure=None) for r in study.deepest.results]
    perfect = replace(study.deepest, results=tuple(done))
    assert write_sheet(perfect, tiny_bundle, tmp_path / "sheet.png", console=None) == 0
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("pictures", "change", "told"),
    [
        (Pictures(sheet=True), {"clock": "wall"}, "no episode repeats under the wall clock"),
        (Pictures(seeds=(40,)), {"clock": "wall"}, "no episode repeats under the wall clock"),
        (Pictures(seeds=(40, 41)), {}, "seed 41 is not among those evaluated, 40 to 40"),
    ],
)
def test_pictures_of_what_is_not_played_again_are_refused(pictures, change, told):
    with pytest.raises(EvaluationError, match=told):
        pictures.require_possible(replace(SPEC, **change))


def test_a_folder_that_cannot_be_made_is_named(study, tiny_bundle, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MagmaError, match=r"cannot make the folder .*file"):
        write_report(study, tmp_path / "file", bundle=tiny_bundle, pictures=Pictures())
