# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, it resumes bit for bit, it refuses what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from magma_ros.models.data.config import AggregationConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.shards import DataError, read_columns
from magma_ros.models.network.losses import Losses
from magma_ros.models.training.aggregate import aggregate
from magma_ros.models.training.checkpoint import (
    AVERAGE,
    RECIPE,
    STATE,
    WEIGHTS,
    CheckpointError,
    Recipe,
    checkpoints,
    load_policy,
)
from magma_ros.models.training.rollout import TorchPolicy, success_rate
from magma_ros.models.training.runlog import CURVES, EVERY, LOSSES, RunLog
from magma_ros.models.training.steps import batch_rows
from magma_ros.models.training.train import AGGREGATED, Trainer, train
from magma_ros.types import MagmaError

from .conftest import recipe_dict


def test_steps_on_one_batch_lower_its_loss(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    trainer = Trainer(recipe, demonstrations, tmp_path)
    batch = trainer.next_batch()
    losses = [float(trainer.step(batch).total) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_a_resumed_run_continues_bit_for_bit(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    through = Trainer(recipe, demonstrations, tmp_path / "through")
    expected = [float(losses.total) for losses in through.steps(4)]

    stopped = Trainer(recipe, demonstrations, tmp_path / "stopped")
    stopped.train()
    last = checkpoints(tmp_path / "stopped")[-1]
    last.rename(tmp_path / "elsewhere")
    resumed = Trainer(recipe, demonstrations, tmp_path / "stopped")
    assert resumed.state.step == 2
    assert [float(losses.total) for losses in resumed.steps(4)] == expected[2:]
    for name, weights in through.state.average.state_dict().items():
        assert torch.equal(weights, resumed.state.average.state_dict()[name]), name


def test_resuming_with_another_recipe_is_refused(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    Trainer(recipe, demonstrations, tmp_path).train()
    optimiser = recipe.config.optimiser.model_copy(update={"clip": 0.5})
    other = replace(recipe, config=recipe.config.model_copy(update={"optimiser": optimiser}))
    with pytest.raises(CheckpointError, match=r"another optimiser\.clip"):
        Trainer(other, demonstrations, tmp_path)


def test_one_command_leads_from_nothing_to_a_checkpoint_that_acts(tmp_path: Path) -> None:
    content = recipe_dict(tmp_path / "data")
    content["data"]["episodes"] = {"tabletop": {"reach": 1}}
    content["optimiser"]["steps"] = 2
    content["check"] = {"every": 2, "episodes": 1}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    run = tmp_path / "run"
    checkpoint = train(path, out=run, workers=1)
    assert checkpoint.name == "step-000002"
    assert (run / CURVES).stat().st_size > 1000
    assert (run / "checks.csv").read_text().startswith("step,reach\n2,")
    network, recipe = load_policy(run)
    assert 0.0 <= success_rate(TorchPolicy(network, recipe), "tabletop", "reach", 1) <= 1.0
    with pytest.raises(MagmaError, match="already holds a run"):
        train(path, out=run)


def test_aggregation_adds_what_the_expert_says_to_the_policys_driving(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    rounds = tuple(
        AggregationConfig(
            after=after, seed_offset=offset, episodes={"tabletop": {"reach": 1}}, learning_rate=1e-4
        )
        for after, offset in ((2, 500_000), (3, 600_000))
    )
    longer = replace(recipe, config=recipe.config.model_copy(update={"aggregation": rounds}))
    trainer = Trainer(longer, demonstrations, tmp_path, workers=1)
    trainer.train()
    shards = sorted((tmp_path / AGGREGATED).glob("*/*.parquet"))
    assert [shard.parent.name for shard in shards] == ["round-1", "round-2"]
    tables = [read_columns(shard) for shard in shards]
    assert len(trainer.data) == len(demonstrations) + sum(map(len, tables))
    seeds = [set(table.column("seed").to_pylist()) for table in tables]
    assert seeds == [{1_500_000}, {1_600_000}]
    astray = tables[0].column("astray").to_pylist()
    assert astray[0]
    assert not all(astray)
    contents = [shard.read_bytes() for shard in shards]
    resumed = Trainer(longer, demonstrations, tmp_path, workers=1)
    resumed.train()
    assert len(resumed.data) == len(trainer.data)
    assert [shard.read_bytes() for shard in shards] == contents


def test_resuming_with_other_demonstrations_names_the_column(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    Trainer(recipe, demonstrations, tmp_path).train()
    statistics = recipe.statistics
    shifted = replace(statistics, q01=(*statistics.q01[:2], -0.5, *statistics.q01[3:]))
    with pytest.raises(
        CheckpointError, match=r"other demonstrations: q01 of dz is .* instead of -0\.5"
    ):
        Trainer(replace(recipe, statistics=shifted), demonstrations, tmp_path)


def test_a_policy_that_learned_from_other_demonstrations_does_not_drive(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    statistics = recipe.statistics
    other = replace(recipe, statistics=replace(statistics, q99=(0.5, *statistics.q99[1:])))
    checkpoint = Trainer(other, demonstrations, tmp_path / "run").train()
    aggregation = AggregationConfig(
        after=2, episodes={"tabletop": {"reach": 1}}, learning_rate=1e-4
    )
    with pytest.raises(DataError, match=r"did not learn from .*: q99 of dx is .* instead of 0\.5"):
        aggregate(checkpoint, recipe.config.data, aggregation, tmp_path / "made", workers=1)
    assert not (tmp_path / "made").exists()


def test_damaged_weights_are_named(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    checkpoint = Trainer(recipe, demonstrations, tmp_path).train()
    whole = (checkpoint / WEIGHTS).read_bytes()
    (checkpoint / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS} is missing or damaged"):
        Trainer(recipe, demonstrations, tmp_path)


def test_no_damage_to_a_checkpoint_is_more_than_a_sentence(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    checkpoint = Trainer(recipe, demonstrations, tmp_path).train()
    for name in (RECIPE, WEIGHTS, AVERAGE, STATE):
        whole = (checkpoint / name).read_bytes()
        for content in (b"", b"{}", b"[" * 100_000, b"\xff" * 64, whole[: len(whole) // 2]):
            (checkpoint / name).write_bytes(content)
            with pytest.raises(CheckpointError) as caught:
                Trainer(recipe, demonstrations, tmp_path)
            assert str(checkpoint) in str(caught.value)
            assert "\n" not in str(caught.value)
        (checkpoint / name).write_bytes(whole)


def test_a_damaged_record_of_the_losses_is_named(tmp_path: Path) -> None:
    for content in (b"step,total\n3,", b"\xff", b"step,total\nx,1\n", b"total\n1\n"):
        (tmp_path / LOSSES).write_bytes(content)
        with pytest.raises(MagmaError, match=rf"{LOSSES} is (damaged|not text)"):
            RunLog(tmp_path, 4, 2)


def test_a_record_makes_its_folder_before_any_checkpoint_does(tmp_path: Path) -> None:
    run = tmp_path / "checkpoints" / "policy"
    log = RunLog(run, 0, 2)
    loss = torch.tensor(1.0)
    for step in range(1, EVERY + 1):
        log.add(step, Losses(loss, {"error": loss}))
    assert (run / LOSSES).is_file()


def test_a_folder_without_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_policy(tmp_path)


def test_every_sample_is_seen_once_a_pass() -> None:
    seen = sorted(row for step in range(5) for row in batch_rows(0, step, 4, 20))
    assert seen == list(range(20))


def test_losses_are_written_down(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    optimiser = recipe.config.optimiser.model_copy(update={"steps": 20})
    longer = replace(recipe, config=recipe.config.model_copy(update={"optimiser": optimiser}))
    Trainer(longer, demonstrations, tmp_path).train()
    header, row = (tmp_path / LOSSES).read_text().splitlines()
    assert header.startswith("step,total")
    assert row.startswith("20,")
