# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people showed counts most, what led to a take-over never, and a bundle learns from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.episode import GUARD, HUMAN, POLICY, Episode
from magma_ros.episodes.events import Outcome
from magma_ros.models.data.config import CorrectionConfig
from magma_ros.models.data.corrections import chunk_lengths, learn_from, row_weights
from magma_ros.models.training.checkpoint import read_recipe
from magma_ros.sim.simulation import PROPRIOCEPTION
from magma_ros.types import ImageArray

CONFIG = CorrectionConfig(episodes=(Path("episodes"),), human=4, before=1.0)


def episode(sources: Sequence[str], *, label: str = "", period: float = 0.1) -> Episode:
    """An episode in which the arm always moves, and each row shows its own number."""
    count = len(sources)

    def look(camera: str, rows: Sequence[int]) -> Iterator[tuple[int, ImageArray]]:
        side = 32 if camera == "front" else 16
        for row in rows:
            yield row, np.full((side, side, 3), row, np.uint8)

    moving = np.full((count, 7), 0.01, np.float32)
    return Episode(
        name="made up",
        period=period,
        times=5.0 + period * np.arange(count),
        cameras=("front", "wrist"),
        look=look,
        picture_ages={},
        fields=PROPRIOCEPTION,
        proprioception=np.zeros((count, len(PROPRIOCEPTION)), np.float32),
        instructions=("pick up the red cube",) * count,
        points=np.full((count, 2), np.nan),
        point_camera="",
        actions=moving,
        sources=tuple(sources),
        interventions=np.array([source == HUMAN for source in sources], bool),
        modes=("",) * count,
        depths=np.zeros(count, np.int64),
        outcome=Outcome(label=label),
        events=(),
        methods={},
        warnings=(),
    )


drivers = st.lists(st.sampled_from([HUMAN, POLICY, GUARD]), min_size=1, max_size=40)


@given(drivers, st.sampled_from(["good", "bad", ""]))
@examples(100)
def test_who_drove_and_what_came_of_it_says_how_much_a_row_counts(
    sources: list[str], label: str
) -> None:
    weights = row_weights(episode(sources, label=label), CONFIG)
    for row, (source, weight) in enumerate(zip(sources, weights, strict=True)):
        soon = any(
            later == HUMAN and sources[row + ahead] != HUMAN
            for ahead, later in enumerate(sources[row + 1 : row + 11])
        )
        if source == HUMAN:
            assert weight == 4
        elif source == POLICY and label == "good" and not soon:
            assert weight == 1
        else:
            assert weight == 0


@given(drivers)
@examples(100)
def test_a_plan_holds_only_what_one_driver_did_without_a_gap(sources: list[str]) -> None:
    found = episode(sources, label="good")
    weights = row_weights(found, CONFIG)
    for row, length in enumerate(chunk_lengths(found, weights, 8)):
        assert (length > 0) == (weights[row] > 0)
        inside = slice(row, row + length)
        assert len(set(sources[inside])) <= 1
        assert (weights[inside] > 0).all()
        if 0 < length < 8 and row + length < len(sources):
            assert weights[row + length] == 0 or sources[row + length] != sources[row]


def test_a_person_who_waits_shows_nothing() -> None:
    found = episode([HUMAN] * 4)
    found.actions[1:3, :6] = 0.0
    assert row_weights(found, CONFIG).tolist() == [4, 0, 0, 4]


def test_rows_of_a_faster_clock_are_joined_to_steps(trained: Path) -> None:
    recipe = read_recipe(trained)
    fast = episode([HUMAN] * 9, period=0.1 / 3)
    fast.actions[:, 0] = np.arange(9)
    fast.actions[:, 6] = [0, 0, 1] * 3
    data, learned = learn_from(
        [fast], recipe.config.network, recipe.tokenizer(), CONFIG, period=0.1
    )
    assert learned.human == 3
    assert data.actions[:, 0].tolist() == [3.0, 12.0, 21.0]
    assert data.actions[:, 6].tolist() == [1.0, 1.0, 1.0]
    assert [int(image.max()) for image in data.images["front"][0]] == [0, 3, 6]


def test_what_cannot_be_learned_from_is_refused_in_one_sentence(trained: Path) -> None:
    recipe = read_recipe(trained)
    network, words = recipe.config.network, recipe.tokenizer()
    good = episode([HUMAN] * 12)
    joints = tuple(f"joint_{number}" for number in range(26))
    for bad, reason in (
        (replace(good, cameras=("front",)), "has no camera wrist"),
        (replace(good, fields=("ee_x",)), "has no measured value ee_y"),
        (replace(good, action_names=joints), r"feature action has 26 columns \(joint_0, "),
        (replace(good, period=0.07), "no multiple"),
        (episode([POLICY] * 12), "nobody took over"),
    ):
        with pytest.raises(EpisodeError, match=reason):
            learn_from([bad], network, words, CONFIG, period=0.1)


def test_a_bundle_learns_what_a_person_showed(trained: Path, bundle: Path, tmp_path: Path) -> None:
    """From a folder in LeRobot's layout to a bundle beside the old one, and on from that."""
    from magma_ros.episodes.lerobot.export import export as export_episodes
    from magma_ros.models.export.corrections import improve
    from magma_ros.models.training.corrections import RECIPE, Tuning, recipe_for, write_recipe
    from magma_ros.policy.manifest import read_manifest
    from magma_ros.policy.runtime import StagedPolicy

    shown = episode([POLICY] * 12 + [HUMAN] * 20 + [GUARD] * 2, label="bad")
    export_episodes([shown], tmp_path / "shown", codec="h264")
    write_recipe(bundle, read_recipe(trained).config)
    corrections = CorrectionConfig(episodes=(tmp_path / "shown",), human=4, before=1.0)
    tuning = Tuning(steps=3, batch=8, learning_rate=1e-3)
    learned = improve(bundle, tmp_path / "better", corrections, tuning)
    assert (learned.episodes, learned.human, learned.policy, learned.left_out) == (1, 20, 0, 14)
    StagedPolicy.load(tmp_path / "better").warm_up(runs=1)
    story = read_manifest(tmp_path / "better").provenance
    assert "20 steps that people drove, each 4 times" in story.data
    assert "parent tiny" in story.data
    assert story.command.startswith("magma train --from-episodes")
    assert story.data in (tmp_path / "better" / "MODEL_CARD.md").read_text()
    assert (tmp_path / "better" / RECIPE).is_file()
    assert recipe_for(tmp_path / "better").network == recipe_for(bundle).network
    stage = "think_3.onnx"
    assert (tmp_path / "better" / stage).read_bytes() != (bundle / stage).read_bytes()


def test_no_bundle_replaces_the_one_it_is_made_from(bundle: Path, tmp_path: Path) -> None:
    from magma_ros.models.export.corrections import improve
    from magma_ros.models.training.corrections import Tuning
    from magma_ros.types import MagmaError

    with pytest.raises(MagmaError, match="is the bundle that is trained further"):
        improve(bundle, bundle, CONFIG, Tuning())
