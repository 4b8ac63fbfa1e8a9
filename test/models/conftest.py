# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A very small recipe, and two real demonstrations made with it.

What extras bring is imported late, so that without them these tests are skipped by name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from magma_ros.sim.language import vocabulary
from magma_ros.sim.simulation import PROPRIOCEPTION

if TYPE_CHECKING:
    from magma_ros.models.data.dataset import Demonstrations
    from magma_ros.models.training.checkpoint import Recipe
    from magma_ros.models.training.config import TrainingConfig


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def camera(name: str, side: int) -> dict[str, Any]:
    return {"name": name, "height": side, "width": side}


def view(name: str, side: int) -> dict[str, Any]:
    return camera(name, side) | {"camera": name, "depths": [1, 1], "channels": [8, 16]}


def check_graphs(checkpoint: Path, folder: Path) -> None:
    """Compare what every stage in a folder says with PyTorch; what is not there is exported."""
    import onnxruntime as ort

    from magma_ros.models.export.onnx_graph import write_onnx
    from magma_ros.models.network.graphs import example_inputs, run_stages
    from magma_ros.models.training.checkpoint import load_policy

    network, recipe = load_policy(checkpoint)
    scene = example_inputs(recipe.config.network)
    for graph, given, wanted in run_stages(network.stage_graphs(), scene):
        path = folder / f"{graph.name}.onnx"
        if not path.exists():
            write_onnx(graph, given, path)
        session = ort.InferenceSession(path)
        found = session.run(list(graph.outputs), {n: given[n].numpy() for n in graph.inputs})
        for name, value in zip(graph.outputs, found, strict=True):
            np.testing.assert_allclose(value, wanted[name].numpy(), atol=1e-4, err_msg=name)


def recipe_dict(folder: Path) -> dict[str, Any]:
    return {
        "name": "tiny",
        "description": "A policy for tests.",
        "seed": 3,
        "network": {
            "cameras": [camera("front", 32), camera("wrist", 16)],
            "views": [view("front", 32), view("wrist", 16)],
            "proprioception": list(PROPRIOCEPTION),
            "max_tokens": 12,
            "chunk_length": 4,
            "width": 16,
            "heads": 2,
            "hidden": 32,
            "trace": {"camera": "front", "steps": [1, 3]},
            "stages": [{"look": ["front", "wrist"]}, {"think": 1}, {"think": 1}],
        },
        "data": {
            "folder": str(folder),
            "episodes": {"tabletop": {"reach": 1}, "moving": {"track": 1}},
            "shard": 1,
        },
        "optimiser": {"steps": 4, "batch": 8, "learning_rate": 1e-3, "warm_up": 1},
        "checkpoint_every": 2,
    }


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    from magma_ros.models.training.config import TrainingConfig

    return TrainingConfig.model_validate(recipe_dict(tmp_path_factory.mktemp("data") / "tiny"))


@pytest.fixture(scope="session")
def demonstrations(config: TrainingConfig) -> Demonstrations:
    from magma_ros.models.data.dataset import Demonstrations
    from magma_ros.models.data.generate import generate
    from magma_ros.models.data.words import make_tokenizer

    folder = generate(config.data, workers=1)
    return Demonstrations.read(folder, config.network, make_tokenizer(vocabulary()))


@pytest.fixture(scope="session")
def recipe(config: TrainingConfig, demonstrations: Demonstrations) -> Recipe:
    from magma_ros.models.data.statistics import Statistics
    from magma_ros.models.training.checkpoint import Recipe

    statistics = Statistics.of(demonstrations.actions, demonstrations.proprioception)
    return Recipe(config, vocabulary(), statistics)


def coarse_to_fine(config: TrainingConfig) -> TrainingConfig:
    """A network that looks twice and shrinks an image, so that all is folded that can be."""
    from magma_ros.models.network.config import NetworkConfig

    content = recipe_dict(config.data.folder)["network"] | {"point": {"camera": "front"}}
    coarse, wrist = content["views"]
    coarse["height"] = coarse["width"] = 16
    fine = coarse | {"name": "front_fine", "height": 32, "width": 32}
    content["views"] = [coarse, wrist, fine]
    content["stages"] = [{"look": ["front", "wrist"]}, {"think": 1}]
    content["stages"] += [{"look": ["front_fine"]}, {"think": 2}]
    return config.model_copy(update={"network": NetworkConfig.model_validate(content)})


@pytest.fixture(scope="session")
def trained(
    recipe: Recipe, demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint every weight of which has moved: FiLM and biases start at zero."""
    from magma_ros.models.data.dataset import Demonstrations
    from magma_ros.models.training.train import Trainer
    from magma_ros.sim.language import marked_vocabulary

    rate = recipe.config.optimiser.model_copy(update={"learning_rate": 0.05})
    config = coarse_to_fine(recipe.config).model_copy(update={"optimiser": rate})
    marked = replace(recipe, config=config, vocabulary=marked_vocabulary())
    data = Demonstrations.read(config.data.folder, config.network, marked.tokenizer())
    assert len(data) == len(demonstrations)
    return Trainer(marked, data, tmp_path_factory.mktemp("run")).train()


@pytest.fixture(scope="session")
def bundle(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fp32 bundle of that checkpoint."""
    from magma_ros.models.export.export import export

    return export(trained, tmp_path_factory.mktemp("bundles") / "tiny", precision="fp32")
