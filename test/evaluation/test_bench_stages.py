# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stages are timed against what the computer can do; the gate's steps end by their deadline."""

import json

import numpy as np
import onnx
import pytest
from onnx.numpy_helper import to_array
from onnxruntime import InferenceSession, OrtValue

from magma_ros.cli import main
from magma_ros.evaluation.bench import ceilings
from magma_ros.evaluation.bench.ceilings import Ceilings, measure_ceilings
from magma_ros.evaluation.bench.stages import Spread, stages_table, time_stages
from magma_ros.gate.gates import make_gate
from magma_ros.policy.providers import CPU, CUDA
from magma_ros.types import MagmaError

ROOF = Ceilings(CPU, "float32", flops=1e9, bandwidth=1e8)


def timed(bundle, **options):
    return time_stages(
        bundle,
        make_gate("fixed", depth=3),
        providers=(CPU,),
        threads=1,
        **{"ceilings": ROOF, **options},
    )


def test_the_floor_is_the_longer_of_arithmetic_and_weights():
    assert ROOF.floor(2e9, 1e7) == 2.0
    assert ROOF.floor(1e8, 3e8) == 3.0


@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_ceilings_are_rates_that_a_computer_can_have(numbers):
    found = measure_ceilings((CPU,), 1, numbers=numbers, width=512)
    assert found.provider == CPU
    assert 1e8 < found.flops < 1e15
    assert 1e7 < found.bandwidth < 1e14


def test_products_of_bfloat16_are_refused_of_a_cpu():
    with pytest.raises(MagmaError, match=f"bfloat16 only with {CUDA}; measure in float32"):
        measure_ceilings((CPU,), 1, numbers="bfloat16")


def test_a_product_of_bfloat16_is_a_sound_graph_that_takes_what_it_is_bound_to(tmp_path):
    path = tmp_path / "product.onnx"
    ceilings._write_product(path, "bfloat16", 64)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (weights,) = model.graph.initializer
    assert np.abs(to_array(weights).astype(np.float32)).mean() == pytest.approx(0.1, abs=0.01)
    ones = ceilings._as(np.ones((2, 64), np.float32), "bfloat16")
    value = OrtValue.ortvalue_from_shape_and_type([2, 64], ceilings._KINDS["bfloat16"], "cpu")
    value.update_inplace(ones)
    assert value.data_type() == "tensor(bfloat16)"


def test_the_chain_of_products_for_a_gpu_counts_each_of_them(tmp_path):
    path = tmp_path / "product.onnx"
    ceilings._write_product(path, "float32", 64, chain=ceilings.CHAIN)
    graph = onnx.load(path).graph
    assert (len(graph.node), len(graph.initializer)) == (ceilings.CHAIN, ceilings.WEIGHTS)
    given = np.random.default_rng(0).standard_normal((256, 64), np.float32)
    (made,) = InferenceSession(path).run(None, {"x": given})
    assert 0.1 < made.std() < 10.0  # neither vanishes nor overflows in 16 bits


def test_every_stage_is_timed_and_so_is_the_whole_step(tiny_bundle):
    bench = timed(tiny_bundle, steps=20)
    assert [stage.name for stage in bench.stages] == [
        "look", "think_1", "think_2", "detail", "think_3"
    ]  # fmt: skip
    assert all(0.0 < stage.time.p50 <= stage.time.p99 for stage in bench.stages)
    assert bench.step.p50 >= max(stage.time.p50 for stage in bench.stages)
    assert bench.exits == 3
    shown = stages_table(bench)
    assert [row[0] for row in shown.rows][-2] == "whole step"


def test_the_gate_is_late_where_nothing_fits_and_goes_deep_where_all_does(tiny_bundle):
    (calm,) = timed(tiny_bundle, steps=5, deadline=60.0).gated
    assert (calm.depth, calm.late, calm.late_in_full) == (3.0, 0, 0)
    (rushed,) = timed(tiny_bundle, steps=5, deadline=1e-9).gated
    assert (rushed.depth, rushed.late, rushed.late_in_full) == (0.0, 5, 5)


def test_spread_is_median_and_99th_percentile():
    assert Spread.of([0.1] * 99 + [1.0]).p50 == pytest.approx(0.1)
    assert str(Spread(0.001, 0.0025)) == "1.00 / 2.50"


@pytest.mark.parametrize("wrong", [{"steps": 1}, {"deadline": 0.0}])
def test_numbers_out_of_range_are_refused(tiny_bundle, wrong):
    with pytest.raises(MagmaError, match="bench stages needs"):
        timed(tiny_bundle, **wrong)


def test_the_command_writes_what_it_found(tiny_bundle, tmp_path):
    out = tmp_path / "stages.json"
    asked = ["--bundle", str(tiny_bundle), "--providers", CPU, "--steps", "3"]
    assert main(["bench", "stages", *asked, "--json", str(out)]) == 0
    assert len(json.loads(out.read_text())["stages"]) == 5
