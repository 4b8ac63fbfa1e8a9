# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of Magma-8B's layout are merged shard by shard, tensor by tensor."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from magma_ros.models.magma.export import import_checkpoint
from magma_ros.models.magma.export_target import Target
from magma_ros.models.magma.reader import INDEX, Checkpoint
from magma_ros.models.magma.synthetic import TINY, random_weight, write_checkpoint
from magma_ros.models.merging import merge as merging
from magma_ros.models.merging.merge import Merge
from magma_ros.models.merging.methods import Method
from magma_ros.models.merging.run import Plan, merge_checkpoints
from magma_ros.models.merging.weights import open_family
from magma_ros.models.training.config import TrainingConfig
from magma_ros.policy.action_statistics import OWN
from magma_ros.policy.manifest import read_manifest
from magma_ros.types import MagmaError

from .conftest import Family

UP = "language_model.model.layers.1.mlp.up_proj.weight"
GAMMA = "vision_tower.clip_vision_model.trunk.stages.2.blocks.1.gamma"


def tuned(name: str, size: tuple[int, ...], seed: int) -> Tensor:
    """A weight of the base, moved by a tenth of what it is spread."""
    moved = random_weight(name, size, seed=seed)
    return random_weight(name, size) + 0.1 * (moved - random_weight(name, size, seed=99))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("layout")
    write_checkpoint(folder / "base", shard_bytes=1 << 23)
    for seed in (1, 2):
        write_checkpoint(
            folder / f"tuned-{seed}",
            shard_bytes=1 << 24,  # other shards than the base's
            weight=lambda name, size, seed=seed: tuned(name, size, seed),
        )
    (folder / "base" / "README.md").write_text(
        "---\nlibrary_name: transformers\nlicense: mit\n---\n"
    )
    return Family(folder / "base", (folder / "tuned-1", folder / "tuned-2"))


@pytest.fixture
def changed(layout: Family, tmp_path: Path) -> Path:
    """A copy of a parent, linked file by file: replace files, never write into one."""
    return shutil.copytree(layout.parents[0], tmp_path / "changed", copy_function=os.link)


def merged(layout: Family, out: Path, *parents: Path, **more: object) -> Checkpoint:
    given = {"base": layout.base, "parents": parents or layout.parents, "out": out, **more}
    merge_checkpoints(Plan(**given))  # type: ignore[arg-type]
    return Checkpoint.open(out)


def refusal(layout: Family, out: Path, *parents: Path) -> str:
    with pytest.raises(MagmaError) as refused:
        merged(layout, out, *parents)
    assert not out.exists()
    return str(refused.value)


def edit(checkpoint: Path, name: str, value: Tensor) -> None:
    """Replace the shard of a tensor by one in which it is another."""
    path = checkpoint / json.loads((checkpoint / INDEX).read_text())["weight_map"][name]
    tensors = load_file(path) | {name: value}
    path.unlink()
    save_file(tensors, path)


def test_a_merge_has_the_bases_files_and_opens(layout: Family, tmp_path: Path) -> None:
    found = merged(layout, tmp_path / "m", method=Method(scale=0.5))
    base, one, two = (Checkpoint.open(folder) for folder in (layout.base, *layout.parents))
    assert found.shape == base.shape
    assert {t.file.name for t in found.stored.values()} == {
        t.file.name for t in base.stored.values()
    }
    assert (tmp_path / "m" / "tokenizer.json").read_bytes() == (
        layout.base / "tokenizer.json"
    ).read_bytes()
    for name in (UP, GAMMA):
        first, *rest = (c.tensor(name, torch.float32) for c in (base, one, two))
        wanted = first + 0.5 * sum(value - first for value in rest)
        torch.testing.assert_close(
            found.tensor(name, torch.float32), wanted, rtol=2**-8, atol=2**-8, msg=name
        )
    assert found.tensor(UP).dtype == torch.bfloat16
    card = (tmp_path / "m" / "MODEL_CARD.md").read_text()
    assert "| base | base | MIT |" in card
    assert "NOASSERTION" in card  # the parents state none


@pytest.mark.parametrize("method", [Method(), Method("ties", density=0.3)])
def test_blocks_of_a_tensor_make_no_difference(
    layout: Family, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    base, parents = open_family(layout.base, list(layout.parents))

    def pieces(name: str) -> list[Tensor]:
        return list(Merge(base, parents, method, "mean").pieces(name))

    whole = {name: pieces(name) for name in (UP, GAMMA)}
    assert all(len(parts) == 1 for parts in whole.values())
    monkeypatch.setattr(merging, "BLOCK", 1000)
    parts = pieces(UP)
    assert len(parts) > 5
    assert torch.equal(torch.cat(parts), whole[UP][0])
    assert torch.equal(pieces(GAMMA)[0], whole[GAMMA][0])


def test_one_parent_alone_gives_that_parent(layout: Family, tmp_path: Path) -> None:
    found = merged(layout, tmp_path / "m", layout.parents[0], magic="wsc")
    wanted = Checkpoint.open(layout.parents[0])
    for name, tensor in found.tensors():
        torch.testing.assert_close(tensor, wanted.tensor(name), rtol=2**-7, atol=1e-6, msg=name)


def test_features_of_the_layout_are_calibrated_on_pictures(
    layout: Family, tmp_path: Path, demonstrations: object, config: TrainingConfig
) -> None:
    del demonstrations  # makes them
    (shard,) = config.data.folder.glob("tabletop-*.parquet")
    (tmp_path / "seen").mkdir()
    seen = (Path(shutil.copy(shard, tmp_path / "seen")).parent,) * 2
    method = Method(scale=0.25)
    more = {"magic": "fsc", "observations": seen, "per_task": 1, "guard": 0, "method": method}
    found = merged(layout, tmp_path / "b", **more).tensor(UP, torch.float32)
    first, *rest = (
        Checkpoint.open(folder).tensor(UP, torch.float32)
        for folder in (layout.base, *layout.parents)
    )
    plain = 0.25 * sum(value - first for value in rest)
    # The parents are at right angles: at this scale the merged features are too short.
    assert float((found - first).norm()) > 1.5 * float(plain.norm())
    with pytest.raises(MagmaError, match="one folder of observations for each of the 2 parents"):
        merged(layout, tmp_path / "c", **(more | {"observations": seen[:1]}))
    with pytest.raises(MagmaError, match="there is no camera side; use front or wrist"):
        merged(layout, tmp_path / "c", **(more | {"camera": "side"}))


def test_a_merged_checkpoint_becomes_a_bundle_that_names_its_parents(
    layout: Family, tmp_path: Path
) -> None:
    found = merged(layout, tmp_path / "m", name="both")
    target = Target(exits=(2,), name="both")
    bundle = import_checkpoint(found, tmp_path / "bundle", target)
    assert "tuned-1" in read_manifest(bundle).provenance.data
    assert "SHA-256 of the weights" in (bundle / "MODEL_CARD.md").read_text()


def test_weights_that_are_not_numbers_are_refused(
    layout: Family, changed: Path, tmp_path: Path
) -> None:
    broken = Checkpoint.open(changed).tensor(UP).clone()
    broken[3, 4] = float("inf")
    edit(changed, UP, broken)
    assert f"{UP} in {changed}" in refusal(layout, tmp_path / "m", changed)


def test_another_shape_names_its_first_tensor(layout: Family, tmp_path: Path) -> None:
    from dataclasses import replace

    other = replace(TINY, text=replace(TINY.text, hidden=96))
    write_checkpoint(tmp_path / "other", other)
    told = refusal(layout, tmp_path / "m", tmp_path / "other")
    name = "language_model.model.layers.0.mlp.gate_proj.weight"
    assert f"{name} is 96 x 64 in {tmp_path / 'other'} and 128 x 64 in {layout.base}" in told


def test_another_base_is_refused(layout: Family, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "other", seed=7)
    told = refusal(layout, tmp_path / "m", tmp_path / "other")
    assert f"was not fine-tuned from {layout.base}: vision_tower." in told


def test_a_policy_is_not_merged_with_this_layout(
    layout: Family, family: Family, tmp_path: Path
) -> None:
    told = refusal(layout, tmp_path / "m", family.base)
    assert "is a checkpoint of a policy, and" in told


def test_other_statistics_of_actions_are_refused_with_the_way_out(
    layout: Family, changed: Path, tmp_path: Path
) -> None:
    action = {"q01": [-1.0] * 6 + [0.0], "q99": [1.0] * 7, "mask": [True] * 6 + [False]}
    other = shutil.copytree(layout.parents[1], tmp_path / "other", copy_function=os.link)
    (changed / OWN).write_text(json.dumps({"cell": {"action": action}}))
    told = refusal(layout, tmp_path / "m", changed, other)
    assert "has the statistics none, the other cell" in told
    moved = action | {"q99": [1.0, 2.0, *[1.0] * 5]}
    (other / OWN).write_text(json.dumps({"cell": {"action": moved}}))
    told = refusal(layout, tmp_path / "m", changed, other)
    assert "in cell, q99 of dy is 2 instead of 1" in told
    assert "normalised with one dataset_statistics.json, or keep two policies apart" in told
    (other / OWN).write_text(json.dumps({"cell": {"action": action}}))
    merged(layout, tmp_path / "m", changed, other)
    assert (tmp_path / "m" / OWN).is_file()
