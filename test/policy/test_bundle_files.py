# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Everything in a bundle's folder is part of it and checked, weights in other files included."""

import contextlib

import onnx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from properties import examples

from magma_ros.cli import main
from magma_ros.policy.contract import BundleError
from magma_ros.policy.external_data import external_files
from magma_ros.policy.manifest import read_manifest, sha256_of, write_manifest
from magma_ros.policy.report import verify
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import StageSpec
from magma_ros.share import find_bundle


def refusal(folder) -> str:
    with pytest.raises(BundleError) as caught:
        StagedPolicy.load(folder, threads=1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def problems(folder) -> dict[str, str]:
    return {check.subject: check.problem for check in verify(folder) if check.problem}


@pytest.fixture
def outside(bundle, edit_manifest):
    """Move the weights of the first stage into a file of their own, and list that or not."""

    def move(location="weights.bin", *, listed=True):
        path = bundle / "look.onnx"
        model = onnx.load(path)
        convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
        onnx.save(model, path)
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        path.write_bytes(model.SerializeToString())
        external = [{"file": "weights.bin", "sha256": sha256_of(bundle / "weights.bin")}]

        def sign(content):
            content["stages"][0]["sha256"] = sha256_of(path)
            if listed:
                content["stages"][0]["external"] = external

        edit_manifest(sign)

    return move


def test_listed_weights_in_another_file_are_loaded(bundle, outside):
    outside()
    StagedPolicy.load(bundle, threads=1).warm_up(1)
    assert problems(bundle) == {}


def test_weights_that_the_manifest_does_not_list_are_refused(bundle, outside):
    outside(listed=False)
    assert "takes weights from 'weights.bin', which the manifest does not list" in refusal(bundle)
    assert problems(bundle).keys() == {"look.onnx", "weights.bin"}


def test_altered_weights_in_another_file_fail_their_checksum(bundle, outside):
    outside()
    content = bytearray((bundle / "weights.bin").read_bytes())
    content[0] ^= 1
    (bundle / "weights.bin").write_bytes(content)
    assert "weights.bin has checksum" in refusal(bundle)
    (bundle / "weights.bin").unlink()
    assert "weights.bin is missing" in refusal(bundle)


@pytest.mark.parametrize("place", ["../weights.bin", "/etc/passwd", "a/../../b", "./weights.bin"])
def test_weights_outside_of_the_bundle_are_refused(bundle, outside, place):
    outside(place)
    assert f"takes weights from {place!r}" in refusal(bundle)


@pytest.mark.parametrize("place", ["../weights.bin", "/etc/passwd", "a/b", ".hidden", ""])
def test_a_manifest_cannot_list_what_is_outside(bundle, edit_manifest, place):
    entry = {"file": place, "sha256": "0" * 64}
    edit_manifest(lambda content: content["stages"][0].update(external=[entry]))
    assert "stages[0].external[0].file" in refusal(bundle)


def test_weights_that_no_graph_takes_are_refused(bundle, outside, edit_manifest):
    outside()
    edit_manifest(
        lambda content: content["stages"][1].update(external=content["stages"][0]["external"])
    )
    assert "for stage think_1, but" in refusal(bundle)


def external(name):
    tensor = numpy_helper.from_array(numpy_helper.np.zeros(3, "float32"), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"{name}.bin")
    return tensor


def test_weights_are_found_wherever_a_model_may_hold_them(tmp_path):
    inner = helper.make_graph([], "inner", [], [], [external("in_subgraph")])
    constant = helper.make_node("Constant", [], ["c"], value=external("in_attribute"))
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner)
    model = helper.make_model(helper.make_graph([constant, branch], "g", [], [], [external("top")]))
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(external("sparse"))
    function = model.functions.add(name="f", domain="d")
    function.node.append(helper.make_node("Constant", [], ["c"], value=external("in_function")))
    model.training_info.add().initialization.initializer.append(external("in_training"))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    names = ("in_subgraph", "in_attribute", "top", "sparse", "in_function", "in_training")
    assert external_files(path) == {f"{name}.bin" for name in names}


@examples(100)
@given(content=st.binary(max_size=200))
def test_no_file_is_more_than_a_value_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("m") / "model.onnx"
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        external_files(path)


def test_a_manifest_without_weights_elsewhere_is_written_as_before(bundle):
    manifest = read_manifest(bundle)
    assert "external" in StageSpec.model_fields
    assert "external" not in write_manifest(bundle, manifest).read_text()


def test_the_shipped_bundle_verifies(capsys):
    assert main(["bundle", "verify"]) == 0
    assert "gate.yaml" in capsys.readouterr().out


def test_stray_files_are_named(bundle):
    (bundle / "think_9.onnx").write_bytes(b"")
    (bundle / ".part-gate.yaml").write_bytes(b"")
    (bundle / "notes").mkdir()
    (bundle / "README.md").write_text("a companion")
    assert problems(bundle).keys() == {"think_9.onnx", ".part-gate.yaml", "notes"}


@pytest.mark.parametrize("spoil", [lambda p: p.unlink(), lambda p: p.write_bytes(b"\xff")])
def test_a_missing_or_unreadable_model_card_is_named(bundle, spoil):
    spoil(bundle / "MODEL_CARD.md")
    assert problems(bundle).keys() == {"MODEL_CARD.md"}


def shipped_gate():
    return (find_bundle("magma-nano") / "gate.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "is not valid YAML"),
        ("threshold: 2026-13-45", "no valid timestamp"),
        (shipped_gate(), "was made for a bundle with checksum"),
    ],
    ids=["damaged", "impossible", "of another bundle"],
)
def test_a_broken_calibration_is_named(bundle, capsys, content, told):
    (bundle / "gate.yaml").write_text(content)
    assert main(["bundle", "verify", str(bundle)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "BAD gate.yaml" in said
    assert told in said


def test_a_calibration_for_another_number_of_exits_is_named(bundle, capsys):
    gate = yaml.safe_load(shipped_gate())
    gate["manifest_sha256"] = sha256_of(bundle / "bundle.yaml")
    (bundle / "gate.yaml").write_text(yaml.safe_dump(gate))
    assert main(["bundle", "verify", str(bundle)]) == 1
    assert "but the bundle has 3" in " ".join(capsys.readouterr().out.split())
