# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images cross from process to process whole and in time."""

import pytest

from magma_ros.embedded.benchmark import measure_image_transport


def test_reliable_images_all_arrive_whole():
    report = measure_image_transport(480, 640, frames=60, rate=30.0, reliable=True)
    assert (report.received, report.damaged) == (60, 0)


def test_best_effort_images_arrive_whole():
    report = measure_image_transport(480, 640, frames=60, rate=30.0)
    assert report.damaged == 0
    assert report.received >= 40  # on a machine that is busy with other work


@pytest.mark.parametrize(("height", "width"), [(224, 224), (480, 640)])
def test_image_transport_speed(benchmark, height, width):
    frames = 30 if benchmark.disabled else 300
    report = benchmark.pedantic(
        measure_image_transport, (height, width), {"frames": frames}, rounds=1, iterations=1
    )
    benchmark.extra_info.update(vars(report))
    assert report.damaged == 0
