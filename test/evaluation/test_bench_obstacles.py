# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy, stream, guard and eyes together: the arm stops short of what it would run into."""

import json
from pathlib import Path

import numpy as np
import pytest

from magma_ros.cli import bench
from magma_ros.evaluation.bench import obstacles
from magma_ros.evaluation.bench.obstacles import (
    CONDITIONS,
    ObstacleBench,
    Outcome,
    guard_config,
    obstacle_table,
    play_case,
    run_obstacle_bench,
)
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.evaluate import start_clock
from magma_ros.evaluation.play.guarded import GuardedEpisode, Sight
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import Scene
from magma_ros.share import find_bundle

SPEC = EvaluationSpec(("tabletop",), tasks=("pick",), episodes=1, clock="modelled")
FREE, BESIDE, _, BLOCKED, BLOCKED_OFF, VISITED, _ = CONDITIONS
SEED = 800_000


@pytest.fixture(scope="module")
def nano():
    yield find_bundle("magma-nano")
    start_clock.cache_clear()


@pytest.fixture(scope="module")
def beside(nano):
    """An episode beside posts, with braking."""
    return play_case(SPEC, nano, (BESIDE, SEED + 1))


def test_the_arm_works_past_posts_and_stops_before_one_in_its_way(nano, beside):
    assert beside.success
    assert beside.slowed > 0.05, "it passes near enough to be slowed"
    assert (beside.contacts, beside.stops) == (0, ())
    blocked = play_case(SPEC, nano, (BLOCKED, SEED))
    stop = guard_config(braking=True).proximity.stop_distance
    assert (blocked.success, blocked.contacts, blocked.stops) == (False, 0, ())
    assert stop - 0.01 < blocked.nearest < stop + 0.02
    assert play_case(SPEC, nano, (BLOCKED_OFF, SEED)).contacts > 0, "without braking it touches"


def test_the_task_goes_on_when_the_hand_has_left(nano):
    free, visited = (play_case(SPEC, nano, (case, SEED + 1)) for case in (FREE, VISITED))
    assert free.success
    assert visited.success
    assert (visited.contacts, visited.stops) == (0, ())
    assert visited.slowed > 0.3
    assert visited.duration > free.duration + 1.0


def test_an_episode_that_the_guard_ends_is_over_and_says_why():
    scene = Scene("tabletop", "pick", "seen", 0)
    with GuardedEpisode(scene, guard_config(braking=False), None) as episode:
        episode._planned = 0.0  # the only plan that ever comes
        ticks = 0
        while not episode.over:
            ticks += 1
            sent = episode.follow(np.array([0.05, 0, 0, 0, 0, 0]), 1.0, ticks / 50)
            assert sent.shape == (6,)
        assert [reason.name for reason in episode.stops] == ["PLAN_SILENT"]
        assert 0.9 < episode.time < 1.2


def test_a_world_without_depth_is_refused(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("foreign")))
    find_suite.cache_clear()
    with pytest.raises(EvaluationError, match="points:suite give no depth images"):
        GuardedEpisode(
            Scene("points:suite", "goto", "plain", 0), guard_config(braking=True), Sight()
        )
    find_suite.cache_clear()


def outcome(**changes):
    plain = {"success": True, "duration": 2.0, "contacts": 0, "nearest": 0.05, "slowed": 0.1}
    return Outcome(**(plain | {"stops": ()} | changes))


def results(**by_task):
    return ObstacleBench(
        "nano", 0, {c: by_task.get(f"{c.task}_{c.braking}", [outcome()] * 10) for c in CONDITIONS}
    )


def test_contacts_while_braking_and_lost_success_are_shortfalls():
    assert results().shortfalls == []
    touched = [outcome(contacts=2), *[outcome()] * 9]
    assert results(**{"pick-visited_False": touched}).shortfalls == [], "it did not brake"
    assert results(**{"pick-visited_True": touched}).shortfalls == [
        "a hand comes in, braking: contacts in 1 of 10 episodes"
    ]
    failed = [outcome(success=False)] * 2 + [outcome()] * 8
    (said,) = results(pick_True=failed).shortfalls
    assert said == (
        "posts beside the way, braking: success 80%, less than 90% of the 100% with nothing in the "
        "way"
    )


def test_the_bench_writes_what_it_saw_and_exits_with_its_verdict(tmp_path, monkeypatch, needs):
    needs("sim")
    seen = results(**{"pick-visited_True": [outcome(contacts=1, success=False)]})
    monkeypatch.setattr(obstacles, "run_obstacle_bench", lambda *_, **__: seen)
    file = tmp_path / "bench.json"
    assert bench.obstacles(json_file=file) == 1
    content = json.loads(file.read_text())
    assert [c["label"] for c in content["conditions"]] == [c.label for c in CONDITIONS]
    assert len(content["shortfalls"]) == 1
    rows = {row[0]: row for row in obstacle_table(seen).rows}
    assert rows["a hand comes in, braking"][1] == "0/1"
    assert rows["nothing in the way"][3] == ""


def test_processes_side_by_side_play_the_same_episodes(nano, beside, monkeypatch):
    monkeypatch.setattr(obstacles, "CONDITIONS", CONDITIONS[:2])
    played = run_obstacle_bench(1, SEED + 1, nano, workers=2)
    assert [len(outcomes) for outcomes in played.outcomes.values()] == [1, 1]
    assert played.outcomes[BESIDE] == [beside]
    assert played.shortfalls == []
    with pytest.raises(EvaluationError, match="episodes must be at least 1"):
        run_obstacle_bench(0, SEED, nano, workers=1)
