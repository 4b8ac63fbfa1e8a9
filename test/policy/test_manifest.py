# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest says everything once, and contradicts itself never."""

import numpy as np
import pytest

from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import MANIFEST, read_manifest, write_manifest
from magma_ros.spaces import MAGMA
from magma_ros.types import MagmaError


def test_what_is_written_is_read_back(bundle, tmp_path):
    manifest = read_manifest(bundle)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_older_than_traces_is_read(bundle, edit_manifest):
    def forget(content):
        del content["trace"]
        for stage in content["stages"]:
            stage["outputs"] = [t for t in stage["outputs"] if t["name"] != "trace"]

    edit_manifest(forget)
    assert read_manifest(bundle).trace is None


def test_a_policy_that_takes_no_point_says_nothing_of_it(bundle, pointing_bundle, tmp_path):
    write_manifest(tmp_path, read_manifest(bundle))
    assert "point" not in (tmp_path / MANIFEST).read_text()
    assert read_manifest(pointing_bundle).observation.point.camera == "front"


def test_writing_leaves_nothing_half_written(bundle, tmp_path):
    manifest = read_manifest(bundle)
    blocked = tmp_path / "blocked"
    (blocked / MANIFEST).mkdir(parents=True)
    with pytest.raises(MagmaError, match=MANIFEST):
        write_manifest(blocked, manifest)
    assert [path.name for path in blocked.iterdir()] == [MANIFEST]


def test_the_yaml_speaks_of_exits(bundle):
    text = (bundle / MANIFEST).read_text()
    assert "exit: 3" in text
    assert "depth" not in text


def test_unnormalising_maps_the_range_to_the_quantiles_and_spares_the_gripper(bundle):
    action = read_manifest(bundle).action
    np.testing.assert_allclose(action.unnormalise(np.full((2, 7), -1.0))[1, :6], action.q01[:6])
    np.testing.assert_allclose(action.unnormalise(np.full((2, 7), 1.0))[0, :6], action.q99[:6])
    np.testing.assert_allclose(action.unnormalise(np.full(7, 0.25))[6], 0.25)


JOINTS = [
    {"name": "shoulder", "unit": "rad", "low": -1.0, "high": 2.0},
    {"name": "rail", "unit": "m"},
    {"name": "hand", "open": -1.0, "closed": 1.0},
]


def test_plain_units_pass_through_within_the_dimensions_limits(bundle, edit_manifest):
    edit_manifest(lambda c: c["action"].update(BARE, kind="joint_position", dims=JOINTS))
    with pytest.raises(BundleError, match=r"action of stage think_1 is float32 \[1, 4, 7\], not"):
        read_manifest(bundle)
    action = ActionContract(**BARE, kind="joint_position", dims=JOINTS, **STEPS)
    assert action.ranges == (3.0, 1.0, 2.0)
    np.testing.assert_allclose(action.unnormalise(np.array([-4.0, -4.0, 0.5])), [-1.0, -4.0, 0.5])
    np.testing.assert_allclose(action.in_network_units(np.full(3, 1.5)), [1.0, 3.0, 1.5])


def test_names_that_tell_everything_stand_alone_in_the_yaml():
    action = ActionContract(**BARE, kind="joint_position", dims=["gripper", *JOINTS], **STEPS)
    assert action.model_dump()["dims"] == ["gripper", *JOINTS]
    assert ActionContract(**BARE, **STEPS).model_dump()["dims"] == list(MAGMA.names)
    assert ActionContract(**BARE, **STEPS).space == MAGMA


BARE = {"q01": (), "q99": (), "mask": (), "bins": None}
STEPS = {"chunk_length": 4, "step_period": 0.1}


def _stage(index, **changes):
    return lambda c: c["stages"][index].update(changes)


def _tensor(index, kind, position, **changes):
    return lambda c: c["stages"][index][kind][position].update(changes)


CONTRADICTIONS = {
    "unknown schema version": (lambda c: c.update(schema_version=9), "reads only 1"),
    "no schema version": (lambda c: c.pop("schema_version"), "schema_version None"),
    "missing field": (lambda c: c.pop("licence"), "licence: field required"),
    "unknown field": (lambda c: c["action"].update(bin=3), "unknown field action.bin"),
    "too few dimensions": (
        lambda c: c["action"]["dims"].pop(),
        "q01 needs 6 entries, one a",
    ),
    "short quantiles": (lambda c: c["action"]["q01"].pop(), "action: q01 needs 7 entries"),
    "unknown dimension": (
        lambda c: c["action"]["dims"].__setitem__(0, "sideways"),
        "ee_delta has no dimension sideways",
    ),
    "dimension twice": (
        lambda c: c["action"]["dims"].__setitem__(0, "dy"),
        "two dimensions dy",
    ),
    "unknown kind of action": (lambda c: c["action"].update(kind="torque"), "action.kind"),
    "joints without units": (lambda c: c["action"].update(kind="joint_position"), "joint dx"),
    "empty limits": (
        lambda c: c["action"]["dims"].__setitem__(0, {"name": "dx", "low": 1.0, "high": 1.0}),
        "limits of dx are empty",
    ),
    "half a gripper": (
        lambda c: c["action"]["dims"].__setitem__(6, {"name": "gripper", "open": 1.0}),
        "both its open and its closed value",
    ),
    "range without quantiles": (lambda c: c["action"].update(q01=[]), "q01 needs 7 entries"),
    "bins without a range": (
        lambda c: c["action"].update(q01=[], q99=[], mask=[]),
        "bins divide a normalised range",
    ),
    "empty range": (lambda c: c["action"]["q01"].__setitem__(2, 0.03), "below q99 for dz"),
    "scaled gripper": (lambda c: c["action"]["mask"].__setitem__(6, True), "gripper"),
    "infinite range": (lambda c: c["action"]["q99"].__setitem__(0, float("inf")), "finite number"),
    "no senses": (
        lambda c: c["observation"].update(cameras=[], proprioception=[]),
        "takes neither cameras nor proprioception",
    ),
    "history without a period": (
        lambda c: c["observation"].update(frames=3),
        "frames and frame_period belong together",
    ),
    "trace on a depth camera": (
        lambda c: c["observation"]["cameras"][0].update(kind="depth"),
        "trace.camera front is none of the policy's: wrist",
    ),
    "no tokenizer": (lambda c: c.pop("tokenizer"), "asks for a tokenizer"),
    "no words for the tokenizer": (
        lambda c: c["observation"].pop("max_tokens"),
        "observation.max_tokens is missing",
    ),
    "mask of no words": (
        lambda c: c["observation"].update(max_tokens=None, attention_mask=True),
        "max_tokens is missing",
    ),
    "trace on a boxed camera": (
        lambda c: c["observation"]["cameras"][0].update(fit="letterbox"),
        "trace.camera front must be stretched",
    ),
    "camera twice": (
        lambda c: c["observation"]["cameras"][1].update(name="front"),
        "camera front appears twice",
    ),
    "point on no camera": (
        lambda c: c["observation"].update(point={"camera": "overview"}),
        "point.camera overview is none of the policy's: front, wrist",
    ),
    "field twice": (
        lambda c: c["observation"]["proprioception"].__setitem__(0, "ee_y"),
        "field ee_y appears twice",
    ),
    "file outside the bundle": (_stage(0, file="../look.onnx"), "stages[0].file"),
    "no checksum": (_stage(0, sha256="abc"), "stages[0].sha256"),
    "negative cost": (_stage(1, flops=-1), "stages[1].flops"),
    "unknown kind": (_stage(1, kind="dream"), "stages[1].kind"),
    "unknown dtype": (_tensor(0, "inputs", 0, dtype="float8"), "stages[0].inputs[0].dtype"),
    "dynamic shape": (_tensor(0, "outputs", 0, shape=["n", 16]), "stages[0].outputs[0].shape[0]"),
    "stage twice": (_stage(2, name="think_1"), "stage think_1 appears twice"),
    "no stages": (lambda c: c["stages"].clear(), "stages"),
    "look with an exit": (_stage(0, exit=1), "stage look is a look"),
    "exits out of order": (_stage(2, exit=3), "found [1, 3, 3]"),
    "no last exit": (lambda c: c["stages"].pop(), "the last stage, detail, must have an exit"),
    "input from nowhere": (_tensor(1, "inputs", 0, name="memory"), "input memory of stage think_1"),
    "input from a later stage": (
        _tensor(1, "inputs", 0, name="hidden_3"),
        "input hidden_3 of stage think_1",
    ),
    "reading as an input": (
        _tensor(2, "inputs", 0, name="action"),
        "input action of stage think_2",
    ),
    "input of another shape": (_tensor(1, "inputs", 0, shape=[1, 15]), "hidden_0 of stage think_1"),
    "image of another size": (
        lambda c: c["observation"]["cameras"][0].update(width=32),
        "not uint8 [1, 12, 32, 3]",
    ),
    "exit without an action": (lambda c: c["stages"][1]["outputs"].pop(1), "no action"),
    "exit of another length": (
        _tensor(1, "outputs", 1, shape=[1, 5, 7]),
        "action of stage think_1",
    ),
    "trace of another shape": (
        _tensor(1, "outputs", 4, shape=[1, 2, 2, 2]),
        "trace of stage think_1",
    ),
    "trace of no camera": (lambda c: c["trace"].update(camera="roof"), "roof is none of"),
    "trace back in time": (lambda c: c["trace"].update(times=[0.2, 0.6, 0.4]), "must increase"),
    "trace of the present": (lambda c: c["trace"].update(times=[0.0, 0.2, 0.4]), "trace.times[0]"),
    "trace of nothing": (lambda c: c.pop("trace"), "stage think_1 outputs a trace"),
    "trace without an exit": (_tensor(0, "outputs", 0, name="trace"), "look has no exit"),
    "trace that nobody draws": (
        lambda c: [stage["outputs"].pop() for stage in c["stages"][1::3]],
        "no stage outputs one",
    ),
    "trace as an input": (_tensor(2, "inputs", 0, name="trace"), "input trace of stage think_2"),
    "reading without an exit": (_tensor(0, "outputs", 0, name="margin"), "look has no exit"),
    "output twice": (_tensor(2, "outputs", 0, name="hidden_1"), "think_2 outputs a name"),
}


@pytest.mark.parametrize(("change", "phrase"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_contradiction_is_refused_in_one_sentence(bundle, edit_manifest, change, phrase):
    edit_manifest(change)
    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)
    sentence = str(caught.value)
    assert phrase in sentence
    assert MANIFEST in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "\0"])
def test_a_file_that_is_no_manifest_is_refused_in_one_sentence(bundle, text):
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=f"{folder.name} is not a bundle"):
            read_manifest(folder)
