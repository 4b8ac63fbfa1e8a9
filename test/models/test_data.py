# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: reproducible, resumable, and honest about which labels hold."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from magma_ros.models.data.config import DataConfig, DisturbanceConfig
from magma_ros.models.data.dataset import Demonstrations, steps_until
from magma_ros.models.data.episodes import Bursts, MakeBursts, episode, write_shard
from magma_ros.models.data.generate import claim_folder, generate, plan_shards
from magma_ros.models.data.shards import DataError, find_shards, read_columns
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.data.words import make_tokenizer
from magma_ros.models.training.checkpoint import Recipe
from magma_ros.models.training.config import TrainingConfig
from magma_ros.sim.language import vocabulary
from magma_ros.sim.schema import SimulationError
from magma_ros.sim.simulation import Simulation


def test_the_same_seed_gives_the_same_bytes(
    config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    for shard in plan_shards(config.data, tmp_path, MakeBursts(config.data.disturbance)):
        write_shard(shard)
        original = config.data.folder / shard.path.name
        assert shard.path.read_bytes() == original.read_bytes()


def test_an_interrupted_run_makes_only_what_is_missing(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    first, second = find_shards(config.data.folder)
    content, untouched = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    generate(config.data, workers=1)
    assert second.read_bytes() == content
    assert first.stat().st_mtime_ns == untouched


def test_demonstrations_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    claim_folder(tmp_path, "one")
    with pytest.raises(DataError, match="other settings"):
        claim_folder(tmp_path, "another")


@pytest.fixture
def reach() -> Iterator[Simulation]:
    """A scene of the simplest task."""
    simulation = Simulation("reach", seed=1_000_000)
    yield simulation
    simulation.close()


@pytest.fixture
def spoilt(config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path) -> Path:
    """A copy of the demonstrations, with a truncated shard and a foreign file among them."""
    folder = tmp_path / "spoilt"
    shutil.copytree(config.data.folder, folder)
    whole = folder / "tabletop-reach-00000.parquet"
    (folder / "cut.parquet").write_bytes(whole.read_bytes()[:2000])
    pq.write_table(pa.table({"task": ["reach"], "seed": [1]}), folder / "foreign.parquet")
    return folder


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        ("foreign.parquet", r"cut\.parquet is damaged; delete it"),
        ("cut.parquet", r"foreign\.parquet is no shard of demonstrations: it has no column suite"),
    ],
)
def test_a_truncated_or_foreign_file_is_refused_by_name(
    config: TrainingConfig, spoilt: Path, removed: str, sentence: str
) -> None:
    (spoilt / removed).unlink()
    with pytest.raises(DataError, match=sentence):
        Demonstrations.read(spoilt, config.network, make_tokenizer(vocabulary()))
    with pytest.raises(DataError, match=sentence):
        generate(config.data.model_copy(update={"folder": spoilt}), workers=1)


def test_damaged_files_are_left_out_only_when_asked_for_and_then_named(
    config: TrainingConfig,
    demonstrations: Demonstrations,
    spoilt: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = config.data.model_copy(update={"folder": spoilt, "skip_damaged": True})
    found = Demonstrations.of(data, config.network, make_tokenizer(vocabulary()))
    assert len(found) == len(demonstrations)
    assert "damaged or foreign: cut.parquet, foreign.parquet" in caplog.text


def test_an_image_that_is_none_names_its_shard(
    config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    table = read_columns(config.data.folder / "tabletop-reach-00000.parquet")
    place = table.column_names.index("image_wrist")
    noise = pa.array([b"no picture"] * len(table), pa.binary())
    pq.write_table(table.set_column(place, "image_wrist", noise), tmp_path / "noise.parquet")
    with pytest.raises(DataError, match=r"noise\.parquet holds an image that is no PNG"):
        Demonstrations.read(tmp_path, config.network, make_tokenizer(vocabulary()))


def test_a_folder_that_is_a_file_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file cannot be used for demonstrations: File exists"):
        claim_folder(tmp_path / "file", "one")


def test_further_folders_are_learned_from_as_well(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    data = config.data.model_copy(update={"more": (config.data.folder,)})
    found = Demonstrations.of(data, config.network, make_tokenizer(vocabulary()))
    assert len(found) == 2 * len(demonstrations)


def test_a_trace_that_is_not_recorded_is_refused(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    assert config.network.trace is not None
    trace = config.network.trace.model_copy(update={"camera": "wrist"})
    network = config.network.model_copy(update={"trace": trace})
    with pytest.raises(DataError, match="the tool in camera wrist is not recorded; use front"):
        Demonstrations.read(config.data.folder, network, make_tokenizer(vocabulary()))


def test_statistics_that_differ_are_told_by_column_and_amount(recipe: Recipe) -> None:
    known = recipe.statistics
    assert known.difference(known) == ""
    span = known.q99[0] - known.q01[0]
    wider = replace(known, q99=(known.q99[0] + 0.25 * span, *known.q99[1:]))
    assert re.fullmatch(
        r"q99 of dx is [\d.e-]+ instead of [\d.e-]+ \(25 % of its range\)", wider.difference(known)
    )
    assert wider.difference(known, tolerance=0.3) == ""
    moved = replace(known, mean=(*known.mean[:2], known.mean[2] + 0.1, *known.mean[3:]))
    assert moved.difference(known).startswith("mean of ee_z is ")


def test_statistics_of_a_folder_are_those_of_what_is_read_from_it(
    config: TrainingConfig, recipe: Recipe
) -> None:
    assert Statistics.of_folders(config.data.folder) == recipe.statistics


def test_no_demonstrations_are_an_error(config: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no demonstrations"):
        Demonstrations.read(tmp_path, config.network, make_tokenizer(vocabulary()))


def test_labels_hold_up_to_the_first_step_that_was_not_the_experts() -> None:
    stops = np.array([False, False, True, False, False, False, False, True])
    assert steps_until(stops).tolist() == [2, 1, 0, 4, 3, 2, 1, 0]


def test_clean_episodes_are_never_disturbed() -> None:
    rng = np.random.default_rng(0)
    clean = Bursts(DisturbanceConfig(clean=1.0, chance=1.0), rng)
    assert clean(None, np.zeros(7)) is None
    rough = Bursts(DisturbanceConfig(clean=0.0, chance=1.0), rng)
    assert np.abs(rough(None, np.zeros(7))).max() > 0.0


def test_the_expert_reaches_its_goal_in_spite_of_disturbances(reach: Simulation) -> None:
    rough = DisturbanceConfig(clean=0.0, chance=0.3)
    rows = list(episode(reach, MakeBursts(rough)("reach", 1_000_000), 1))
    assert any(row["astray"] for row in rows)
    assert rows[-1]["success"]


def test_suites_share_a_folder_and_every_step_names_its_own(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    shards = find_shards(config.data.folder)
    assert [path.name for path in shards] == [
        "moving-track-00000.parquet",
        "tabletop-reach-00000.parquet",
    ]
    for path in shards:
        named = read_columns(path, ["suite", "task"]).to_pylist()
        assert {f"{row['suite']}-{row['task']}-00000.parquet" for row in named} == {path.name}


def test_a_trace_is_where_tool_and_target_are_later_in_the_image(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    rows = [
        row for path in find_shards(config.data.folder) for row in read_columns(path).to_pylist()
    ]
    assert config.network.trace is not None
    for index, step in product(range(len(rows)), config.network.trace.steps):
        between = rows[index : index + step + 1]
        known = between[-1]["step"] == rows[index]["step"] + step and not any(
            row["astray"] for row in between[:-1]
        )
        place = config.network.trace.steps.index(step)
        assert demonstrations.traced[index, place] == known
        if known:
            points = [between[-1]["tool_pixel_front"], between[-1]["target_pixel_front"]]
            np.testing.assert_allclose(demonstrations.traces[index, place], points, atol=1e-6)
    assert 0 < demonstrations.traced.sum() < demonstrations.traced.size


def test_a_tool_that_has_reached_its_target_is_above_it_in_the_image(reach: Simulation) -> None:
    clean = MakeBursts(DisturbanceConfig(clean=1.0))("reach", 1_000_000)
    last = list(episode(reach, clean, 1))[-1]
    tool, target = last["tool_pixel_front"], last["target_pixel_front"]
    assert abs(tool[0] - target[0]) < 0.1
    assert target[1] - 0.35 < tool[1] < target[1]


def test_joined_demonstrations_give_the_same_batches_as_their_parts(
    recipe: Recipe, demonstrations: Demonstrations
) -> None:
    twice = Demonstrations.joined([demonstrations, demonstrations])
    count = len(demonstrations)
    rows = np.array([0, count - 1, count, 2 * count - 1])
    one = demonstrations.batch(rows % count, recipe.statistics)
    two = twice.batch(rows, recipe.statistics)
    for name, images in one.inputs.images.items():
        assert torch.equal(images, two.inputs.images[name])
    assert torch.equal(one.inputs.tokens, two.inputs.tokens)
    assert torch.equal(one.labels.traces, two.labels.traces)


def test_positions_are_labels_and_pixels_point_at_them(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    table = read_columns(next(config.data.folder.glob("*.parquet")))
    pixels = np.array(table.column("target_pixel_front").to_pylist())
    assert np.all((pixels > 0.0) & (pixels < 1.0))
    assert demonstrations.positions.shape == (len(demonstrations), 6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seed": 2_000_000}, "less than 2000000"),
        ({"episodes": {}}, "must name a suite"),
        ({"episodes": {"tabletop": {}}}, "every suite needs a task"),
        ({"episodes": {"tabletop": {"reach": 0}}}, "greater than or equal to 1"),
        ({"episodes": {"a": {"reach": 1}, "b": {"reach": 1}}}, "task reach is in two suites"),
        ({"suite": "tabletop"}, "suite\n  Extra inputs are not permitted"),
        ({"disturbance": {"steps": (4, 1)}}, "the shortest comes first"),
    ],
)
def test_impossible_data_settings_are_refused(change: dict[str, Any], sentence: str) -> None:
    valid = {"folder": Path("data"), "episodes": {"tabletop": {"reach": 1}}}
    with pytest.raises(ValueError, match=sentence):
        DataConfig.model_validate(valid | change)


@pytest.mark.parametrize(
    ("episodes", "sentence"),
    [
        ({"nope": {"reach": 1}}, "there is no suite 'nope'"),
        ({"tabletop": {"fly": 1}}, "there is no task 'fly'"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_made(
    tmp_path: Path, episodes: dict[str, dict[str, int]], sentence: str
) -> None:
    folder = tmp_path / "data"
    with pytest.raises(SimulationError, match=sentence):
        generate(DataConfig(folder=folder, episodes=episodes), workers=1)
    assert not folder.exists()
