# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the stages for real before the first decision depends on them."""

from __future__ import annotations

from collections.abc import Callable

from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import Inference
from magma_ros.types import Clock


def self_test(
    start: Callable[[], Inference], latency: LatencyModel, clock: Clock, seconds: float = 1.0
) -> int:
    """Think to the end, over and over, and let ``latency`` learn how long each stage takes.

    The first pass is warm-up and teaches nothing; the next one is made however long it takes.

    Args:
        start: Begins an inference, for example about a blank observation.
        latency: Learns.
        clock: Times the stages.
        seconds: Time after which no further pass begins.

    Returns:
        The number of passes learnt from.

    Raises:
        MagmaError: The policy fails.
    """
    began = clock.now()
    _warm_up(start())
    passes = 0
    while passes == 0 or clock.now() - began < seconds:
        _measure(start(), latency, clock)
        passes += 1
    return passes


def _warm_up(inference: Inference) -> None:
    while inference.upcoming:
        inference.advance()


def _measure(inference: Inference, latency: LatencyModel, clock: Clock) -> None:
    while stages := inference.upcoming:
        began = clock.now()
        reading = inference.advance()
        passes = 1 if reading is None else reading.passes
        latency.observe(stages[0], clock.now() - began, passes)
