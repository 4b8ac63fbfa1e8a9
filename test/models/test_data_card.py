# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data card tells programs and people the same, and how to get the data and open them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from magma_ros.cli import main
from magma_ros.models.data.card import README, summarise
from magma_ros.models.data.config import DataConfig
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.data.generate import generate
from magma_ros.models.data.shards import CARD, SCHEMA
from magma_ros.models.data.statistics import Statistics
from magma_ros.models.training.config import TrainingConfig
from magma_ros.share import share_file

from .conftest import recipe_dict


def read_card(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / CARD).read_text())
    return card


def block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_card_counts_what_is_there(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    card = read_card(config.data.folder)
    assert [(t["suite"], t["task"], t["episodes"]) for t in card["tasks"]] == [
        ("moving", "track", 1),
        ("tabletop", "reach", 1),
    ]
    assert card["steps"] == len(demonstrations)
    assert list(card["columns"]) == SCHEMA.names
    statistics = Statistics.of(demonstrations.actions, demonstrations.proprioception)
    assert tuple(card["action"]["q99"]) == statistics.q99


def test_the_readme_opens_the_data_and_makes_them_again(
    config: TrainingConfig, demonstrations: Demonstrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (config.data.folder / README).read_text()
    monkeypatch.chdir(config.data.folder)
    names: dict[str, Any] = {}
    exec(block(text, "python"), names)
    assert len(names["steps"]) == len(demonstrations)
    again = yaml.safe_load(block(text, "yaml"))["data"]
    assert DataConfig(folder=config.data.folder, **again) == config.data


def test_the_command_line_makes_shows_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = recipe_dict(tmp_path / "unused")
    content["data"]["episodes"] = {"tabletop": {"reach": 1}}
    recipe, folder = tmp_path / "recipe.yaml", tmp_path / "made"
    recipe.write_text(yaml.safe_dump(content))
    words = ["data", "generate", "--config", str(recipe), "--out", str(folder), "--workers", "1"]
    assert main(words) == 0
    assert "steps/s" in capsys.readouterr().out
    card = (folder / CARD).read_bytes()
    assert main(words) == 0
    assert (folder / CARD).read_bytes() == card
    assert main(["data", "inspect", str(folder), "--json", str(tmp_path / "shown.json")]) == 0
    shown = json.loads((tmp_path / "shown.json").read_text())
    assert shown.items() <= read_card(folder).items()
    assert shown["bytes"] == sum(path.stat().st_size for path in folder.glob("*.parquet"))


def test_a_recipe_of_either_kind_makes_demonstrations_that_it_does_not_learn_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("magma-nano", "magma-small"):
        folder = tmp_path / name
        recipe = share_file("models", f"{name}.train.yaml")
        words = ["data", "generate", "--config", str(recipe), "--out", str(folder), "--workers"]
        assert main([*words, "1", "--episodes", "0"]) == 2
        assert "episodes.tabletop" in capsys.readouterr().err.replace("\n", "")
        assert main([*words, "1", "--seed", "7"]) == 2
        assert "1000000" in capsys.readouterr().err
    content = yaml.safe_load(recipe.read_text())
    content["data"]["episodes"] = {"tabletop": {"reach": 9}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
    words = ["data", "generate", "--config", str(tmp_path / "small.yaml"), "--out", str(folder)]
    assert main([*words, "--workers", "1", "--episodes", "1", "--seed", "1900000"]) == 0
    made = read_card(folder)
    assert (made["episodes"], made["recipe"]["data"]["seed"]) == (1, 1_900_000)


def test_wrong_requests_about_data_get_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_dict(tmp_path / "data")))
    aggregate = ["data", "aggregate", "--config", str(recipe), "--checkpoint", str(tmp_path)]
    for words, sentence in (
        (["data", "inspect", str(tmp_path)], "holds no demonstrations; generate them first"),
        (aggregate, "recipe.yaml has 0 rounds of aggregation, no 1"),
    ):
        assert main(words) == 2
        complaint = " ".join(capsys.readouterr().err.split())
        assert sentence in complaint


def test_skipping_damaged_files_must_be_asked_for(
    config: TrainingConfig, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    data = config.data.model_copy(update={"folder": tmp_path / "data"})
    generate(data, workers=1)
    (data.folder / "cut.parquet").write_bytes(b"PAR1")
    assert main(["data", "inspect", str(data.folder)]) == 2
    assert main(["data", "inspect", str(data.folder), "--skip-damaged"]) == 0
    assert summarise(data.folder, skip_damaged=True).steps == len(demonstrations)


def test_looking_into_data_needs_neither_torch_nor_the_simulator(
    config: TrainingConfig, demonstrations: Demonstrations
) -> None:
    absent = ("torch", "transformers", "onnx", "onnxscript", "pybullet", "gymnasium", "matplotlib")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        f"from magma_ros.cli import main; sys.exit(main(['data', 'inspect', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(config.data.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(demonstrations)}" in done.stdout
