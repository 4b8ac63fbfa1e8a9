# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many robots before one server: who asks when, what is counted, and that it is fair to all."""

import json

import numpy as np
import pytest

from magma_ros.evaluation.bench.serve import Condition, Measured, Server, ServeSpec, depth_shares
from magma_ros.evaluation.bench.serve_robots import Asked, Plan
from magma_ros.evaluation.error import EvaluationError
from magma_ros.share import find_bundle

NANO = find_bundle("magma-nano")


def plan(**changed):
    settings = {
        "port": 1,
        "recording": "recording.npz",
        "spans": ((0.0, 10.0),) * 8,
        "period": 0.1,
        "deadline": 0.1,
        "seed": 2,
    }
    return Plan(**(settings | changed))


def asked(waited, depths=None, robots=None, due=None):
    waited = np.array(waited, float)
    count = len(waited)
    depths = np.where(np.isnan(waited), 0, 6) if depths is None else np.array(depths)
    return Asked(
        robots=np.zeros(count) if robots is None else np.array(robots),
        due=np.arange(count) * 0.1 if due is None else np.array(due),
        waited=waited,
        depths=depths,
        deviations=np.where(np.isnan(waited), np.nan, 0.0),
        admitted=(~np.isnan(waited)).astype(float),
        refused=np.zeros(count),
        wall=1.0,
    )


def test_robots_ask_as_often_as_they_should_in_phases_of_their_own_by_seed():
    due = [plan().due(robot) for robot in range(8)]
    assert due == [plan().due(robot) for robot in range(8)]
    assert due != [plan(seed=3).due(robot) for robot in range(8)]
    assert all(len(each) == 100 for each in due)
    assert all((np.diff(each) > 0.0).all() for each in due)
    assert len({each[1] % 0.1 for each in due}) > 4


def test_in_a_burst_robots_ask_at_the_same_moment():
    moments = [round(when, 6) for robot in range(8) for when in plan().due(robot)]
    _, together = np.unique(moments, return_counts=True)
    assert together.max() >= 3
    assert (together == 1).sum() > 100


def test_robots_of_a_spike_come_and_go():
    spec = ServeSpec(robots=(4,), spike=(2, 6), seconds=3.0)
    spike = spec.conditions()[1]
    assert spike.spans == ((0.0, 9.0),) * 2 + ((3.0, 6.0),) * 4
    assert plan(spans=spike.spans).due(5)[0] >= 3.0


@pytest.mark.parametrize(
    "wrong",
    [{"robots": (0,)}, {"spike": (8, 4)}, {"seconds": 0.0}, {"rate": float("nan")}],
)
def test_a_bench_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(EvaluationError):
        ServeSpec(**wrong)


def test_an_answer_counts_once_it_is_in_time_and_what_was_never_shown_is_missed(needs_sim_report):
    report = needs_sim_report
    row = report.serve_row(
        Measured(
            Condition("four", ((0.0, 1.0),)),
            Server("x", 0),
            asked([0.05, 0.1, 0.2, np.nan], [6, 4, 2, 0]),
            "loopback",
        ),
        0.1,
    )
    assert (row.ticks, row.misses) == (4, 2)
    assert (row.answered, row.in_time) == (3.0, 2.0)
    assert row.mean_depth == 4.0


def test_who_was_admitted_and_late_is_told_apart_from_who_was_not_admitted(needs_sim_report):
    found = asked([0.05, 0.2, 0.05, 0.2, np.nan, np.nan])
    found.admitted[:] = [1, 1, 0, 0, 0, 0]
    found.refused[4] = 1
    condition = Condition("six", ((0.0, 1.0),))
    row = needs_sim_report.serve_row(Measured(condition, Server("x"), found, "loopback"), 0.1)
    assert (row.admitted, row.admitted_missed) == (2, 1)
    assert (row.unadmitted, row.refused, row.misses) == (2, 1, 4)


def test_jains_index_tells_who_starves(needs_sim_report):
    jain = needs_sim_report.jain
    assert jain(np.ones(16)) == 1.0
    assert jain(np.array([1.0, 0.0, 0.0, 0.0])) == 0.25
    assert jain(np.zeros(3)) is None


def test_a_spike_is_over_once_depth_and_misses_are_as_before(needs_sim_report):
    recovery = needs_sim_report.recovery
    due = np.arange(0.0, 30.0, 0.1)
    waited = np.full(300, 0.05)
    depths = np.where((due >= 10.0) & (due < 21.99), 1, 5)
    found = asked(waited, depths, due=due)
    assert recovery(found, 0.1, (10.0, 20.0)) == pytest.approx(2.0)
    assert recovery(asked(waited, np.full(300, 5), due=due), 0.1, (10.0, 20.0)) == 0.0
    never = asked(waited, np.where(due >= 10.0, 1, 5), due=due)
    assert recovery(never, 0.1, (10.0, 20.0)) is None
    late = np.where((due >= 20.0) & (due < 23.99), 0.2, 0.05)
    missing = asked(late, np.full(300, 5), due=due)
    assert recovery(missing, 0.1, (10.0, 20.0)) == pytest.approx(4.0)


def test_depths_that_swing_before_a_spike_may_swing_after_it(needs_sim_report):
    due = np.arange(0.0, 30.0, 0.1)
    swing = np.where((due % 2.0) < 1.0, 2.6, 3.0)
    depths = np.where((due >= 10.0) & (due < 20.49), 1.0, swing)
    found = asked(np.full(300, 0.05), depths, due=due)
    assert needs_sim_report.recovery(found, 0.1, (10.0, 20.0)) <= 1.5
    shallower = asked(np.full(300, 0.05), np.where(due < 10.0, swing, 0.9 * swing), due=due)
    assert needs_sim_report.recovery(shallower, 0.1, (10.0, 20.0)) is None


def test_depths_become_shares_of_what_was_answered():
    shares = depth_shares(asked([0.1, 0.1, 0.1, np.nan], [1, 1, 3, 0]), 4)
    assert shares == pytest.approx((2 / 3, 0.0, 1 / 3, 0.0))
    assert sum(depth_shares(asked([np.nan]), 4)) == 0.0


@pytest.fixture
def needs_sim_report():
    pytest.importorskip("matplotlib")
    from magma_ros.evaluation.bench import serve_report

    return serve_report


def test_real_robots_ask_a_real_plain_server_over_a_bad_line_and_all_is_reported(tmp_path):
    pytest.importorskip("pybullet")
    pytest.importorskip("msgpack")
    from magma_ros.evaluation.bench.serve import run_serve_bench
    from magma_ros.evaluation.bench.serve_report import write_serve_bench
    from magma_ros.evaluation.computers.lines import LineSpec

    spec = ServeSpec(
        robots=(),
        spike=(1, 2),
        seconds=1.0,
        deadline=1.0,
        line=LineSpec(delay=0.02),
        line_kind="proxy",
        line_robots=1,
        scenes=1,
        episodes=0,
    )
    bench = run_serve_bench(spec, NANO, tmp_path, contenders=[Server("plain", 2)])
    write_serve_bench(bench, tmp_path)
    rows = json.loads((tmp_path / "serve.json").read_text())["rows"]
    assert [row["condition"] for row in rows] == ["spike 1 to 2", "1 robots, line"]
    assert all(row["mean_depth"] == 2.0 for row in rows)
    assert all(row["in_time"] > 0 and row["deviation"] > 0.0 for row in rows)
    assert all(row["server_cores"] > 0.0 and row["robot_cores"] > 0.0 for row in rows)
    assert rows[1]["median"] > 0.02
    assert (tmp_path / "serve.md").read_text().startswith("# magma-nano under load")
    assert (tmp_path / "serve.png").exists()
