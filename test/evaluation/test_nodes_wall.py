# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a picture to the command that follows its plan, and nothing is left out that was late."""

import json
import math

import numpy as np
import pytest

from magma_ros.evaluation.bench.nodes_wall import (
    Block,
    NodesBench,
    NodesSpec,
    Record,
    Seen,
    blocks,
    contenders,
    read_record,
    save_pictures,
    ticks_of,
)
from magma_ros.evaluation.bench.nodes_wall_report import nodes_rows, nodes_table, write_nodes_bench
from magma_ros.evaluation.bench.wall import QUIET, SERVED, WATCHED, WallBenchError
from magma_ros.types import Reason

MS = 1_000_000
START = 1_795_717_645_123_456_789


def shown(*times_ms, late=0.0):
    return tuple({"stamp_ns": START + time * MS, "late_s": late} for time in times_ms)


def plan(picture_ms, command_ms, depth=2, reason="CONFIDENT"):
    # As it comes back through a stamp in seconds.
    observed = round(1e9 * (1e-9 * (START + picture_ms * MS)))
    command = 0 if command_ms is None else START + command_ms * MS
    return {
        "observation_ns": observed,
        "command_ns": command,
        "depth": depth,
        "flops_fraction": 0.5,
        "reason": reason,
    }


def follows(*pairs_ms):
    """Pairs of (the guard's command, the policy's command it follows)."""
    return tuple((START + answer * MS, START + command * MS) for answer, command in pairs_ms)


def record(**content):
    return Record.model_validate(
        {"shown": shown(0), "plans": (), "follows": (), "holds": ()} | content
    )


def test_the_answer_is_the_first_command_of_the_guard_that_follows_the_plan():
    heard = record(
        shown=shown(0, 100),
        plans=(plan(0, 30), plan(100, 140, depth=6)),
        follows=follows((20, 10), (40, 30), (60, 50), (125, 120), (150, 140)),
    )
    first, second = ticks_of(heard, 1000, 0.005)
    assert (first.waited, first.depth) == (pytest.approx(0.040), 2)
    assert (second.waited, second.depth) == (pytest.approx(0.050), 6)
    assert (first.flops, first.reason) == (500, Reason.CONFIDENT)


def test_a_command_that_the_guard_never_saw_is_answered_by_the_next_one_it_follows():
    heard = record(plans=(plan(0, 30),), follows=follows((20, 10), (60, 50)))
    (tick,) = ticks_of(heard, 1000, 0.005)
    assert tick.waited == pytest.approx(0.060)


@pytest.mark.parametrize(
    "heard",
    [
        record(),
        record(plans=(plan(-100, 10),), follows=follows((20, 10))),  # skipped
        record(plans=(plan(0, None, reason="NO_TIME"),), follows=follows((20, 10))),
        record(plans=(plan(0, 30),), follows=follows((20, 10))),  # nobody followed
    ],
)
def test_a_picture_without_a_command_that_follows_its_plan_is_a_miss(tiny_bundle, heard):
    (tick,) = ticks_of(heard, 1000, 0.005)
    assert tick.waited is None
    spec = NodesSpec(1, (10.0,), hog=False)
    bench = NodesBench.of(spec, tiny_bundle)
    bench.add(Block(10.0, contenders(3)[0], 1), QUIET, heard)
    ((_, row, _),) = nodes_rows(bench)
    assert (row.ticks, row.misses) == (1, 1)


def test_pictures_that_came_late_are_told():
    heard = record(shown=shown(0, late=0.006) + shown(100, late=0.004))
    assert [tick.loop_late for tick in ticks_of(heard, 1000, 0.005)] == [True, False]


def test_conditions_and_contenders_take_turns_until_each_has_all_its_ticks(monkeypatch):
    monkeypatch.setattr("magma_ros.evaluation.bench.nodes_wall.find_browser", lambda: "chromium")
    spec = NodesSpec(ticks=25, rates=(10.0, 50.0), block=10, hog=False, browsers=3)
    planned = list(blocks(spec, 10.0, exits=6))
    assert [condition for condition, _ in planned[::2]] == [QUIET, SERVED, WATCHED] * 3
    assert [block.contender.family for _, block in planned] == ["adaptive", "full depth"] * 9
    assert [block.ticks for _, block in planned[::6]] == [10, 10, 5]
    with pytest.raises(WallBenchError, match="browsers must not be negative"):
        NodesSpec(browsers=-1, hog=False)


def test_the_gate_can_play_alone():
    spec = NodesSpec(ticks=25, block=10, hog=False, full_depth=False)
    planned = list(blocks(spec, 10.0, exits=6))
    assert {block.contender.family for _, block in planned} == {"adaptive"}


@pytest.mark.parametrize(
    ("pictures", "told"), [((80, 95, 90), "8.0 to 9.5"), ((80, 3, 90), "void: 0.3 to 9.0")]
)
def test_a_row_shows_how_many_pictures_were_seen_and_is_void_without(tiny_bundle, pictures, told):
    bench = NodesBench.of(NodesSpec(1, (10.0,), hog=False), tiny_bundle)
    bench.add(Block(10.0, contenders(3)[0], 1), WATCHED, record(), Seen(pictures, 10.0))
    assert [row[-1] for row in nodes_table(bench).rows] == [told]


@pytest.mark.parametrize(
    ("holds", "why"), [(("no twist came",), "no twist came"), ((), "never handed to the policy")]
)
def test_a_block_in_which_no_picture_counted_is_told_in_one_sentence(tmp_path, holds, why):
    path = tmp_path / "record.json"
    path.write_text(record(shown=(), holds=holds).model_dump_json())
    with pytest.raises(WallBenchError, match=f"no picture counted: .*{why}.*record.log"):
        read_record(path)


@pytest.mark.parametrize("rate", [1.0, 10.0, 50.0, 100.0])
def test_the_gate_is_given_what_the_guard_leaves_of_a_period_and_full_depth_has_no_deadline(rate):
    gate, full = (Block(rate, contender, 10) for contender in contenders(6))
    assert 0.0 < gate.policy_deadline < gate.deadline - 1.0 / gate.guard_rate
    assert full.policy_deadline > 1.0
    assert full.arguments()["depth"] == "6"
    assert 50.0 <= gate.guard_rate <= 200.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ticks": 0}, "ticks must be at least 1"),
        ({"block": 0}, "block must be at least 1"),
        ({"rates": ()}, "rates must be one or more numbers"),
        ({"rates": (10.0, math.nan)}, "rates must be one or more numbers"),
        ({"rates": (1000.0,)}, "from 0.5 to 100 Hz"),
    ],
)
def test_a_bench_that_makes_no_sense_is_refused(wrong, told):
    with pytest.raises(WallBenchError, match=told):
        NodesSpec(**{"hog": False} | wrong)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"shown": []}'])
def test_nodes_that_left_no_usable_record_are_told_with_their_log(tmp_path, content):
    path = tmp_path / "record.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WallBenchError, match="left no usable record") as error:
        read_record(path)
    assert str(tmp_path / "record.log") in str(error.value)


def test_the_report_holds_every_rate_condition_and_contender(tiny_bundle, tmp_path):
    spec = NodesSpec(2, (10.0, 50.0), hog=False)
    bench = NodesBench.of(spec, tiny_bundle)
    heard = record(plans=(plan(0, 10),), follows=follows((18, 10)), holds=("no pose",))
    for rate in spec.rates:
        for condition, block in blocks(spec, rate, bench.manifest.exits):
            bench.add(block, condition, heard)
    write_nodes_bench(bench, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "camera_to_guard.json").read_text())
    assert [(row["rate"], row["contender"], row["holds"]) for row in content["rows"]] == [
        (rate, who, 1) for rate in (10.0, 50.0) for who in ("adaptive", "full depth")
    ]
    assert all(row["misses"] == 0 for row in content["rows"])
    assert nodes_table(bench).title in (tmp_path / "out" / "camera_to_guard.md").read_text()


def test_what_the_cameras_show_is_kept_without_pickle(tmp_path):
    save_pictures(tmp_path / "pictures.npz", 0.1)
    with np.load(tmp_path / "pictures.npz", allow_pickle=False) as file:
        assert {"camera/front", "camera/wrist", "position", "instruction"} == set(file)
        assert file["camera/front"].ndim == 4
        assert file["position"].shape == (3,)
        assert str(file["instruction"])
