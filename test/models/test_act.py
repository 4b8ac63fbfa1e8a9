# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline: it learns, it acts without style, and its bundle plays like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.export.export import export
from magma_ros.models.network.act import normal_divergence
from magma_ros.models.network.config import LossConfig
from magma_ros.models.network.graphs import example_inputs, run_stages
from magma_ros.models.network.losses import Batch
from magma_ros.models.training.checkpoint import CheckpointError, Recipe, load_policy
from magma_ros.models.training.config import ConfigError, TrainingConfig, load_config
from magma_ros.models.training.rollout import TorchPolicy, inputs_of, success_rate
from magma_ros.models.training.runlog import LOSSES
from magma_ros.models.training.train import Trainer
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.share import share_file
from magma_ros.sim.simulation import Simulation

from .conftest import check_graphs, recipe_dict


def act_dict(folder: Path) -> dict[str, Any]:
    content = recipe_dict(folder)
    shared = {"cameras", "proprioception", "max_tokens", "chunk_length"}
    content["network"] = {name: content["network"][name] for name in shared} | {
        "kind": "act",
        "depths": [1, 1],
        "channels": [16, 32],
        "width": 16,
        "heads": 2,
        "hidden": 32,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "style": 4,
    }
    return content


def longer(recipe: Recipe, *, steps: int) -> Recipe:
    optimiser = recipe.config.optimiser.model_copy(update={"steps": steps})
    return replace(recipe, config=recipe.config.model_copy(update={"optimiser": optimiser}))


@pytest.fixture(scope="module")
def act(recipe: Recipe) -> Recipe:
    content = act_dict(recipe.config.data.folder)
    return replace(recipe, config=TrainingConfig.model_validate(content))


@pytest.fixture(scope="module")
def checkpoint(
    act: Recipe, demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return Trainer(act, demonstrations, tmp_path_factory.mktemp("run")).train()


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(checkpoint, tmp_path_factory.mktemp("bundles") / "act", precision="fp32")


def test_the_baseline_learns_from_the_shipped_policys_demonstrations() -> None:
    baseline, shipped = (
        load_config(share_file("models", f"{name}.train.yaml")) for name in ("act", "magma-nano")
    )
    assert baseline.network.kind == "act"
    assert baseline.data.model_copy(update={"more": ()}) == shipped.data
    assert shipped.aggregation[1].after == baseline.optimiser.steps, "compared at that step"
    assert baseline.augmentation == shipped.augmentation
    assert baseline.optimiser.batch == shipped.optimiser.batch


def test_steps_on_one_batch_lower_its_loss(
    act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    trainer = Trainer(longer(act, steps=10), demonstrations, tmp_path)
    batch = trainer.next_batch()
    errors = [float(trainer.step(batch).terms["error"]) for _ in range(10)]
    assert errors[-1] < errors[0]


def test_a_resumed_run_draws_the_same_styles(
    act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    through = Trainer(act, demonstrations, tmp_path / "through")
    expected = [float(losses.total) for losses in through.steps(4)]
    Trainer(act, demonstrations, tmp_path / "stopped").train()
    (tmp_path / "stopped" / "step-000004").rename(tmp_path / "elsewhere")
    resumed = Trainer(act, demonstrations, tmp_path / "stopped")
    assert [float(losses.total) for losses in resumed.steps(4)] == expected[2:]


def test_its_losses_are_written_down(
    act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    Trainer(longer(act, steps=20), demonstrations, tmp_path).train()
    assert (tmp_path / LOSSES).read_text().startswith("step,total,error,divergence,rate\n20,")


def test_the_divergence_is_that_of_normal_distributions() -> None:
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    found = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    normal = torch.distributions.Normal(torch.zeros(3, 4), torch.ones(3, 4))
    expected = torch.distributions.kl_divergence(found, normal).sum(dim=-1).mean()
    assert torch.allclose(normal_divergence(mean, log_variance), expected)
    assert float(expected) > 0.0


def test_the_weight_of_the_divergence_counts(
    act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    trainer = Trainer(act, demonstrations, tmp_path)
    losses = trainer.state.network.losses(trainer.next_batch(), LossConfig(divergence=3.0))
    expected = losses.terms["error"] + 3.0 * losses.terms["divergence"]
    assert torch.allclose(losses.total, expected)


def test_elements_that_are_no_labels_do_not_change_the_loss(
    act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    trainer = Trainer(act, demonstrations, tmp_path)
    inputs, labels = trainer.next_batch()
    labels.valid[:, -1] = False
    totals = []
    for value in (0.0, 1.0):
        labels.actions[:, -1] = value
        torch.manual_seed(0)
        losses = trainer.state.network.losses(Batch(inputs, labels), LossConfig())
        totals.append(losses.total.item())
    assert totals[0] == pytest.approx(totals[1], abs=1e-6)


def test_acting_needs_no_style(checkpoint: Path) -> None:
    network, recipe = load_policy(checkpoint)
    inputs = inputs_of(example_inputs(recipe.config.network))
    with torch.inference_mode():
        before = network.plan(inputs)
        for name, weights in network.named_parameters():
            if name.startswith("style."):
                weights.fill_(torch.nan)
            if name == "observer.style.weight":
                weights.mul_(10.0)
        assert torch.equal(network.plan(inputs), before)


def test_every_fp32_graph_equals_its_stage(checkpoint: Path, bundle: Path) -> None:
    check_graphs(checkpoint, bundle)


def test_the_stages_together_are_the_network(checkpoint: Path) -> None:
    network, recipe = load_policy(checkpoint)
    scene = example_inputs(recipe.config.network)
    *_, (_, _, outputs) = run_stages(network.stage_graphs(), scene)
    with torch.inference_mode():
        assert torch.equal(outputs["action"], network.plan(inputs_of(scene)))


def test_its_bundle_plays_in_the_staged_runtime(bundle: Path, checkpoint: Path) -> None:
    policy = StagedPolicy.load(bundle, threads=1)
    simulation = Simulation("reach", seed=1)
    inference = policy.start(simulation.observation())
    first, reading = inference.advance(), inference.advance()
    expected = TorchPolicy(*load_policy(checkpoint)).plan(simulation)
    simulation.close()
    assert first is None
    assert reading is not None
    assert reading.depth == 1
    np.testing.assert_allclose(reading.chunk.actions, expected, atol=1e-5)


def test_its_manifest_claims_neither_bins_nor_traces(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.action.bins is None
    assert manifest.trace is None
    assert "bins" not in (bundle / "MODEL_CARD.md").read_text()


def test_it_is_checked_in_the_simulator(checkpoint: Path) -> None:
    policy = TorchPolicy(*load_policy(checkpoint))
    assert 0.0 <= success_rate(policy, "tabletop", "reach", 1) <= 1.0


def test_resuming_with_another_kind_is_refused(
    recipe: Recipe, act: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    Trainer(act, demonstrations, tmp_path).train()
    with pytest.raises(CheckpointError, match=r"another network\.kind"):
        Trainer(recipe, demonstrations, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("layers", 3, r"unknown field network\.layers"),
        ("trace", {"camera": "front", "steps": [1]}, r"network\.trace"),
        ("kind", "diffusion", "there is no kind diffusion; use magma or act"),
        ("heads", 3, "multiple of the number of heads"),
        ("depths", [1], "as many depths as channels"),
        ("channels", [16, 24], "multiple of 16"),
        ("depths", [1] * 4, "as many depths as channels"),
        ("cameras", [{"name": "front", "height": 36, "width": 32}], "multiples of 8"),
    ],
)
def test_an_impossible_network_is_refused(
    tmp_path: Path, field: str, value: object, sentence: str
) -> None:
    content = act_dict(tmp_path)
    content["network"][field] = value
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=sentence):
        load_config(path)
