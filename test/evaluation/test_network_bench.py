# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Success by network quality is told for each way of deciding, on the same episodes."""

import pytest

from magma_ros.evaluation.bench.network import QUALITIES, Way, network_bench
from magma_ros.evaluation.bench.network_report import network_table, plot_network
from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.far import Far
from magma_ros.evaluation.play.spec import EvaluationSpec


@pytest.fixture
def spec():
    made = EvaluationSpec(
        suites=("tabletop",), tasks=("reach",), episodes=1, clock="modelled", workers=1
    )
    return made.at_depth(1)


def test_every_way_is_played_over_every_line_and_drawn(spec, tiny_bundle, tmp_path, simulate):
    bench = network_bench(spec, tiny_bundle, Far(tiny_bundle), ("2 ms",))
    assert [row.way for row in bench.rows] == list(Way)
    here, far, together = bench.rows
    assert here.share("FAR") == 0.0
    assert far.share("FAR") > 0.9
    assert together.share("FAR") > 0.9
    assert here.late == far.late == together.late == 0.0
    assert bench.to_json()["both_against"]["2 ms"]["far"]["difference"] == 0.0
    assert len(network_table(bench).splitlines()) == 2 + 3
    plot_network(bench, tmp_path / "network.png")
    assert (tmp_path / "network.png").stat().st_size > 10_000


def test_a_line_without_a_model_is_refused(spec, tiny_bundle):
    with pytest.raises(EvaluationError, match=next(iter(QUALITIES))):
        network_bench(spec, tiny_bundle, Far(tiny_bundle), ("carrier pigeon",))
