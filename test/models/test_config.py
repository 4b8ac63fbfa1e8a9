# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training recipes: the shipped one is valid, others are refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from magma_ros.models.training.config import ConfigError, load_config, shipped_recipe
from magma_ros.share import share_file

from .conftest import recipe_dict, view


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_recipe_is_valid() -> None:
    assert load_config(share_file("models", "magma-nano.train.yaml")).name == "magma-nano"


def test_a_shipped_recipe_is_found_by_its_name_whatever_its_file_is_called() -> None:
    assert shipped_recipe("magma-nano") == share_file("models", "magma-nano.train.yaml")
    assert shipped_recipe("merge-grasping") == share_file("models", "merge", "grasping.train.yaml")
    assert shipped_recipe("nobody") is None


def test_every_shipped_recipe_has_a_name_of_its_own() -> None:
    recipes = sorted(share_file("models").rglob("*.train.yaml"))
    stated = [yaml.safe_load(path.read_text(encoding="utf-8")).get("name") for path in recipes]
    known = [name for name in stated if name is not None]  # what has none goes on with its base's
    assert len(set(known)) == len(known) > 8


def test_an_unknown_field_is_named(tmp_path: Path) -> None:
    content = recipe_dict(tmp_path)
    content["optimiser"]["momentum"] = 0.9
    with pytest.raises(ConfigError, match=r"unknown field optimiser\.momentum"):
        load_config(write(tmp_path, content))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("width", 15, "multiple of twice the number of heads"),
        ("stages", [{"think": 1}, {"think": 1}], "first stage must be a look"),
        ("stages", [{"look": ["front", "wrist"]}, {"think": 1, "exit": False}], "with an exit"),
        ("stages", [{"look": ["front"]}, {"think": 1}], "exactly one look"),
        (
            "views",
            [view("front", 32) | {"camera": "side"}, view("wrist", 16)],
            "camera side, which is not given",
        ),
        ("views", [view("front", 24), view("wrist", 16)], "whole fraction"),
        ("trace", {"camera": "side", "steps": [2]}, "trace reads camera side"),
        ("trace", {"camera": "front", "steps": [4, 2]}, "trace.steps must increase"),
    ],
)
def test_an_impossible_network_is_refused(
    tmp_path: Path, field: str, value: object, sentence: str
) -> None:
    content = recipe_dict(tmp_path)
    content["network"][field] = value
    with pytest.raises(ConfigError, match=sentence):
        load_config(write(tmp_path, content))


def test_training_never_takes_evaluation_seeds(tmp_path: Path) -> None:
    content = recipe_dict(tmp_path)
    content["data"]["seed"] = 1000
    with pytest.raises(ConfigError, match=r"data\.seed"):
        load_config(write(tmp_path, content))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_recipe_takes_from_its_base_what_it_leaves_out(tmp_path: Path) -> None:
    write(tmp_path, recipe_dict(tmp_path))
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump({"base": "recipe.yaml", "name": "other", "loss": {"trace": 0}}))
    found, base = load_config(path), load_config(tmp_path / "recipe.yaml")
    assert (found.name, found.loss.trace) == ("other", 0.0)
    assert found.network == base.network
    assert found.data == base.data


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("base: nothing.yaml")
    with pytest.raises(ConfigError, match=r"nothing\.yaml cannot be read"):
        load_config(path)


def test_recipes_that_go_round_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, recipe_dict(tmp_path) | {"base": "recipe.yaml"})
    with pytest.raises(ConfigError, match="end the chain of recipes"):
        load_config(path)


def test_the_base_of_a_base_counts_where_both_are_silent(tmp_path: Path) -> None:
    write(tmp_path, recipe_dict(tmp_path) | {"seed": 1})
    (tmp_path / "second.yaml").write_text("base: recipe.yaml\nseed: 2\n")
    (tmp_path / "third.yaml").write_text("base: second.yaml\nname: third\n")
    found = load_config(tmp_path / "third.yaml")
    assert (found.name, found.seed, found.description) == ("third", 2, "A policy for tests.")
