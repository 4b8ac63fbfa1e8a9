# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is planned from shapes alone agrees with the published cost model, and adds up."""

import json

import pytest

from magma_ros.cli import main
from magma_ros.documents import parse_yaml
from magma_ros.evaluation.computers.hardware import load_costs, load_hardware, price
from magma_ros.evaluation.error import EvaluationError
from magma_ros.models.magma.export_graph import NumberFormat
from magma_ros.models.magma.export_target import bundle_bytes
from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.operations import layer_flops, projector_flops, tower_flops
from magma_ros.models.magma.plan import (
    AROUND,
    PREFIX,
    Costs,
    PlanError,
    even_exits,
    make_plan,
)
from magma_ros.models.magma.plan_report import verdict, write_costs
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import find_bundle, share_file

EXITS = (8, 16, 24, 32)
PROMPT = 313  # tokens, the constant ones before the image included


@pytest.fixture(scope="module")
def costs():
    return Costs(MAGMA_8B, "bf16")


def test_operations_agree_with_the_published_cost_model():
    assert tower_flops(MAGMA_8B) / 2e12 == pytest.approx(0.79, abs=0.005)
    assert projector_flops(MAGMA_8B) / 2e12 == pytest.approx(0.0075, abs=0.0001)
    assert 32 * layer_flops(MAGMA_8B.text, PROMPT, 0) / 2e12 == pytest.approx(2.2, abs=0.02)
    # One token after the prompt: 7.06 GMAC in the layers, 0.53 in the whole head.
    head = MAGMA_8B.text.vocabulary * MAGMA_8B.text.width
    assert (32 * layer_flops(MAGMA_8B.text, 1, PROMPT) / 2 + head) / 1e9 == pytest.approx(
        7.5, abs=0.1
    )


def test_bytes_agree_with_the_published_cost_model(costs):
    step = 32 * costs.layer_bytes() + costs.full_head_bytes()
    assert step / 1e9 == pytest.approx(15.0, abs=0.05)
    assert 32 * costs.kv_bytes() == 131_072
    # Published without the scales of the blocks, which are an eighth of 4 bits here.
    int4 = Costs(MAGMA_8B, "int4")
    assert (32 * int4.layer_bytes() + costs.full_head_bytes()) / 1e9 == pytest.approx(4.8, rel=0.07)


@pytest.mark.parametrize(
    ("name", "milliseconds"),
    [("desktop-gpu", 14.9), ("a100-80", 7.4), ("orin-agx", 73.0), ("thor", 55.0)],
)
def test_floors_of_a_decoding_pass_agree_with_the_published_ones(costs, name, milliseconds):
    step = 32 * costs.layer_bytes() + costs.full_head_bytes()
    assert 1e3 * step / load_hardware(name).bandwidth == pytest.approx(milliseconds, rel=0.01)


def test_the_stages_add_up_to_the_whole(costs):
    stages = costs.stages(EXITS, 7.0)
    assert [stage.name for stage in stages] == ["look_image"] + [
        f"{kind}_{number}" for number in range(1, 5) for kind in ("think", "decode")
    ]
    thinks = sum(s.work.flops for s in stages if s.name.startswith("think"))
    # The constant beginning of the prompt is no part of it.
    example = Costs(MAGMA_8B, "bf16", instruction=3)
    assert PREFIX + example.tokens == PROMPT
    assert thinks == pytest.approx(32 * layer_flops(MAGMA_8B.text, costs.tokens, PREFIX))
    held = sum(stage.resident for stage in stages) + costs.embedding_bytes()
    head = MAGMA_8B.text.vocabulary * MAGMA_8B.text.width
    assert held == pytest.approx(2 * (MAGMA_8B.parameters - head), rel=0.002)


def test_decoding_an_exit_costs_all_blocks_below_it(costs):
    decodes = [s.work for s in costs.stages(EXITS, 3.0) if s.exit_layer]
    ratio = [work.weight_bytes / decodes[0].weight_bytes for work in decodes]
    assert ratio == pytest.approx([1.0, 2.0, 3.0, 4.0], rel=0.01)
    assert all(work.times == 3.0 for work in decodes)


def test_fewer_passes_and_fewer_bits_are_faster_and_deeper():
    orin = load_hardware("orin-agx")
    plans = [
        make_plan(Costs(MAGMA_8B, precision), orin, EXITS, passes)
        for precision, passes in (("bf16", 7.0), ("int8", 7.0), ("int4", 7.0), ("int4", 2.0))
    ]
    whole = [plan.reaches[-1].on_the_way[0] for plan in plans]
    assert whole == sorted(whole, reverse=True)
    depths = [plan.deepest(2.0).layers for plan in plans]
    assert depths == sorted(depths)
    assert depths[0] < depths[-1]


def test_an_exit_alone_is_never_later_than_on_the_way(costs):
    plan = make_plan(costs, load_hardware("thor"), EXITS, 7.0)
    first, *others = plan.reaches
    assert first.alone == first.on_the_way
    assert all(reach.alone[0] < reach.on_the_way[0] for reach in others)
    assert plan.deepest(0.1) == plan.reaches[-1]
    assert plan.deepest(1000.0) is None


def test_what_does_not_fit_into_memory_is_said(costs):
    plan = make_plan(costs, load_hardware("orin-nano"), EXITS, 7.0)
    assert not plan.fits
    assert "but the computer has 8 GB, 10% of which must stay free: it does not fit" in verdict(
        plan
    )
    assert make_plan(costs, load_hardware("desktop-gpu"), EXITS, 7.0).fits


@pytest.mark.parametrize(
    ("exits", "passes", "told"),
    [
        ((), 7.0, "exits must increase from 1 to at most 32, found none"),
        ((8, 8), 7.0, "found 8, 8"),
        ((8, 33), 7.0, "found 8, 33"),
        ((8,), 0.5, "7 tokens take 1 to 7 passes, not 0.5"),
        ((8,), float("nan"), "not nan"),
    ],
)
def test_impossible_plans_are_refused(costs, exits, passes, told):
    with pytest.raises(PlanError, match=told):
        costs.stages(exits, passes)


def test_exits_are_spread_evenly_or_refused():
    assert even_exits(32, 4) == EXITS
    assert even_exits(32, 6)[-1] == 32
    for count in (0, 33):
        with pytest.raises(PlanError, match=f"32 layers have room for 1 to 32 exits, not {count}"):
            even_exits(32, count)


def test_written_costs_let_a_small_policy_stand_in_exit_by_exit(costs, tmp_path):
    manifest = read_manifest(find_bundle("magma-nano"))
    plan = make_plan(costs, load_hardware("orin-agx"), even_exits(32, manifest.exits), 7.0)
    path = tmp_path / "costs.yaml"
    write_costs(plan, path)
    stages = price(manifest, str(path))
    computer = load_hardware("orin-agx").computing_in(costs.compute)
    seconds = sum(computer.seconds(stage) for stage in stages)
    assert seconds == pytest.approx(plan.reaches[-1].on_the_way[0], rel=0.02)
    assert sum(stage.flops for stage in stages) == pytest.approx(plan.reaches[-1].flops)
    first = [s.depth for s in manifest.stages].index(1) + 1
    least = sum(stage.flops for stage in stages[:first])
    assert least < plan.reaches[0].flops <= sum(s.flops for s in stages if "look" in s.name) + least


def test_costs_for_another_number_of_exits_are_refused(costs, tmp_path):
    path = tmp_path / "costs.yaml"
    write_costs(make_plan(costs, load_hardware("thor"), EXITS, 7.0), path)
    manifest = read_manifest(find_bundle("magma-nano"))
    with pytest.raises(EvaluationError, match="told for 4 exits, but the policy has 6"):
        price(manifest, str(path))
    path.write_text("description: x\nlook: [{flops: 1, weight_bytes: 1}]\n")
    with pytest.raises(EvaluationError, match="either think or exits"):
        load_costs.__wrapped__(str(path))


def test_the_command_needs_the_configuration_alone(tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "config.json").write_text((tiny_checkpoint / "config.json").read_text())
    out = tmp_path / "plan.json"
    arguments = ["plan", "--checkpoint", str(tmp_path), "--exits", "2,4", "--json", str(out)]
    assert main([*arguments, "--hardware", "cpu-2core"]) == 0
    made = json.loads(out.read_text())
    assert [reach["layers"] for reach in made["exits"]] == [2, 4]
    assert "Which depth fits which control rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--exits", "few"], "exits must be whole numbers separated by commas, not 'few'"),
        (["--precision", "int3"], "there is no precision 'int3'; choose one of fp32"),
        (["--hardware", "abacus"], "there is no hardware profile 'abacus'"),
        (["--checkpoint", "/nowhere"], "config.json cannot be read"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, told, capsys):
    assert main(["plan", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_the_command_fails_where_the_policy_does_not_fit():
    assert main(["plan", "--hardware", "orin-nano", "--precision", "bf16"]) == 1


def test_the_recipes_expectations_follow_from_the_shapes():
    recipe = parse_yaml(share_file("models", "magma-8b", "recipe.yaml").read_text())
    expect = recipe["expect"]
    assert expect["tensors"] == len(MAGMA_8B.tensors())
    assert expect["weights"] == pytest.approx(MAGMA_8B.parameters, rel=1e-3)
    assert expect["checkpoint_gb"] == pytest.approx(2e-9 * MAGMA_8B.parameters, abs=0.05)
    assert expect["prompt"] == {
        "prefix": PREFIX,
        "image": MAGMA_8B.image_tokens(),
        "suffix": AROUND + 3,  # of "pick coke can"
    }
    for precision, size in recipe["bundle_gb"].items():
        costs = Costs(MAGMA_8B, precision)
        held = sum(stage.resident for stage in costs.stages(recipe["import"]["exits"], 7.0))
        assert size == pytest.approx((held + costs.embedding_bytes()) / 1e9, abs=0.05)
        written = bundle_bytes(MAGMA_8B, NumberFormat.of(precision, "fp16"), 2)
        assert written == pytest.approx(held + costs.embedding_bytes(), rel=0.01)
