# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 8B's shape is timed with random weights: on a GPU whole, elsewhere narrower, and said so."""

import json

import numpy as np
import onnxruntime as ort
import pytest
import torch

from magma_ros.cli import main
from magma_ros.evaluation.bench import ceilings
from magma_ros.evaluation.bench.stages import Spread
from magma_ros.models.magma import bench, export_target
from magma_ros.models.magma.bench import Bench8B, deadlines, find_place, require_resources
from magma_ros.models.magma.bench_report import placement
from magma_ros.models.magma.export_graph import GraphWriter, spec, value
from magma_ros.models.magma.layout import MAGMA_8B, layer_prefix
from magma_ros.models.magma.quantised import quantise
from magma_ros.models.magma.synthetic import TINY, RandomCheckpoint, scaled
from magma_ros.policy import providers
from magma_ros.policy.providers import CPU, CUDA
from magma_ros.types import MagmaError

WHOLE = Bench8B(MAGMA_8B, "1", (CUDA,), on_gpu=True)


@pytest.fixture
def small(monkeypatch):
    """Whatever is asked for, a tiny shape is measured, against ceilings of a tiny product."""
    monkeypatch.setattr(bench, "shape_of", lambda width: TINY)
    monkeypatch.setattr(ceilings, "WIDTH", 64)
    monkeypatch.setattr(ceilings, "LARGE_WIDTH", 64)
    monkeypatch.setattr(ceilings, "RUNS", 4)


def run(tmp_path, *more):
    out = tmp_path / "result.json"
    scratch = tmp_path / "scratch"
    arguments = ["bench", "magma8b", "--steps", "2", "--out", str(scratch), "--json", str(out)]
    status = main([*arguments, "--threads", "1", "--rates", "0.1,1000", *more])
    assert list(scratch.iterdir()) == []  # what was made is removed again
    return status, json.loads(out.read_text())


def test_random_weights_are_always_the_same_and_spread_as_those_of_a_network(tmp_path):
    first, second = (RandomCheckpoint.make(tmp_path / name, scaled(1 / 8)) for name in "ab")
    up, norm = f"{layer_prefix(0)}mlp.up_proj.weight", f"{layer_prefix(0)}input_layernorm.weight"
    wide = first.tensor(up)
    assert torch.equal(wide, second.tensor(up))
    assert not torch.equal(wide, first.tensor(f"{layer_prefix(1)}mlp.up_proj.weight"))
    assert (wide.shape, wide.dtype) == ((1792, 512), torch.bfloat16)
    assert wide.T.is_contiguous()  # written as it is
    assert float(wide.float().std()) == pytest.approx(512**-0.5, rel=0.02)
    assert float(first.tensor(norm).float().mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_drawn_in_the_form_and_the_spread_of_those_that_are_rounded(
    bits, tmp_path
):
    checkpoint = RandomCheckpoint.make(tmp_path, scaled(1 / 8))
    name = f"{layer_prefix(3)}mlp.down_proj.weight"
    drawn, rounded = checkpoint.quantised(name, bits), quantise(checkpoint.tensor(name), bits)
    assert drawn.size == rounded.size
    for field in ("packed", "scales", "zeros"):
        one, other = getattr(drawn, field), getattr(rounded, field)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    with GraphWriter(tmp_path / "product.onnx") as graph:
        graph.op("Identity", graph.linear("x", drawn), output="y")
        ends = [spec("x", torch.float32, 256, 1792), spec("y", torch.float32, 256, 512)]
        graph.finish(*([value(end)] for end in ends))
    given = np.random.default_rng(0).standard_normal((256, 1792), np.float32)
    (made,) = ort.InferenceSession(tmp_path / "product.onnx").run(None, {"x": given})
    assert float(made.std()) == pytest.approx(1.0, rel=0.1)
    assert abs(float(made.mean())) < 0.05


def test_a_random_checkpoint_has_no_weights_on_the_disk(tmp_path):
    checkpoint = RandomCheckpoint.make(tmp_path / "made", TINY)
    for name, weight in checkpoint.tensors(dtype=torch.float32):
        assert (weight.shape, weight.dtype) == (TINY.tensors()[name], torch.float32)
        assert weight.isfinite().all()
    assert {path.suffix for path in checkpoint.folder.iterdir()} == {".json"}


def test_without_a_gpu_an_eighth_of_the_width_is_measured_and_the_output_says_why(monkeypatch):
    monkeypatch.setattr(providers, "why_not", lambda name: "there is no NVIDIA driver")
    width, place, told = find_place(None)
    assert (width, place) == ("1/8", (CPU,))
    assert told.startswith("This is no measurement of Magma-8B on a GPU")
    assert "there is no NVIDIA driver" in told
    assert bench.shape_of(width).text.width == 512


def test_on_a_gpu_the_whole_width_is_measured_in_what_a_gpu_computes_in(monkeypatch):
    monkeypatch.setattr(providers, "why_not", lambda name: "")
    width, place, _ = find_place(None)
    assert (width, place) == ("1", (CUDA,))
    assert bench.shape_of(width) == MAGMA_8B
    assert [WHOLE.compute(each) for each in ("bf16", "int8", "int4")] == ["bf16", "fp16", "fp16"]
    assert [WHOLE.ceilings_in(each) for each in ("bf16", "int4")] == ["bfloat16", "float16"]
    assert 16e9 < WHOLE.bytes("bf16") < 18e9


def test_without_room_it_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    with pytest.raises(MagmaError, match=r"bf16 takes 16\.\d GB, but the GPU has 16\.0 GB, 10%"):
        require_resources(WHOLE, ["bf16", "int4"], tmp_path, int(16e9))
    disk = type("Usage", (), {"free": int(10e9)})
    monkeypatch.setattr(export_target.shutil, "disk_usage", lambda _: disk)
    with pytest.raises(MagmaError, match=r"takes 16\.\d GB, but only 10\.0 GB are free"):
        require_resources(WHOLE, ["bf16", "int4"], tmp_path, int(80e9))
    require_resources(WHOLE, ["int4"], tmp_path, int(80e9))
    on_cpu = Bench8B(MAGMA_8B, "1", (CPU,), on_gpu=False)
    monkeypatch.setattr(export_target, "available_memory", lambda: int(20e9))
    disk.free = int(1e12)
    with pytest.raises(MagmaError, match=r"takes 3\d\.\d GB of memory, but only 20\.0 GB are free"):
        require_resources(on_cpu, ["bf16"], tmp_path, 0)  # cast to twice their size
    require_resources(on_cpu, ["int4"], tmp_path, 0)


def test_the_rates_are_those_that_are_given_or_those_near_full_depth():
    spread = Spread(0.4, 0.5)
    assert deadlines(spread, (4.0,)) == (0.25,)
    assert deadlines(spread, ()) == (1.0, 0.5, pytest.approx(1 / 3), 0.2, 0.1)
    assert deadlines(Spread(60.0, 70.0), ()) == (2.0,)


def test_the_command_measures_each_precision_and_tells_what_is_late(small, tmp_path, capsys):
    status, made = run(tmp_path, "--precision", "int4,bf16")
    assert status == 0
    assert list(made["precisions"]) == ["bf16", "int4"]
    for found in made["precisions"].values():
        one_by_one, in_parallel = found["one_by_one"], found["in_parallel"]
        decoding = [s for s in one_by_one["stages"] if s["name"].startswith("decode")]
        assert [stage["passes"] for stage in decoding] == [7.0] * 4
        for stage, less in zip(one_by_one["stages"], in_parallel["stages"], strict=True):
            assert less["passes"] <= stage["passes"]
            assert less["flops"] == pytest.approx(
                stage["flops"] * less["passes"] / stage["passes"], abs=1.0
            )
            assert stage["time"]["p50"] <= stage["time"]["p99"]
        slow, fast = in_parallel["gated"]
        assert (slow["late"], slow["late_in_full"], slow["depth"]) == (0, 0, 4.0)
        assert (fast["deadline"], fast["late_in_full"]) == (0.001, 2)
    shown = " ".join(capsys.readouterr().out.split())
    assert "This is no measurement of Magma-8B on a GPU" in shown
    assert "passes, first to last exit" in shown
    assert "Late decisions" in shown


def test_bundles_that_were_only_made_are_timed_later_and_stay(small, tmp_path, capsys):
    scratch, out = tmp_path / "scratch", tmp_path / "result.json"
    shared = ["bench", "magma8b", "--out", str(scratch), "--precision", "int4"]
    assert main([*shared, "--make-only"]) == 0
    (made,) = scratch.iterdir()
    assert made.name == "int4-fp32-width-1-8"
    before = (made / "bundle.yaml").stat()
    timed = ["--steps", "4", "--fewer", "2", "--threads", "1", "--rates", "1", "--json", str(out)]
    assert main([*shared, *timed]) == 0
    assert list(scratch.iterdir()) == [made]
    assert (made / "bundle.yaml").stat() == before
    found = json.loads(out.read_text())["precisions"]["int4"]
    assert (found["one_by_one"]["steps"], found["in_parallel"]["steps"]) == (2, 4)
    assert [gated["steps"] for gated in found["in_parallel"]["gated"]] == [2]
    shown = " ".join(capsys.readouterr().out.split())
    assert "int4: no operator falls back to the CPU." in shown
    assert "2 steps one by one and 4 in parallel" in shown


def test_a_bundle_that_other_code_made_is_not_timed(small, tmp_path, monkeypatch):
    tiny = Bench8B(TINY, "1/8", (CPU,), on_gpu=False)
    place = bench.kept(tiny, "int8", tmp_path)
    assert not bench.is_made(place)
    bench.make_bundle(tiny, "int8", place)
    assert bench.is_made(place)
    monkeypatch.setattr(bench, "commit_of_code", lambda: "another")
    assert not bench.is_made(place)


def test_what_falls_back_to_the_cpu_is_named():
    timed = bench.Timed("bf16", None, None, {"think_1": {"Range": 2, "Conv": 1}, "draft": {}})
    assert placement(timed) == "bf16: on the CPU run think_1 1 Conv, 2 Range."


@pytest.mark.skipif(CUDA in ort.get_available_providers(), reason="a GPU's is there")
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_what_runs_on_a_gpu_goes_the_same_way_and_what_fails_there_stops_nothing_else(
    small, tmp_path, capsys, monkeypatch
):
    # CUDA is said to be there. ONNX Runtime goes on without it, as it always does, so that what a
    # GPU would compute in fp16 is computed here; it has no bfloat16 here.
    monkeypatch.setattr(providers, "why_not", lambda name: "")
    monkeypatch.setattr(providers, "gpu_memory", lambda: int(80e9))
    status, made = run(tmp_path, "--precision", "bf16,int8")
    assert status == 1
    assert list(made["precisions"]) == ["int8"]
    assert made["width"] == "1"
    assert made["precisions"]["int8"]["one_by_one"]["ceilings"]["numbers"] == "float16"
    shown = capsys.readouterr()
    assert f"Magma-8B's shape at 1 of its width on {CUDA}" in shown.out
    assert f"bf16 does not run here: {CUDA} runs no product in bfloat16" in shown.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--precision", "int3"], "give precisions of bf16, int8, int4, not 'int3'"),
        (["--precision", ","], "give precisions of"),
        (["--rates", "1,fast"], "give the rates as numbers of Hz, as in 1,2,5, not '1,fast'"),
        (["--rates", "0"], "give the rates as numbers of Hz"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path, capsys, arguments, told):
    assert main(["bench", "magma8b", "--out", str(tmp_path), *arguments]) == 2
    assert told in capsys.readouterr().err
