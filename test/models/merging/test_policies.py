# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies of the trainer are merged, exported and refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from magma_ros.cli import main
from magma_ros.models.data.dataset import Demonstrations
from magma_ros.models.export.export import export
from magma_ros.models.merging.methods import Method
from magma_ros.models.merging.report import write_report
from magma_ros.models.merging.run import Magic, Outcome, Plan, merge_checkpoints
from magma_ros.models.training.ancestry import read_ancestry
from magma_ros.models.training.checkpoint import AVERAGE, RECIPE, Recipe, load_policy, read_recipe
from magma_ros.models.training.train import Trainer
from magma_ros.policy.manifest import MANIFEST, read_manifest, sha256_of
from magma_ros.types import MagmaError

from .conftest import Family


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / AVERAGE)


def merged(family: Family, out: Path, **more: object) -> Outcome:
    given = {"base": family.base, "parents": family.parents, "out": out, **more}
    return merge_checkpoints(Plan(**given))  # type: ignore[arg-type]


def data_of(family: Family) -> Path:
    return read_recipe(family.base).config.data.folder


def calibrated_on(family: Family, magic: Magic | None) -> dict[str, object]:
    """Observations, where they are needed, and no guard: it tries every layer."""
    if magic not in ("fsc", "dsc"):
        return {}
    return {"observations": (data_of(family),), "per_task": 1, "guard": 0}


def changed(checkpoint: Path, to: Path, name: str, value: Tensor) -> Path:
    """A copy of a checkpoint with another tensor."""
    shutil.copytree(checkpoint, to)
    save_file(weights(checkpoint) | {name: value}, to / AVERAGE)
    return to


def refusal(family: Family, out: Path, **more: object) -> str:
    with pytest.raises(MagmaError) as refused:
        merged(family, out, **more)
    assert not out.exists()
    assert not list(out.parent.glob(f".{out.name}*"))
    return str(refused.value)


MAGICS: tuple[Magic | None, ...] = (None, "wsc", "fsc", "dsc")


@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("name", ["task-arithmetic", "ties"])
def test_one_parent_alone_gives_that_parent(
    family: Family, tmp_path: Path, name: str, magic: Magic | None
) -> None:
    method = Method(name, scale=1.0, density=1.0)  # type: ignore[arg-type]
    parents = family.parents[:1]
    more = {"method": method, "magic": magic, **calibrated_on(family, magic)}
    merged(family, tmp_path / "m", parents=parents, **more)
    found = weights(tmp_path / "m")
    for tensor, wanted in weights(parents[0]).items():
        torch.testing.assert_close(found[tensor], wanted, rtol=1e-6, atol=1e-7, msg=tensor)


@pytest.mark.parametrize("magic", [None, "dsc"])
def test_the_order_of_parents_does_not_matter(
    family: Family, tmp_path: Path, magic: Magic | None
) -> None:
    for out, parents in (("a", family.parents), ("b", family.parents[::-1])):
        more = calibrated_on(family, magic)
        merged(family, tmp_path / out, parents=parents, magic=magic, **more)
    one, two = (tmp_path / out / AVERAGE for out in "ab")
    assert sha256_of(one) == sha256_of(two)


def test_task_arithmetic_is_the_base_and_the_scaled_sum(family: Family, tmp_path: Path) -> None:
    merged(family, tmp_path / "m", method=Method(scale=0.7))
    base, one, two = (weights(folder) for folder in (family.base, *family.parents))
    for name, found in weights(tmp_path / "m").items():
        wanted = base[name] + 0.7 * ((one[name] - base[name]) + (two[name] - base[name]))
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, msg=name)


def test_ties_leaves_most_of_the_base_alone(family: Family, tmp_path: Path) -> None:
    merged(family, tmp_path / "m", method=Method("ties", density=0.1))
    base, found = weights(family.base), weights(tmp_path / "m")
    kept = [float((found[n] != base[n]).float().mean()) for n in base if base[n].ndim == 2]
    assert max(kept) <= 0.21 + 1 / 16  # a tenth of each of two, rounded up in each tensor


def test_calibrated_matrices_do_not_depend_on_the_scale_of_the_merge(
    family: Family, tmp_path: Path
) -> None:
    for out, scale in (("a", 0.3), ("b", 1.0)):
        merged(family, tmp_path / out, magic="wsc", method=Method(scale=scale))
    one, two = (weights(tmp_path / out) for out in "ab")
    for name, value in one.items():
        same = torch.allclose(value, two[name], rtol=1e-5, atol=1e-6)
        assert same == (value.ndim in (2, 4) or "proprioception_" in name), name


def test_the_guard_never_enlarges_what_is_sensitive_nor_shrinks_the_rest(
    family: Family, tmp_path: Path
) -> None:
    outcome = merged(family, tmp_path / "m", magic="dsc", observations=(data_of(family),), guard=3)
    assert outcome.sensitive is not None
    assert len(outcome.sensitive) == 3
    for name, sums in outcome.figures.items():
        if name in outcome.sensitive:
            assert sums.largest <= 1.0, name
        else:
            assert sums.least >= 1.0, name


def test_a_merged_policy_is_exported_with_its_parents_on_the_card(
    family: Family, tmp_path: Path
) -> None:
    outcome = merged(family, tmp_path / "m", name="both", magic="wsc")
    assert read_ancestry(tmp_path / "m") == outcome.ancestry
    bundle = export(tmp_path / "m", tmp_path / "bundle", precision="fp32")
    manifest = read_manifest(bundle)
    assert manifest.name == "both"
    assert manifest.licence == "Apache-2.0"
    assert "fine-tuned from tiny and merged by task arithmetic" in manifest.provenance.data
    for card in (bundle / "MODEL_CARD.md", tmp_path / "m" / "MODEL_CARD.md"):
        text = card.read_text()
        for parent in ("grasping", "pushing"):
            assert parent in text
        assert all(sha256_of(folder / AVERAGE) in text for folder in (family.base, *family.parents))
        assert "Trained from scratch" not in text


def test_parents_may_have_licences_of_their_own(family: Family, tmp_path: Path) -> None:
    ancestry = merged(family, tmp_path / "m").ancestry
    one, two = ancestry.parents
    other = ancestry.model_copy(
        update={"parents": (one, two.model_copy(update={"licence": "MIT"}))}
    )
    assert other.licence == "Apache-2.0 AND MIT"


def test_training_starts_from_a_merged_checkpoint(
    family: Family, recipe: Recipe, demonstrations: Demonstrations, tmp_path: Path
) -> None:
    from .conftest import fine_tuned

    merged(family, tmp_path / "m")
    run = fine_tuned(tmp_path / "m", recipe, demonstrations, tmp_path / "r", name="next", seed=9)
    assert read_recipe(run).started == sha256_of(tmp_path / "m" / AVERAGE)
    before, after = (load_policy(folder)[0].state_dict() for folder in (tmp_path / "m", run))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    found = Trainer(read_recipe(run), demonstrations, tmp_path / "again").state.network
    assert all(torch.equal(value, before[name]) for name, value in found.state_dict().items())


def test_the_report_tells_of_every_layer(family: Family, tmp_path: Path) -> None:
    outcome = merged(family, tmp_path / "m", magic="wsc")
    write_report(outcome, tmp_path / "reports" / "merge.json")
    content = json.loads((tmp_path / "reports" / "merge.json").read_text())
    assert content["pairs"] == [" and ".join(parent["name"] for parent in content["parents"])]
    assert set(content["layers"]) == {"stages.0", "stages.1", "stages.2"}
    base, one = weights(family.base), weights(family.parents[0])
    name = "stages.2.exit.bins.weight"
    index = [parent["name"] for parent in content["parents"]].index("grasping")
    norm = content["tensors"][name]["task vectors"][index]
    assert norm == pytest.approx(float((one[name] - base[name]).norm()), rel=1e-5)
    assert (tmp_path / "reports" / "merge.png").stat().st_size > 1000
    assert "| stages.1 |" in (tmp_path / "reports" / "merge.md").read_text()


def test_the_command_merges_and_prints_the_layers(
    family: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parents = [str(parent) for parent in family.parents]
    command = ["merge", "--base", str(family.base), "--parents", *parents, "--magic", "fsc"]
    command += ["--observations", str(data_of(family)), "--per-task", "1", "--guard", "0"]
    assert main([*command, "--out", str(tmp_path / "m")]) == 0
    assert "stages.2" in capsys.readouterr().out
    assert main([*command, "--out", str(tmp_path / "m")]) == 0  # a merged one is replaced


def test_the_first_tensor_of_another_shape_is_named(family: Family, tmp_path: Path) -> None:
    name = "stages.1.exit.bins.bias"
    other = changed(family.parents[0], tmp_path / "other", name, torch.zeros(3))
    told = refusal(family, tmp_path / "m", parents=(family.parents[1], other))
    assert f"{name} is 3 in {other} and 1785 in {family.base}" in told
    assert "fine-tuned from one base" in told


def test_a_missing_and_an_unknown_tensor_are_named(family: Family, tmp_path: Path) -> None:
    name = "stages.1.exit.bins.bias"
    other = changed(family.parents[0], tmp_path / "more", "novel", torch.zeros(3))
    told = refusal(family, tmp_path / "m", parents=(other,))
    assert f"{other} has novel, which {family.base} lacks" in told
    rest = {key: value for key, value in weights(family.base).items() if key != name}
    less = tmp_path / "less"
    shutil.copytree(family.parents[0], less)
    save_file(rest, less / AVERAGE)
    told = refusal(family, tmp_path / "m", parents=(less,))
    assert f"{less} lacks {name}" in told


def test_a_parent_that_is_the_base_is_refused(family: Family, tmp_path: Path) -> None:
    shutil.copytree(family.base, tmp_path / "copy")
    told = refusal(family, tmp_path / "m", parents=(family.parents[0], tmp_path / "copy"))
    assert f"{tmp_path / 'copy'} holds the base's own weights and adds nothing" in told


def test_a_parent_named_twice_is_refused(family: Family, tmp_path: Path) -> None:
    told = refusal(family, tmp_path / "m", parents=(family.parents[0], family.parents[0]))
    assert "hold the same weights" in told


def test_a_parent_of_another_base_is_refused(family: Family, tmp_path: Path) -> None:
    told = refusal(family, tmp_path / "m", base=family.parents[0], parents=family.parents[1:])
    assert "was fine-tuned from another base" in told


def test_weights_trained_apart_are_refused(family: Family, tmp_path: Path) -> None:
    torch.manual_seed(99)
    other = tmp_path / "other"
    shutil.copytree(family.parents[0], other)
    fresh = {n: w.std() * torch.randn_like(w) for n, w in weights(other).items() if w.numel() > 1}
    save_file(weights(other) | fresh, other / AVERAGE)
    told = refusal(family, tmp_path / "m", parents=(other,))
    assert f"{other} was not fine-tuned from {family.base}: stages.0." in told


def test_weights_that_are_not_numbers_are_refused(family: Family, tmp_path: Path) -> None:
    name = "stages.0.queries"
    broken = weights(family.parents[0])[name].clone()
    broken[0, 0, 0] = float("nan")
    other = changed(family.parents[0], tmp_path / "nan", name, broken)
    told = refusal(family, tmp_path / "m", parents=(other,))
    assert f"{name} in {other / AVERAGE} holds values that are not finite" in told


@pytest.mark.parametrize("magic", ["fsc", "dsc"])
def test_features_are_not_measured_on_nothing(family: Family, tmp_path: Path, magic: Magic) -> None:
    assert "needs --observations" in refusal(family, tmp_path / "m", magic=magic)
    empty = tmp_path / "empty"
    empty.mkdir()
    told = refusal(family, tmp_path / "m", magic=magic, observations=(empty,))
    assert f"{empty} holds no demonstrations" in told


def test_observations_of_every_task_are_needed(family: Family, tmp_path: Path) -> None:
    one = next(data_of(family).glob("tabletop-*.parquet"))
    (tmp_path / "some").mkdir()
    shutil.copy(one, tmp_path / "some")
    told = refusal(family, tmp_path / "m", magic="fsc", observations=(tmp_path / "some",))
    assert f"{tmp_path / 'some'} holds no observation of track" in told


def test_other_units_of_actions_are_refused_with_the_way_out(
    family: Family, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(family.parents[0], other)
    recipe = read_recipe(other)
    q99 = (0.5, *recipe.statistics.q99[1:])
    moved = replace(recipe, statistics=replace(recipe.statistics, q99=q99))
    (other / RECIPE).write_text(moved.to_json())
    told = refusal(family, tmp_path / "m", parents=(other,))
    assert f"{other} measures actions in other units than {family.base}: q99 of dx is 0.5" in told
    assert "start.checkpoint" in told
    assert "keep two policies apart" in told


def test_a_bundle_and_foreign_folders_are_refused(family: Family, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / MANIFEST).touch()
    assert "is a bundle" in refusal(family, tmp_path / "m", base=bundle)
    assert "holds no checkpoint" in refusal(family, tmp_path / "m", parents=(tmp_path / "none",))
    with pytest.raises(MagmaError, match="exists and is no merged checkpoint"):
        merged(family, family.base)
    assert (family.base / RECIPE).is_file()
    merged(family, tmp_path / "m")
    with pytest.raises(MagmaError, match="holds what is to be merged"):
        merged(family, tmp_path / "m", base=tmp_path / "m")
