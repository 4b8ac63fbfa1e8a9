# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle that is damaged, or not what its manifest says, never loads."""

import logging

import numpy as np
import pytest
from onnx import helper, numpy_helper

from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import sha256_of
from magma_ros.policy.pipeline import PolicyError
from magma_ros.policy.report import inspect, verify
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.tables import bundle_tables


def refusal(folder) -> str:
    with pytest.raises(BundleError) as caught:
        StagedPolicy.load(folder, threads=1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["think_2.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    assert f"{name} is missing" in refusal(bundle)


@pytest.mark.parametrize("name", ["think_2.onnx", "tokenizer.json"])
def test_an_altered_file_fails_its_checksum(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    assert f"{name} has checksum" in refusal(bundle)


def test_a_truncated_graph_is_refused_even_with_a_matching_checksum(bundle, edit_manifest):
    path = bundle / "think_2.onnx"
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut short" in refusal(bundle)
    edit_manifest(lambda c: c["stages"][2].update(sha256=sha256_of(path)))
    assert "think_2.onnx is not an ONNX model" in refusal(bundle)


def test_a_tokenizer_that_is_none_is_refused(bundle, edit_manifest):
    path = bundle / "tokenizer.json"
    path.write_text("{}")
    edit_manifest(lambda c: c["tokenizer"].update(sha256=sha256_of(path)))
    assert "tokenizer.json is not a tokenizer" in refusal(bundle)


def test_a_graph_of_another_shape_is_refused(bundle, edit_manifest):
    def widen(content):
        content["stages"][0]["outputs"][0]["shape"] = [1, 17]
        content["stages"][1]["inputs"][0]["shape"] = [1, 17]

    edit_manifest(widen)
    sentence = refusal(bundle)
    assert "look.onnx has the output hidden_0 as tensor(float) [1, 16]" in sentence
    assert "float32 [1, 17]" in sentence


def test_a_graph_of_another_dtype_is_refused(bundle, edit_manifest):
    def narrow(content):
        content["stages"][0]["outputs"][0]["dtype"] = "float16"
        content["stages"][1]["inputs"][0]["dtype"] = "float16"

    edit_manifest(narrow)
    assert "look.onnx has the output hidden_0 as tensor(float)" in refusal(bundle)


def test_a_graph_with_other_names_is_refused(bundle, edit_manifest):
    edit_manifest(lambda c: c["stages"][3]["inputs"].pop())
    sentence = refusal(bundle)
    assert "detail.onnx has the inputs image_front, proprioception" in sentence
    assert "the manifest says image_front;" in sentence


def test_a_missing_provider_is_named_and_the_policy_still_loads(pristine_bundle, caplog):
    with caplog.at_level(logging.WARNING):
        StagedPolicy.load(pristine_bundle, providers=("TensorrtExecutionProvider",), threads=1)
    (record,) = caplog.records
    assert "TensorrtExecutionProvider is not available" in record.getMessage()


def test_a_sound_bundle_verifies(pristine_bundle):
    checks = verify(pristine_bundle)
    assert [check.problem for check in checks] == [None] * len(checks)
    assert checks[-1].subject == "one run"


def test_verifying_names_every_damaged_file(bundle):
    (bundle / "look.onnx").unlink()
    (bundle / "think_3.onnx").write_bytes(b"")
    problems = {check.subject: check.problem for check in verify(bundle) if check.problem}
    assert problems.keys() == {"look.onnx", "think_3.onnx"}
    assert "missing" in problems["look.onnx"]
    assert "checksum" in problems["think_3.onnx"]


def test_verifying_a_folder_without_a_manifest_says_so(tmp_path):
    (check,) = verify(tmp_path)
    assert "is not a bundle" in check.problem


def test_verifying_runs_the_graphs_so_a_hidden_shape_is_found(bundle, edit_stage):
    def repeat_rows(model):
        """Output (8, 16) instead of (1, 16), in a way that only a run reveals."""
        graph = model.graph
        graph.node[-1].output[0] = "row"
        graph.node.extend(
            [
                helper.make_node("Sub", ["tokens_f", "tokens_f"], ["zeros"]),
                helper.make_node("Exp", ["zeros"], ["ones"]),
                helper.make_node("NonZero", ["ones"], ["positions"]),
                helper.make_node("Gather", ["positions", "first"], ["rows"], axis=0),
                helper.make_node("Gather", ["row", "rows"], ["hidden_0"], axis=0),
            ]
        )
        graph.initializer.append(numpy_helper.from_array(np.int64(0), "first"))
        graph.output[0].type.tensor_type.shape.dim[0].dim_param = "n"

    edit_stage(0, repeat_rows)
    *_, last = verify(bundle)
    assert last.subject == "one run"
    assert "stage look failed" in last.problem
    with pytest.raises(PolicyError, match="stage look failed"):
        StagedPolicy.load(bundle, threads=1).warm_up()


def test_inspecting_adds_up_the_costs_without_opening_a_graph(bundle):
    (bundle / "think_3.onnx").unlink()
    summary = inspect(bundle)
    assert summary.manifest.name == "tiny"
    shares = [stage.flops_share for stage in summary.stages]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert summary.stages[0].file_bytes == (bundle / "look.onnx").stat().st_size
    assert summary.stages[-1].file_bytes is None


def test_the_summary_says_how_far_ahead_the_trace_looks(pristine_bundle):
    contract, _ = bundle_tables(inspect(pristine_bundle))
    cells = [str(cell) for column in contract.columns for cell in column.cells]
    assert "0.6 s ahead in 3 points on front" in cells


def test_the_summary_says_whether_a_policy_takes_marks(pristine_bundle, pointing_bundle):
    def cells(folder):
        contract, _ = bundle_tables(inspect(folder))
        return [str(cell) for column in contract.columns for cell in column.cells]

    assert "of a mark on front" in cells(pointing_bundle)
    assert "point" not in cells(pristine_bundle)
