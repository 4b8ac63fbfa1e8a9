# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop of improvement: weakened as said, taken over when patience is over, marked or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes.episode import HUMAN, POLICY
from magma_ros.models.export.improvement import PATIENCE, LoopSpec, take_overs, weaken
from magma_ros.models.export.marked import Condition, study_marks
from magma_ros.models.training.checkpoint import read_recipe
from magma_ros.models.training.config import ConfigError
from magma_ros.models.training.corrections import recipe_for, write_recipe
from magma_ros.models.training.graph_weights import graph_weights
from magma_ros.policy.manifest import read_manifest


def test_a_weakened_policy_is_off_in_one_dimension_alone(
    trained: Path, bundle: Path, tmp_path: Path
) -> None:
    write_recipe(bundle, read_recipe(trained).config)
    weak = weaken(bundle, tmp_path / "weak", "dy", 10)
    assert "on purpose" in read_manifest(weak).provenance.data
    before, after = (graph_weights(folder / "think_1.onnx") for folder in (bundle, weak))
    healthy, off = (
        weights["exit.bins.bias"].numpy().reshape(7, 255) for weights in (before, after)
    )
    np.testing.assert_allclose(off[1], np.roll(healthy[1], 10), atol=1e-6)
    np.testing.assert_allclose(np.delete(off, 1, 0), np.delete(healthy, 1, 0), atol=1e-6)


def test_the_stand_in_takes_over_once_patience_is_over(bundle: Path) -> None:
    (episode,) = take_overs(LoopSpec(task="reach", takeovers=1), bundle)
    begin = episode.sources.index(HUMAN)
    assert begin == round(PATIENCE * 50)
    assert set(episode.sources[:begin]) == {POLICY}
    assert set(episode.sources[begin:]) == {HUMAN}
    assert episode.outcome.task == "SUCCEEDED"
    assert episode.outcome.verdict == "bad"  # so that nothing of the policy's is learned
    first, last = (next(episode.pictures("front", [row])) for row in (0, len(episode) - 1))
    assert not np.array_equal(first[1], last[1])


def test_marks_are_measured_with_their_controls(bundle: Path) -> None:
    rates = study_marks(bundle, [("tabletop", "reach")], episodes=1)
    assert [rate.condition for rate in rates[::2]] == list(Condition)
    assert all(rate.episodes == 1 for rate in rates)
    assert {len(rate.row()) for rate in rates} == {5}


def test_a_bundle_of_unknown_origin_needs_its_recipe(tmp_path: Path, bundle: Path) -> None:
    import shutil

    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "train.yaml").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="nothing says what"):
        recipe_for(copy)
