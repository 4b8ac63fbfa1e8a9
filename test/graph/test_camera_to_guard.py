# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency is measured through the real nodes: every picture has its answer or is a miss."""

import pytest

from magma_ros.cli.latency_run import run_nodes_bench
from magma_ros.evaluation.bench.nodes_wall import NodesSpec
from magma_ros.evaluation.bench.nodes_wall_report import nodes_rows
from magma_ros.share import find_bundle

pytestmark = [pytest.mark.graph, pytest.mark.timeout(180)]


def test_pictures_are_followed_through_policy_and_guard(tmp_path):
    spec = NodesSpec(ticks=20, rates=(10.0,), hog=False)
    bench = run_nodes_bench(spec, find_bundle("magma-nano"), tmp_path)
    rows = nodes_rows(bench)
    assert [row.contender for _, row, _ in rows] == ["adaptive", "full depth"]
    for _, row, _ in rows:
        assert row.ticks == 20
        assert row.answered >= 10
        # Inference and the way through two nodes take time; an answer to an older picture would
        # seem to take none.
        assert row.median > 0.002
    assert rows[1][1].mean_depth == 6.0
