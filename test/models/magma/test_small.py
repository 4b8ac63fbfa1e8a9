# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped bundle of Magma's layout: whole, small, and doing what it is told."""

from __future__ import annotations

from magma_ros.cli import main
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import find_bundle

SMALL = "magma-small"


def test_the_shipped_bundle_is_sound_and_small() -> None:
    assert main(["bundle", "verify", SMALL]) == 0
    folder = find_bundle(SMALL)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 25e6
    assert read_manifest(folder).exits == 4


def test_its_last_exit_does_what_it_is_told_on_scenes_that_it_was_not_trained_on(needs) -> None:
    needs("sim")
    spec = EvaluationSpec(
        ("tabletop",),
        ("reach", "pick"),
        episodes=2,
        seed=2001,
        gate="fixed",
        gate_options=(("depth", 4),),
        execute=1,
        workers=1,
    )
    done = [result.success for result in evaluate(spec, find_bundle(SMALL)).results]
    assert sum(done) >= 3
