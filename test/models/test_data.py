# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations: reproducible, resumable, and honest about which labels hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
from magma_ros.models.shards import DataError, read_columns
from magma_ros.models.words import make_tokenizer
from magma_ros.sim.language import vocabulary


def test_the_same_seed_gives_the_same_bytes(
    config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    shard = plan_shards(config.data, tmp_path, MakeBursts(config.data.disturbance))[0]
    write_shard(shard)
    original = config.data.folder / shard.path.name
    assert shard.path.read_bytes() == original.read_bytes()


def test_an_interrupted_run_makes_only_what_is_missing(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    first, second = sorted(config.data.folder.glob("*.parquet"))
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
