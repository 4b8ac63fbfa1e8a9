# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Export: the bundle says what the network says, in every stage."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.export import export as export_module
from magma_ros.models.export.export import export
from magma_ros.models.export.onnx_graph import write_onnx
from magma_ros.models.export.parity import Deviation, ParityError
from magma_ros.models.network.actions import decode
from magma_ros.models.network.config import NetworkConfig
from magma_ros.models.network.graphs import example_inputs, run_stages
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.training.checkpoint import Recipe, load_policy
from magma_ros.models.training.rollout import inputs_of
from magma_ros.models.training.train import Trainer
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.sim.simulation import Simulation

from .conftest import check_graphs, recipe_dict


@pytest.fixture(scope="module")
def checkpoint(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return Trainer(recipe, demonstrations, tmp_path_factory.mktemp("run")).train()


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    return export(checkpoint, out, episodes=1)


@pytest.fixture(scope="module")
def single(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in fp32."""
    return export(checkpoint, tmp_path_factory.mktemp("bundles") / "fp32", precision="fp32")


def test_every_fp32_graph_equals_its_stage(checkpoint: Path, single: Path) -> None:
    check_graphs(checkpoint, single)


def test_the_stages_together_are_the_network(checkpoint: Path) -> None:
    network, recipe = load_policy(checkpoint)
    scene = example_inputs(recipe.config.network)
    with torch.inference_mode():
        whole = network(inputs_of(scene))
    *_, (_, _, outputs) = run_stages(network.stage_graphs(), scene)
    assert torch.equal(outputs["action"], decode(whole.exits[-1].logits).action)


def test_an_int8_bundle_plans_in_the_staged_runtime(bundle: Path) -> None:
    policy = StagedPolicy.load(bundle, threads=1)
    simulation = Simulation("reach", seed=1)
    inference = policy.start(simulation.observation())
    simulation.close()
    readings = [inference.advance() for _ in policy.manifest.stages]
    assert [reading.depth for reading in readings if reading] == [1, 2]
    assert readings[-1].chunk.actions.shape == (4, 7)


def test_the_card_tells_success_at_every_exit_and_under_the_controls(bundle: Path) -> None:
    metrics = read_manifest(bundle).provenance.metrics
    assert {"exit 1/reach", "exit 2/reach"} < metrics.keys()
    assert len(metrics) == 10
    card = (bundle / "MODEL_CARD.md").read_text()
    for part in ("every exit by task", "| task | exit 1 | exit 2 |", "| cameras black | track |"):
        assert part in card


def test_the_card_has_the_time_of_every_stage_in_every_runtime(bundle: Path) -> None:
    card = (bundle / "MODEL_CARD.md").read_text()
    _, _, table = card.partition("| stage | PyTorch | ONNX fp32 | ONNX int8 |")
    for stage in [*(stage.name for stage in read_manifest(bundle).stages), "sum of medians"]:
        (row,) = re.findall(rf"^\| {stage} \| ([\d.].*\d.*) \|$", table, re.MULTILINE)
        times = [[float(time) for time in re.findall(r"[\d.]+", cell)] for cell in row.split("|")]
        assert len(times) == 3
        for median, *quartiles in times:
            assert median > 0.0
            assert not quartiles or quartiles[0] <= median <= quartiles[1]


def test_int8_weights_are_smaller(bundle: Path, single: Path) -> None:
    stages = zip(
        StagedPolicy.load(bundle).manifest.stages,
        StagedPolicy.load(single).manifest.stages,
        strict=True,
    )
    assert all(int8.weight_bytes < fp32.weight_bytes for int8, fp32 in stages)


def test_graphs_carry_no_traces_of_the_machine(bundle: Path) -> None:
    for path in bundle.glob("*.onnx"):
        assert not onnx.load(path).graph.value_info
        assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()


def test_a_bundle_that_disagrees_never_replaces_the_last(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiny"
    out.mkdir()
    (out / "kept").touch()
    far_off = ([Deviation(depth=2, mean=0.3, p99=1.0, largest=1.0)], 0.3)
    monkeypatch.setattr(export_module, "compare", lambda *_: far_off)
    with pytest.raises(ParityError, match="exit 2 of the int8 bundle differs"):
        export(checkpoint, out)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert (out / "kept").exists()


def test_a_later_look_appends_its_tokens(tmp_path: Path) -> None:
    content = recipe_dict(tmp_path)["network"]
    content["stages"] = [{"look": ["front"]}, {"think": 1}, {"look": ["wrist"]}, {"think": 1}]
    config = NetworkConfig.model_validate(content)
    network = MagmaPolicy(config, vocabulary=20)
    runs = list(run_stages(network.stage_graphs(), example_inputs(config)))
    lengths = [made[f"state_{i}"].shape[1] for i, (_, _, made) in enumerate(runs[:-1])]
    assert lengths[0] == lengths[1]
    assert lengths[2] == lengths[1] + 2 * 2 + config.grounding
    graph, given, wanted = runs[2]
    assert graph.inputs == ("image_wrist", "state_1", "instruction")
    write_onnx(graph, given, tmp_path / "look.onnx")
    session = ort.InferenceSession(tmp_path / "look.onnx")
    (found,) = session.run(None, {name: given[name].numpy() for name in graph.inputs})
    np.testing.assert_allclose(found, wanted["state_2"].numpy(), atol=1e-4)
