# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real policy under the real gate: an observation in, a verdict out."""

import numpy as np
import pytest
from onnx import numpy_helper

from magma_ros.gate.gates import AdaptiveGate, FixedDepth
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import Budget, MonotonicClock, Reason


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_verdict_is_the_reading_of_its_exit(policy, observation, depth):
    policy.warm_up()
    clock = MonotonicClock()
    budget = Budget(deadline=clock.now() + 60.0)
    inference = policy.start(observation)
    verdict = think(inference, FixedDepth(depth), LatencyModel(), budget, clock)
    again = policy.start(observation)
    found = [reading for _ in verdict.stage_times if (reading := again.advance())][-1]
    assert verdict.reason is Reason.CONFIDENT
    assert verdict.depth == depth
    np.testing.assert_array_equal(verdict.chunk.actions, found.chunk.actions)
    assert (verdict.flops, verdict.weight_bytes) == (found.flops, found.weight_bytes)
    assert verdict.slack > 0.0
    assert all(seconds > 0.0 for seconds in verdict.stage_times)


@pytest.mark.parametrize(("depth", "drawn_at"), [(1, 1), (2, 1), (3, 3)])
def test_the_verdict_has_the_trace_of_the_deepest_exit_that_drew(
    policy, observation, depth, drawn_at
):
    clock = MonotonicClock()
    budget = Budget(deadline=clock.now() + 60.0)
    inference = policy.start(observation)
    verdict = think(inference, FixedDepth(depth), LatencyModel(), budget, clock)
    again = policy.start(observation)
    found = {r.depth: r.trace for _ in range(5) if (r := again.advance())}
    np.testing.assert_array_equal(verdict.trace.points, found[drawn_at].points)


def test_no_time_is_a_verdict_and_the_policy_goes_on(policy, observation):
    clock = MonotonicClock()
    gate, latency = AdaptiveGate(), LatencyModel()
    late = think(policy.start(observation), gate, latency, Budget(clock.now()), clock)
    assert (late.reason, late.chunk, late.trace) == (Reason.NO_TIME, None, None)
    verdict = think(policy.start(observation), gate, latency, Budget(clock.now() + 60.0), clock)
    assert verdict.chunk is not None


def test_a_faulty_stage_is_a_verdict_that_names_it(bundle, edit_stage, observation):
    def poison(model):
        for weights in model.graph.initializer:
            if weights.name == "w_action":
                values = np.full_like(numpy_helper.to_array(weights), np.inf)
                weights.CopyFrom(numpy_helper.from_array(values, weights.name))

    edit_stage(1, poison)
    policy = StagedPolicy.load(bundle, threads=1)
    clock = MonotonicClock()
    budget = Budget(deadline=clock.now() + 60.0)
    verdict = think(policy.start(observation), FixedDepth(3), LatencyModel(), budget, clock)
    assert verdict.reason is Reason.FAULT
    assert "think_1" in verdict.detail
    assert verdict.chunk is verdict.trace is None
