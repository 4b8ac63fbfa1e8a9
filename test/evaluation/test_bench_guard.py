# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma bench guard`` says what came out, and fails if something came out that must not."""

import json

import pytest

from magma_ros.cli import bench
from magma_ros.evaluation.bench.guard import LATENCIES, ROBOTS, run_guard_bench
from magma_ros.guard.fences import Approach, Fences
from magma_ros.types import MagmaError


def test_bench_writes_what_was_sent_and_how_far_out_the_arm_got(tmp_path, monkeypatch):
    monkeypatch.setattr("magma_ros.evaluation.bench.guard.RUN", 1.0)
    file = tmp_path / "guard.json"
    assert bench.guard(messages=2000, runs=1, json_file=file) == 0
    content = json.loads(file.read_text())
    assert content["fuzz"]["messages"] == 2000
    assert content["fuzz"]["violations"] == {}
    assert content["fuzz"]["messages_per_second"] > 0.0
    assert sum(content["fuzz"]["modes"].values()) == content["fuzz"]["updates"]
    joints = content["joints"]
    assert {by: fuzz["messages"] for by, fuzz in joints.items()} == {
        "joint_trajectory": 1000,
        "forward_velocity": 1000,
    }
    assert all(fuzz["violations"] == {} for fuzz in joints.values())
    assert len(content["excursions"]) == 2 * len(ROBOTS) * len(LATENCIES)
    assert all(each["worst"] <= 1e-3 for each in content["excursions"])


def test_bench_fails_if_something_came_out_that_must_not(monkeypatch):
    monkeypatch.setattr(Fences, "permits", lambda *_: True)
    monkeypatch.setattr(
        Fences, "approach", lambda _self, _estimate, twist: Approach(twist, 1.0, "")
    )
    assert bench.guard(messages=30_000, runs=0) == 1


def test_numbers_that_make_no_sense_are_refused():
    for wrong in ({"messages": 0}, {"runs": -1}, {"seed": -1}):
        with pytest.raises(MagmaError, match="bench guard needs"):
            run_guard_bench(**({"messages": 1, "runs": 0, "seed": 0} | wrong))
