# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The eyes are timed on pictures in which there is something to see."""

import json

from magma_ros.evaluation.bench.perception import run_perception_bench


def test_the_bench_tells_what_a_picture_costs():
    bench = run_perception_bench(20, 64, 48)
    assert 0.0 < bench.p50 <= bench.p95
    assert bench.core_share > 0.0
    assert bench.points > 10
    assert json.loads(json.dumps(bench.to_json()))["pictures"] == 20
    assert bench.grid().rows[0][0] == "64 x 48"
