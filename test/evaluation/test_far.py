# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy elsewhere is evaluated over a modelled line: by seed, without a socket, never late."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from magma_ros.evaluation.computers.line import TIMEOUT, LineConditions, ModelledLine
from magma_ros.evaluation.computers.modelled import SimulatedTime
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.far import Far
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.world import Scene
from magma_ros.gate.far import FarPlan
from magma_ros.policy.manifest import MANIFEST
from magma_ros.remote.ledger import LineRules
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Confidence, Observation

SCENE = Scene("tabletop", "reach", "seen", 40)
PERFECT = LineConditions(delay=0.02, rate=1e12, compute=0.0, quality=0)


def seen(stamp):
    picture = np.full((96, 96, 3), 127, np.uint8)
    return Observation(stamp, {"front": picture}, np.zeros(1), ("ee_x",), "push")


def answer(observation):
    chunk = ActionChunk(observation.stamp, 0.1, np.zeros((8, 7)), 9, MAGMA)
    return FarPlan(chunk, Confidence(math.inf, math.nan, math.nan))


def begin(conditions, scene=SCENE, answer=answer):
    clock = SimulatedTime()
    line = ModelledLine(conditions, answer, LineRules(patience=1.0))
    line.begin(scene, clock)
    return line, clock


def delays(line, clock, count=50, period=0.2):
    """How long the answer to each of some observations took; nan where none came for it."""
    found = []
    for tick in range(count):
        clock.sleep_until(tick * period)
        line.ask(seen(clock.now()), clock.now(), clock.now() + period)
        stamp = clock.now()
        line.wait(stamp, stamp + 0.999 * period)
        plan = line.newest
        came = plan is not None and plan.chunk.stamp == stamp
        found.append(clock.now() - stamp if came else math.nan)
    return np.array(found)


def test_an_answer_comes_after_both_ways_and_not_before():
    np.testing.assert_allclose(delays(*begin(PERFECT)), 0.04, atol=1e-6)


def test_jitter_stays_within_its_bounds_and_a_slow_uplink_takes_its_time():
    found = delays(*begin(replace(PERFECT, jitter=0.01)))
    assert 0.02 <= found.min() < 0.03 < 0.05 < found.max() <= 0.06
    slow = delays(*begin(replace(PERFECT, rate=8e6)))
    np.testing.assert_allclose(slow, 0.04 + (96 * 96 * 3 + 500 + 1000) / 1e6, atol=1e-6)


def test_what_is_lost_is_late():
    found = delays(*begin(replace(PERFECT, loss=0.05)), count=200, period=0.5)
    assert {0.04, 0.08} <= set(np.round(found[np.isfinite(found)], 2))
    assert np.nanmax(found) >= 0.04 + TIMEOUT


def test_a_cut_ends_answers_and_they_come_again_after_it():
    line, clock = begin(replace(PERFECT, cut_every=3.0, cut=2.0))
    found = delays(line, clock, count=100)
    missing = np.isnan(found)
    assert 0.2 < missing.mean() < 0.8
    assert not missing[np.flatnonzero(missing)[-1] + 1 :].any()
    assert line._ledger.counts.lost > 0


def test_the_same_seed_gives_the_same_line_and_another_another():
    rough = LineConditions(0.04, 0.02, 0.01, cut_every=5.0)
    first, again = delays(*begin(rough)), delays(*begin(rough))
    np.testing.assert_array_equal(first, again)
    other = delays(*begin(rough, replace(SCENE, seed=41)))
    assert not np.array_equal(first, other, equal_nan=True)


def test_pictures_are_those_that_a_lossy_encoding_leaves():
    got = []
    line, _clock = begin(replace(PERFECT, quality=20), answer=lambda o: got.append(o) or answer(o))
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    line.ask(replace(seen(0.0), images={"front": noise}), 0.0, 0.1)
    assert not np.array_equal(got[0].images["front"], noise)


@pytest.mark.parametrize(
    "figures", [{"delay": -1.0}, {"loss": 1.0}, {"rate": 0.0}, {"jitter": 0.1}, {"cut": math.inf}]
)
def test_a_line_that_cannot_be_is_refused(figures):
    with pytest.raises(EvaluationError):
        replace(PERFECT, **figures)


def test_a_line_is_evaluated_under_the_modelled_clock_alone(tiny_bundle):
    with pytest.raises(EvaluationError, match="--clock modelled"):
        EvaluationSpec(suites=("tabletop",), far=Far(tiny_bundle))


@pytest.mark.parametrize("only", [False, True])
def test_an_evaluation_with_a_policy_elsewhere_repeats_and_none_is_late(
    tiny_bundle, simulate, only
):
    rough = LineConditions(0.03, 0.015, 0.01, cut_every=2.0, cut=1.0)
    spec = EvaluationSpec(
        suites=("tabletop",),
        tasks=("reach",),
        episodes=1,
        clock="modelled",
        gate="fixed",
        gate_options=(("depth", 1),),
        far=Far(tiny_bundle, only=only, line=rough),
        workers=1,
    )
    first, again = (json.dumps(evaluate(spec, tiny_bundle).to_json()) for _ in range(2))
    assert first == again
    assert str(tiny_bundle) not in first
    episodes = json.loads(first)["episodes"]
    origins = {name for episode in episodes for name in episode["elsewhere"]}
    assert origins == {"FAR", "FAR_LATE"}
    assert all(episode["late"] == 0 for episode in episodes)
    assert any("UNANSWERED" in episode["reasons"] for episode in episodes) is only


@pytest.mark.parametrize("same", [True, False])
def test_of_the_same_policy_elsewhere_no_shallower_plan_is_followed(
    tiny_bundle, tmp_path, simulate, same
):
    """By the bundle's checksum; a copy whose manifest differs is another policy."""
    other = shutil.copytree(tiny_bundle, tmp_path / "other")
    with (other / MANIFEST).open("a") as manifest:
        manifest.write("# another\n")
    far = tiny_bundle if same else other
    spec = EvaluationSpec(
        suites=("tabletop",),
        tasks=("reach",),
        episodes=1,
        clock="modelled",
        gate="fixed",
        gate_options=(("depth", 3),),
        far=Far(far, depth=1, line=replace(PERFECT, delay=0.005)),
        workers=1,
    )
    (episode,) = evaluate(spec, tiny_bundle).to_json()["episodes"]
    assert ("elsewhere" in episode) is not same
