# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle can be trained on: its weights come back as the network's that it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.export.parity import compare, observations
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.training.checkpoint import Recipe, load_policy, read_recipe
from magma_ros.models.training.config import StartConfig, load_config
from magma_ros.models.training.restore import recipe_of, restore_bundle
from magma_ros.models.training.train import Trainer
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import share_file


def test_every_weight_of_a_bundle_comes_back(trained: Path, bundle: Path) -> None:
    made, recipe = load_policy(trained)
    found = recipe_of(bundle, recipe.config)
    assert found.vocabulary == recipe.vocabulary
    assert not found.statistics.difference(recipe.statistics, 1e-4)
    network = found.network()
    restore_bundle(network, bundle)
    restored = network.state_dict()
    for name, weight in made.state_dict().items():
        if "layer_scale" in name or "pwconv2" in name:
            continue  # only their product is in the bundle; see the next test
        if ".positions." not in name:
            torch.testing.assert_close(restored[name], weight, atol=1e-4, rtol=1e-4, msg=name)


def test_a_restored_network_plans_as_its_bundle_does(trained: Path, bundle: Path) -> None:
    recipe = read_recipe(trained)
    network = recipe.network()
    restore_bundle(network, bundle)
    graphs = network.stage_graphs()
    files = [bundle / stage.file for stage in read_manifest(bundle).stages]
    _, largest = compare(graphs, files, observations(recipe.config, recipe.tokenizer()))
    assert largest < 1e-3


@pytest.mark.parametrize("name", ["magma-nano", "magma-nano-marks"])
def test_a_shipped_bundle_plans_the_same_restored(name: str) -> None:
    shipped = share_file("models", name)
    config = load_config(share_file("models", f"{name}.train.yaml"))
    recipe = recipe_of(shipped, config)
    network = recipe.network()
    restore_bundle(network, shipped)
    files = [shipped / stage.file for stage in read_manifest(shipped).stages]
    scenes = observations(config, recipe.tokenizer())[1::8]
    deviations, _ = compare(network.stage_graphs(), files, scenes)
    assert len(deviations) == 6
    # As far as the int8 bundle was from the network that it was made from; see its card.
    assert max(deviation.mean for deviation in deviations) < 4e-3


def test_training_starts_from_the_bundle_that_the_recipe_names(
    trained: Path, bundle: Path, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    made, recipe = load_policy(trained)
    start = recipe.config.model_copy(update={"start": StartConfig(bundle=bundle)})
    trainer = Trainer(recipe_of(bundle, start), demonstrations, tmp_path)
    for network in (trainer.state.network, trainer.state.average):
        found = network.state_dict()["stages.1.exit.bins.weight"]
        torch.testing.assert_close(found, made.state_dict()["stages.1.exit.bins.weight"])


def test_new_words_come_after_those_of_the_bundle(trained: Path, bundle: Path) -> None:
    made, recipe = load_policy(trained)
    more = recipe_of(bundle, recipe.config, ("aardvark", *recipe.vocabulary))
    assert more.vocabulary == (*recipe.vocabulary, "aardvark")
    network = more.network()
    restore_bundle(network, bundle)
    name = "stages.0.instruction.embedding.weight"
    words = network.state_dict()[name]
    torch.testing.assert_close(words[:-1], made.state_dict()[name])
    assert words[-1].abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 32}, "x 16 instead of 1 x 4 x 32"),
        ({"chunk_length": 8}, "plans of 4 steps"),
        ({"proprioception": ("ee_x",)}, "other measured values"),
        ({"trace": None}, None),
    ],
)
def test_a_bundle_of_another_network_is_refused_in_one_sentence(
    trained: Path, bundle: Path, change: dict[str, object], reason: str | None
) -> None:
    config = read_recipe(trained).config
    network = config.network.model_copy(update=change)
    config = config.model_copy(update={"network": network})
    if reason is None:  # a head that the recipe does not want is left out
        restore_bundle(recipe_of(bundle, config).network(), bundle)
        return
    with pytest.raises(BundleError, match=f"does not fit the recipe's network .*{reason}"):
        restore_bundle(recipe_of(bundle, config).network(), bundle)


def test_a_bundle_with_other_stages_is_refused(recipe: Recipe, bundle: Path) -> None:
    shallow = MagmaPolicy(recipe.config.network, len(recipe.vocabulary) + 2)
    with pytest.raises(BundleError, match="its stages look_0, think_1, look_2, think_3"):
        restore_bundle(shallow, bundle)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"cut short")])
def test_a_damaged_bundle_is_refused(
    trained: Path, bundle: Path, tmp_path: Path, harm: object
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    harm(copy / "think_1.onnx")  # type: ignore[operator]
    with pytest.raises(BundleError, match=r"think_1\.onnx is missing or altered"):
        recipe_of(copy, read_recipe(trained).config)


def test_weights_in_another_file_are_refused(bundle: Path, tmp_path: Path) -> None:
    import onnx

    from magma_ros.models.training.graph_weights import graph_weights

    path = tmp_path / "think_1.onnx"
    model = onnx.load(bundle / "think_1.onnx")
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin")
    with pytest.raises(BundleError, match="keeps its weights in another file"):
        graph_weights(path)
