# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX file and a few answers become a bundle that plans what the file does, or one sentence."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from onnx import TensorProto
from tokenizers import Tokenizer, models, pre_tokenizers

from magma_ros.cli.creation import complete, create
from magma_ros.models.export.foreign import create_bundle
from magma_ros.models.export.foreign_answers import Answers
from magma_ros.models.export.foreign_graph import ForeignError
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import MagmaError, Observation

THEIRS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "foreign_policies.py")))
SIX = {"kind": "joint_position", "dims": [{"name": n, "unit": "rad"} for n in THEIRS.JOINTS]}
FIELDS = [f"{name}.position" for name in THEIRS.JOINTS]
BARE = {"name": "six", "step_period": 0.05, "fields": FIELDS, **SIX}


def chunk_of(folder, **observed):
    policy = StagedPolicy.load(folder, threads=1)
    seen = policy.manifest.observation
    observation = Observation(
        3.0,
        observed.get("images", {}),
        np.array(observed["state"], np.float32),
        seen.proprioception,
        observed.get("instruction", ""),
    )
    return policy.start(observation).advance()


def test_a_plain_mlp_of_six_joints_needs_no_more_than_names_and_a_period(tmp_path):
    state = np.linspace(-1.0, 1.0, 6)
    manifest = create_bundle(
        THEIRS.mlp(tmp_path / "p.onnx"), Answers(**BARE), tmp_path / "six", "test"
    )
    assert manifest.action.space.joints == THEIRS.JOINTS
    assert manifest.exits == 1
    assert manifest.stages[0].flops == 2 * (6 * 16 + 16 * 24)
    reading = chunk_of(tmp_path / "six", state=state)
    session = StagedPolicy.load(tmp_path / "six", threads=1)
    assert session.manifest == manifest == read_manifest(tmp_path / "six")
    rng = np.random.default_rng(3)
    w1, w2 = rng.normal(0.0, 0.3, (6, 16)), rng.normal(0.0, 0.01, (16, 24))
    expected = (np.maximum(state @ w1, 0.0) @ w2 + 0.3).reshape(4, 6)
    np.testing.assert_allclose(reading.chunk.actions, expected, atol=1e-5)
    assert np.isnan(reading.confidence.entropy)


ANSWERS = {
    "name": "seer",
    "kind": "ee_delta",
    "dims": ["dx", "dy", "dz", "droll", "dpitch", {"name": "gripper", "open": -1.0, "closed": 1.0}],
    "step_period": 0.1,
    "mean": [0.0] * 5 + [1.0],
    "std": [2.0] * 6,
    "output": "actions",
    "columns": [0, 1, 2, 3, 4, 6],
    "inputs": {
        "observation.images.top": {
            "camera": "top",
            "fit": "letterbox",
            "mean": [0.5, 0.25, 0.0],
            "std": [0.5, 1.0, 2.0],
        },
        "arm": {"fields": ["ee_z", "ee_x"], "mean": [1.0, 0.0], "std": [2.0, 1.0]},
        "hand": {"fields": ["gripper_opening"]},
        "noise": {"value": 0.5},
    },
    "template": "Do: {instruction}",
}


def with_tokenizer(folder):
    words = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "Do", ":", "lift", "it"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "theirs.json"))
    return ANSWERS | {"tokenizer": folder / "theirs.json"}


def test_images_states_and_words_are_brought_into_the_form_of_the_training(tmp_path):
    answers = Answers(**with_tokenizer(tmp_path))
    manifest = create_bundle(THEIRS.seer(tmp_path / "p.onnx"), answers, tmp_path / "b", "test")
    assert [t.name for t in manifest.stages[0].inputs] == [
        "image_top",
        "proprioception",
        "tokens",
        "attention_mask",
    ]
    image = np.zeros((8, 10, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 255, 51, 102
    state = {"ee_z": 3.0, "ee_x": 0.25, "gripper_opening": 0.5}
    reading = chunk_of(
        tmp_path / "b",
        images={"top": image},
        state=[state[name] for name in manifest.observation.proprioception],
        instruction="lift it",
    )
    colours = [(1.0 - 0.5) / 0.5, 0.2 - 0.25, 0.4 / 2.0]
    theirs = np.array([*colours, 1.0, 0.25, 4.0])  # of all nine without hand and noise
    expected = theirs * 2.0 + [0, 0, 0, 0, 0, 1.0]
    np.testing.assert_allclose(reading.chunk.actions, [expected], atol=1e-5)


def test_depth_and_a_history_are_fed_as_they_were_trained(tmp_path):
    nodes = [
        ("ReduceMax", ["depth"], ["far"], {"axes": [2, 3, 4], "keepdims": 0}),
        ("Slice", ["states", "first", "last", "axis"], ["x"], {}),
        ("Squeeze", ["x", "axis"], ["flat"], {}),
        ("Concat", ["far", "flat"], ["action"], {"axis": 1}),
    ]
    weights = {"first": np.array([0]), "last": np.array([1]), "axis": np.array([2])}
    given = [
        ("depth", TensorProto.FLOAT, [1, 2, 1, 4, 6]),
        ("states", TensorProto.FLOAT, [1, 2, 2]),
    ]
    graph = THEIRS.save(
        tmp_path / "p.onnx", nodes, weights, given, [("action", TensorProto.FLOAT, [1, 4])]
    )
    answers = Answers(
        name="deep",
        kind="joint_delta",
        dims=[{"name": n, "unit": "rad"} for n in "abcd"],
        step_period=0.1,
        fields=("a.position", "b.velocity"),
        frames=2,
        frame_period=0.1,
        inputs={"depth": {"depth": "top", "mean": [1.0], "std": [0.5]}},
    )
    create_bundle(graph, answers, tmp_path / "deep", "test")
    policy = StagedPolicy.load(tmp_path / "deep", threads=1)
    for stamp, far in ((1.0, 2.0), (1.1, 3.0)):
        state, fields = np.array([far, 0.0]), policy.manifest.observation.proprioception
        depths = {"top": np.full((4, 6), far, np.float32)}
        inference = policy.start(Observation(stamp, {}, state, fields, "", depths=depths))
    np.testing.assert_allclose(inference.advance().chunk.actions, [[2.0, 4.0, 2.0, 3.0]])


def changed(**changes):
    return lambda answers: answers | changes


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed(output="motion"), "the graph gives actions .*say under output"),
        (changed(columns=()), "has 9 columns, but the action has 6 dimensions"),
        (changed(columns=(0, 1, 2, 3, 4, 9)), "has 9 columns"),
        (changed(steps=3), "has 1 steps, but 3 are asked for"),
        (changed(tokenizer=None), "no tokenizer is given for the tokens"),
        (changed(template="Do it"), r"must hold \{instruction\} exactly once"),
        (changed(inputs={}), "the input arm .float .1, 2.. may be anything; say under inputs"),
        (
            changed(inputs=ANSWERS["inputs"] | {"legs": {"value": 0.0}}),
            "speak of an input legs, but the graph takes observation",
        ),
        (
            changed(inputs=ANSWERS["inputs"] | {"arm": {"fields": ["ee_x"]}}),
            "the input arm .float .1, 2.. takes 2 numbers, but 1 measured values",
        ),
        (
            changed(inputs=ANSWERS["inputs"] | {"arm": {"camera": "top"}}),
            "the input arm .float .1, 2.. is no image",
        ),
    ],
)
def test_what_cannot_be_mapped_is_named_in_one_sentence(tmp_path, change, sentence):
    graph = THEIRS.seer(tmp_path / "p.onnx")
    with pytest.raises(ForeignError, match=sentence) as caught:
        create_bundle(graph, Answers(**change(with_tokenizer(tmp_path))), tmp_path / "b", "test")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([2, 6], "takes several observations at a time"),
        ([1, 7], "takes 7 numbers, but 6 measured values are named"),
    ],
)
def test_a_graph_of_other_sizes_is_refused(tmp_path, sizes, sentence):
    node = ("Identity", ["obs"], ["action"], {})
    port = TensorProto.FLOAT, sizes
    graph = THEIRS.save(tmp_path / "p.onnx", [node], {}, [("obs", *port)], [("action", *port)])
    with pytest.raises(ForeignError, match=sentence):
        create_bundle(graph, Answers(**BARE), tmp_path / "b", "test")


def test_what_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "p.onnx").write_text("weights")
    for path in (tmp_path / "p.onnx", tmp_path / "q.onnx"):
        with pytest.raises(ForeignError, match="is not a readable ONNX file"):
            create_bundle(path, Answers(**BARE), tmp_path / "b", "test")


def test_the_command_takes_options_and_a_file_of_answers(tmp_path, capsys):
    graph, answers = THEIRS.mlp(tmp_path / "p.onnx"), tmp_path / "answers.yaml"
    answers.write_text(yaml.safe_dump({"name": "other", "step_period": 0.05, "licence": "MIT"}))
    made = tmp_path / "six"
    options = {"name": "six", "kind": "joint_delta", "dims": ",".join(THEIRS.JOINTS)}
    assert create(graph, out=made, answers=answers, **options) == 0
    manifest = read_manifest(made)
    assert (manifest.name, manifest.licence) == ("six", "MIT")
    assert manifest.observation.proprioception == tuple(FIELDS)
    assert "joint_delta: joint_1, joint_2" in capsys.readouterr().out


def test_what_is_missing_is_asked_for_on_a_terminal_and_named_elsewhere():
    told = {"Name of the policy": "mine", "Duration of one step [s]": "0.1"}

    def ask(question):
        kind = "joint_position" if question.startswith("What") else "a,rail:m,gripper"
        return told.get(question, kind)

    answers = complete({}, ask, None)
    assert [dim.unit for dim in answers.dims] == ["rad", "m", None]
    assert answers.fields == ("a.position", "rail.position", "gripper_opening")
    with pytest.raises(MagmaError, match=r"the step_period is not known.*--step-period"):
        complete({"name": "x", "kind": "ee_delta", "dims": "dx"}, None, None)
    with pytest.raises(MagmaError, match=r"kind.*see docs/action_spaces\.md"):
        complete({"name": "x", "kind": "torque", "dims": "dx", "step_period": 1}, None, None)
