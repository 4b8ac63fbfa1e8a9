# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cascade plans at every exit as the policy does whose exit it is, and can be trained on."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from magma_ros.cli import main
from magma_ros.models.export.cascade import make_cascade, rename
from magma_ros.models.export.foreign import create_bundle
from magma_ros.models.export.foreign_answers import Answers
from magma_ros.models.training.checkpoint import read_recipe
from magma_ros.models.training.config import load_config
from magma_ros.models.training.restore import recipe_of, restore_bundle
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import Manifest, read_manifest, sha256_of, write_manifest
from magma_ros.policy.report import verify
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.share import share_file
from magma_ros.types import ExitReading, Observation

THEIRS = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("foreign_policies.py"))))


@pytest.fixture(scope="module")
def cascade(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cascade") / "both"
    make_cascade(bundle, bundle, out, "magma bundle cascade", name="both")
    return out


def seen(manifest: Manifest) -> Observation:
    rng = np.random.default_rng(5)
    shown = manifest.observation
    return Observation(
        stamp=0.0,
        images={
            camera.name: rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
            for camera in shown.cameras
        },
        proprioception=rng.normal(size=len(shown.proprioception)),
        fields=shown.proprioception,
        instruction="pick up the red cube",
    )


def readings(folder: Path) -> list[ExitReading]:
    """What every exit proposes."""
    policy = StagedPolicy.load(folder, threads=1)
    inference = policy.start(seen(policy.manifest))
    found = [inference.advance() for _ in policy.manifest.stages]
    return [reading for reading in found if reading is not None]


def altered(bundle: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a bundle with another manifest."""
    copy = shutil.copytree(bundle, folder)
    content = read_manifest(copy).model_dump(by_alias=True)
    change(content)
    write_manifest(copy, Manifest.model_validate(content))
    return copy


def test_every_exit_plans_as_the_policy_whose_exit_it_is(bundle: Path, cascade: Path) -> None:
    alone, together = readings(bundle), readings(cascade)
    assert [reading.depth for reading in together] == [1, 2, 3, 4]
    for mine, theirs in zip(together, [*alone, *alone], strict=True):
        np.testing.assert_array_equal(mine.chunk.actions, theirs.chunk.actions)
        assert mine.confidence.entropy == theirs.confidence.entropy
    total = alone[-1].flops
    assert [r.flops for r in together] == [
        *(r.flops for r in alone),
        *(total + r.flops for r in alone),
    ]


def test_a_cascade_is_sound_and_says_what_it_is_made_of(bundle: Path, cascade: Path) -> None:
    assert all(check.problem is None for check in verify(cascade))
    card = (cascade / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "exits 1 to 2 are those of tiny" in card
    assert "exits 3 to 4 are those of tiny" in card
    own = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert own.startswith("# tiny\n")
    assert "\n## Limits\n" in own
    assert card.count("\n## tiny\n") == card.count("\n### Limits\n") == 2
    code = own.split("```")[1]
    assert card.count(code) == 2


def test_what_held_for_the_gate_of_one_is_not_said_of_both(bundle: Path, tmp_path: Path) -> None:
    deep = shutil.copytree(bundle, tmp_path / "deep")
    with (deep / "MODEL_CARD.md").open("a", encoding="utf-8") as card:
        card.write("\n## Gate\n\nAt most 8% of the decisions.\n\n## Afterword\n\nThe end.\n")
    make_cascade(bundle, deep, tmp_path / "both", "magma bundle cascade")
    told = (tmp_path / "both" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "At most 8%" not in told
    assert "### Afterword" in told


@pytest.mark.parametrize("place", ["first", "then", "both"])
def test_a_cascade_may_be_part_of_another_on_either_side(
    bundle: Path, cascade: Path, tmp_path: Path, place: str
) -> None:
    first = bundle if place == "then" else cascade
    then = bundle if place == "first" else cascade
    make_cascade(first, then, tmp_path / "more", "magma bundle cascade")
    wanted = [*readings(first), *readings(then)]
    for mine, theirs in zip(readings(tmp_path / "more"), wanted, strict=True):
        np.testing.assert_array_equal(mine.chunk.actions, theirs.chunk.actions)


def test_the_deeper_policy_may_be_replaced_by_the_cascade(bundle: Path, tmp_path: Path) -> None:
    deep = shutil.copytree(bundle, tmp_path / "deep")
    make_cascade(bundle, deep, deep, "magma bundle cascade")
    assert read_manifest(deep).exits == 4
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_a_policy_of_a_cascade_can_be_trained_on(
    trained: Path, bundle: Path, cascade: Path
) -> None:
    recipe = read_recipe(trained)
    alone, found = recipe.network(), recipe.network()
    restore_bundle(alone, bundle)
    restore_bundle(found, cascade)
    for name, weight in alone.state_dict().items():
        if ".positions." not in name:  # training aids, which are fresh
            np.testing.assert_array_equal(found.state_dict()[name], weight, err_msg=name)


def test_the_shipped_cascade_has_the_networks_of_both_recipes() -> None:
    shipped = share_file("models", "magma-metaworld")
    for name in ("magma-metaworld", "magma-metaworld-glance"):
        config = load_config(share_file("models", f"{name}.train.yaml"))
        restore_bundle(recipe_of(shipped, config).network(), shipped)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: m["action"].update(step_period=0.2), "action.step_period"),
        (lambda m: m["action"].update(q99=(2.0, *m["action"]["q99"][1:])), "action.q99"),
        (lambda m: m["observation"].update(max_tokens=11), None),
        (lambda m: m["observation"]["point"].update(camera="wrist"), "points"),
        (lambda m: m["trace"].update(camera="wrist"), "traces"),
        (lambda m: m["observation"]["cameras"][1].update(fit="letterbox"), "images of .* wrist"),
    ],
)
def test_policies_that_do_not_go_together_are_refused_by_what_differs(
    bundle: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], what: str | None
) -> None:
    if what is None:  # the graphs say how many tokens there are
        with pytest.raises(ValueError, match="tokens of stage look_0"):
            altered(bundle, tmp_path / "other", change)
        return
    other = altered(bundle, tmp_path / "other", change)
    with pytest.raises(BundleError, match=f"have different {what}; train both on the same data"):
        make_cascade(other, bundle, tmp_path / "out", "magma bundle cascade")
    assert not (tmp_path / "out").exists()


def test_policies_of_different_words_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = shutil.copytree(bundle, tmp_path / "other")
    words = other / "tokenizer.json"
    words.write_text(words.read_text(encoding="utf-8") + " ", encoding="utf-8")
    manifest = read_manifest(other)
    assert manifest.tokenizer is not None
    named = manifest.tokenizer.model_copy(update={"sha256": sha256_of(words)})
    write_manifest(other, manifest.model_copy(update={"tokenizer": named}))
    with pytest.raises(BundleError, match="have different words"):
        make_cascade(other, bundle, tmp_path / "out", "magma bundle cascade")


@pytest.mark.parametrize("place", ["first", "then"])
def test_a_policy_that_does_not_say_how_sure_it_is_is_refused(
    bundle: Path, tmp_path: Path, place: str
) -> None:
    joints = THEIRS.JOINTS
    answers = Answers(
        name="plain",
        kind="joint_position",
        dims=[{"name": joint, "unit": "rad"} for joint in joints],
        step_period=0.1,
        fields=[f"{joint}.position" for joint in joints],
    )
    plain = tmp_path / "plain"
    create_bundle(THEIRS.mlp(tmp_path / "mlp.onnx"), answers, plain, "magma bundle create")
    pair = (plain, bundle) if place == "first" else (bundle, plain)
    with pytest.raises(BundleError, match=r"an exit of .*plain does not say how sure it is"):
        make_cascade(*pair, tmp_path / "out", "magma bundle cascade")


def test_a_damaged_first_policy_is_refused_and_nothing_is_written(
    bundle: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(bundle, tmp_path / "other")
    (other / "look_0.onnx").write_bytes(b"cut short")
    with pytest.raises(BundleError, match=r"look_0\.onnx is missing or altered"):
        make_cascade(other, bundle, tmp_path / "out", "magma bundle cascade")
    with pytest.raises(BundleError, match=r"look_0\.onnx"):
        make_cascade(bundle, other, tmp_path / "out", "magma bundle cascade")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_names_inside_of_branches_are_changed_too() -> None:
    def branch(name: str) -> onnx.GraphProto:
        node = helper.make_node("Identity", ["state_0"], [name])
        return helper.make_graph(
            [node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])]
        )

    node = helper.make_node(
        "If", ["which"], ["state_1"], then_branch=branch("yes"), else_branch=branch("no")
    )
    given = [
        helper.make_tensor_value_info("which", TensorProto.BOOL, []),
        helper.make_tensor_value_info("state_0", TensorProto.FLOAT, [1]),
    ]
    made = [helper.make_tensor_value_info("state_1", TensorProto.FLOAT, [1])]
    model = helper.make_model(
        helper.make_graph([node], "stage", given, made),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    rename(model.graph, {"state_0": "first_state_0", "state_1": "first_state_1"})
    session = ort.InferenceSession(model.SerializeToString())
    value = np.array([3.0], np.float32)
    (found,) = session.run(["first_state_1"], {"which": np.array(True), "first_state_0": value})
    np.testing.assert_array_equal(found, value)


def test_the_command_makes_one_of_two_folders(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "both"
    command = ["bundle", "cascade", str(bundle), str(bundle), "--out", str(out), "--name", "both"]
    assert main(command) == 0
    assert read_manifest(out).name == "both"
    assert "is whole and has run once" in " ".join(capsys.readouterr().out.split())
