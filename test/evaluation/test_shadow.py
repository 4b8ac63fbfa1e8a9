# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deciding after every exit was read gives the verdict that deciding on the way would have."""

import math

import numpy as np
import pytest

from magma_ros.evaluation.calibrate.episode_readings import Recorder
from magma_ros.evaluation.play.shadow import read_all
from magma_ros.gate.confidence import FEATURES, Yardstick
from magma_ros.gate.gates import AdaptiveGate, FixedDepth
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Budget, Confidence, ExitReading

YARDSTICK = Yardstick((1.0,) * 7, steps=2)


@pytest.mark.parametrize("gate", [FixedDepth(1), FixedDepth(9), AdaptiveGate(tolerance=0.2)])
def test_a_replay_is_judged_like_the_inference_itself(scripted, clock, gate):
    agree = (math.inf, 0.1, 0.3)
    budget = Budget(math.inf)
    straight = think(scripted(disagreements=agree), gate, LatencyModel(), budget, clock)
    replay = read_all(scripted(disagreements=agree))
    again = think(replay, gate, LatencyModel(), budget, clock)
    assert (again.reason, again.depth) == (straight.reason, straight.depth)
    assert (again.flops, again.weight_bytes) == (straight.flops, straight.weight_bytes)
    assert len(replay.readings) == replay.exits == 3


def reading(stamp, depth, value, disagreement):
    chunk = ActionChunk(stamp, 0.1, np.full((4, 7), value), depth, MAGMA)
    return ExitReading(chunk, Confidence(disagreement, 0.2, 0.6), depth, 0, 0)


def exits(stamp, *values):
    return [reading(stamp, depth, value, 0.1) for depth, value in enumerate(values, start=1)]


def test_a_recording_holds_what_the_gate_would_have_judged_by():
    recorder = Recorder(YARDSTICK)
    first = exits(0.0, 0.1, 0.2, 0.3)
    recorder.add(first, first[1].chunk)
    second = exits(0.1, 0.21, 0.3, 0.5)
    recorder.add(second, second[2].chunk)
    episode = recorder.episode(success=True)
    assert episode.features.shape == (2, 2, len(FEATURES))
    np.testing.assert_allclose(episode.deviations, [[0.2, 0.1], [0.29, 0.2]])
    assert episode.depths.tolist() == [2, 3]
    np.testing.assert_allclose(episode.feature("deviation"), np.log10([[1, 0.1], [1, 0.09]]))
    np.testing.assert_allclose(episode.feature("change"), [[0, 0], np.log10([0.01, 0.1])])
    np.testing.assert_allclose(episode.feature("disagreement")[:, 0], 0.0)


def test_violations_are_counted_where_it_was_acted_or_would_have_been():
    recorder = Recorder(YARDSTICK)
    for stamp in (0.0, 0.1):
        readings = exits(stamp, 0.1, 0.2, 0.3)
        recorder.add(readings, readings[1 if stamp else 0].chunk)
    episode = recorder.episode(success=False)
    assert episode.violations(0.15) == 0.5
    assert episode.violations(0.05) == 1.0
    assert episode.violations(0.05, np.array([3, 2])) == 0.5


def test_an_episode_without_a_decision_violates_nothing():
    episode = Recorder(YARDSTICK).episode(success=True)
    assert episode.violations(0.1) == 0.0
