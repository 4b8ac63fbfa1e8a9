# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Profiles are data that is checked, and time follows the slower of arithmetic and memory."""

import re

import numpy as np
import pytest
import yaml

from magma_ros.evaluation.computers.hardware import (
    Hardware,
    Pass,
    PricedStage,
    hardware_names,
    load_costs,
    load_hardware,
    price,
    repriced,
)
from magma_ros.evaluation.error import EvaluationError
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import find_bundle, share_file

PLAIN = {
    "description": "plain",
    "flops": 1e9,
    "bandwidth": 1e8,
    "efficiency": {"flops": 0.5, "bandwidth": 1.0},
    "overhead": 0.001,
    "jitter": {"sigma": 0.0, "tail_share": 0.0, "tail_factor": 1.0},
}


def stage(name="think", **work):
    return PricedStage(name, (Pass(**{"flops": 0.0, "weight_bytes": 0.0} | work),))


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        ({"flops": 5e6}, 0.011),  # half of 1 GFLOP/s is reached
        ({"weight_bytes": 2e6}, 0.021),
        ({"flops": 5e6, "weight_bytes": 2e6}, 0.021),  # the slower of the two
        ({"flops": 5e6, "weight_bytes": 2e6, "times": 3}, 0.063),
    ],
)
def test_time_is_the_slower_of_arithmetic_and_memory_plus_overhead(work, seconds):
    assert Hardware(**PLAIN).seconds(stage(**work)) == pytest.approx(seconds)


def test_every_shipped_computer_can_be_read_and_says_what_it_is():
    assert {
        "cpu-2core",
        "arm-4core",
        "orin-nano",
        "orin-agx",
        "thor",
        "desktop-gpu",
        "a100-80",
        "h100-80",
    } == (set(hardware_names()))
    for name in hardware_names():
        computer = load_hardware(name)
        assert computer.description
        assert computer.memory > 1e9
        assert computer.rates.get("fp16", computer.flops) == computer.flops


@pytest.mark.parametrize("name", hardware_names())
def test_every_figure_of_a_computer_says_where_it_comes_from(name):
    lines = share_file("config", "hardware", f"{name}.yaml").read_text().splitlines()
    figures = [line for line in lines if re.search(r": .*\d", line.split("#")[0])]
    unknown = [
        line
        for line in figures
        if not line.startswith("description")
        and not re.search(r"# (source|derived|estimate|measured)\b", line)
    ]
    assert unknown == []
    assert len(figures) > 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bandwidth": -1.0}, r"mine.yaml: bandwidth: .*greater than 0"),
        ({"bandwidth": None}, r"mine.yaml: bandwidth: "),
        ({"flops": float("inf")}, r"mine.yaml: flops: .*finite"),
        ({"jitter": {"sigma": -0.1, "tail_share": 0.0, "tail_factor": 1.0}}, r"jitter.sigma"),
        ({"jitter": {"sigma": 0.1, "tail_share": 0.0}}, r"jitter.tail_factor: .*required"),
        ({"efficiency": {"flops": 1.5, "bandwidth": 1.0}}, r"efficiency.flops"),
        ({"ports": 4}, r"mine.yaml: unknown field ports"),
    ],
)
def test_a_missing_or_negative_number_is_refused_naming_file_and_field(tmp_path, change, told):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(PLAIN | change))
    with pytest.raises(EvaluationError, match=told) as caught:
        load_hardware(str(path))
    assert "\n" not in str(caught.value)


def test_a_field_that_is_not_there_is_refused_by_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in PLAIN.items() if k != "overhead"}))
    with pytest.raises(EvaluationError, match=r"mine.yaml: overhead: field required"):
        load_hardware(str(path))


def test_an_unknown_computer_is_refused_with_the_known_ones():
    with pytest.raises(EvaluationError, match=r"'abacus'.*orin-agx"):
        load_hardware("abacus")


def test_full_depth_takes_longer_in_its_tail_than_typically():
    noisy = Hardware(**PLAIN | {"jitter": {"sigma": 0.2, "tail_share": 0.02, "tail_factor": 3.0}})
    stages = [stage(flops=5e6)] * 4
    assert noisy.full_depth(stages, 0.5) == pytest.approx(0.044, rel=0.1)
    assert noisy.full_depth(stages, 0.99) > 1.2 * noisy.full_depth(stages, 0.5)


@pytest.fixture(scope="module")
def manifest():
    return read_manifest(find_bundle("magma-nano"))


def test_a_bundle_costs_what_its_manifest_says(manifest):
    for own, spec in zip(price(manifest, None), manifest.stages, strict=True):
        assert (own.name, own.flops, own.weight_bytes) == (
            spec.name,
            spec.flops,
            spec.weight_bytes,
        )


def test_a_cost_table_is_spread_over_the_stages_and_adds_up(manifest):
    table = load_costs("magma-8b")
    stages = price(manifest, "magma-8b")
    total = sum(each.times * each.flops for each in (*table.look, *table.think))
    assert sum(stage.flops for stage in stages) == pytest.approx(total)
    assert total == pytest.approx(6.1e12, rel=0.02)
    thinks = [pair for pair in zip(stages, manifest.stages, strict=True) if pair[1].kind == "think"]
    factors = [stage.flops / spec.flops for stage, spec in thinks]
    assert factors == pytest.approx(
        [factors[0]] * len(thinks)
    )  # shared as the bundle shares its own
    assert all(len(stage.passes) == len(table.think) for stage, _ in thinks)


def test_an_8b_policy_is_bound_by_memory_while_it_decodes(manifest):
    orin = load_hardware("orin-agx")
    stages = price(manifest, "magma-8b")
    seconds = sum(orin.seconds(stage) for stage in stages)
    decoding = 7 * 15e9 / (orin.efficiency.bandwidth * orin.bandwidth)
    assert decoding < seconds < 2.0 * decoding


def test_a_repriced_manifest_keeps_everything_but_the_costs(manifest):
    dear = repriced(manifest, price(manifest, "magma-8b"))
    assert [stage.name for stage in dear.stages] == [stage.name for stage in manifest.stages]
    assert sum(s.flops for s in dear.stages) > 1000 * sum(s.flops for s in manifest.stages)
    assert dear.action == manifest.action


def test_jitter_has_median_one_and_its_tail():
    jitter = Hardware(
        **PLAIN | {"jitter": {"sigma": 0.1, "tail_share": 0.01, "tail_factor": 4.0}}
    ).jitter
    factors = jitter.draw(np.random.default_rng(3), (50_000,))
    assert np.median(factors) == pytest.approx(1.0, abs=0.02)
    assert np.mean(factors > 2.0) == pytest.approx(0.01, rel=0.2)
