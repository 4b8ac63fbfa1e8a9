# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: reproducible, resumable, and honest about which labels hold."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from magma_ros.models.checkpoint import Recipe
from magma_ros.models.config import TrainingConfig
from magma_ros.models.data import (
    Bursts,
    MakeBursts,
    claim_folder,
    episode,
    generate,
    plan_shards,
    write_shard,
)
from magma_ros.models.data_config import DataConfig, DisturbanceConfig
from magma_ros.models.dataset import Demonstrations, steps_until
from magma_ros.models.shards import DataError, find_shards, read_columns
from magma_ros.models.words import make_tokenizer
from magma_ros.sim.language import vocabulary


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


def test_a_truncated_shard_is_named(
    config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    whole = next(config.data.folder.glob("*.parquet"))
    broken = tmp_path / "reach-00000.parquet"
    broken.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"reach-00000\.parquet is damaged"):
        Demonstrations.read(tmp_path, config.network, make_tokenizer(vocabulary()))


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


def test_the_expert_reaches_its_goal_in_spite_of_disturbances(config: TrainingConfig) -> None:
    rough = DisturbanceConfig(clean=0.0, chance=0.3)
    rows = list(episode("tabletop", "reach", 1_000_000, MakeBursts(rough)("reach", 1_000_000), 1))
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


def test_a_tool_that_has_reached_its_target_is_above_it_in_the_image() -> None:
    clean = MakeBursts(DisturbanceConfig(clean=1.0))("reach", 1_000_000)
    last = list(episode("tabletop", "reach", 1_000_000, clean, 1))[-1]
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


def test_data_config_owns_its_seeds() -> None:
    with pytest.raises(ValueError, match="less than 2000000"):
        DataConfig(folder=Path("data"), episodes={"tabletop": {"reach": 1}}, seed=2_000_000)
