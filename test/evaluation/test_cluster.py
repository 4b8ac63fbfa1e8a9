# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster gives the same results as processes here, and the same sentences."""

import functools
import os
import signal
import sys

import pytest

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.play.workers import WorkerError, spread

pytest.importorskip("ray")

from magma_ros.evaluation.play.cluster import on_ray


@pytest.fixture(scope="module")
def ray_cluster():
    from ray import cloudpickle

    # Workers can import the package, but not this file.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with on_ray("local"):
        yield


def halve(number):
    if number % 2:
        raise EvaluationError(f"{number} is odd")
    return number / 2


def end_once(mark, number):
    """End this worker by force the first time that any gets here."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return 2 * number
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def over(function, items):
    return spread(function, items, workers=1, console=None, description="")


@pytest.mark.usefixtures("ray_cluster")
def test_an_evaluation_on_a_cluster_is_the_same_to_the_last_byte():
    pytest.importorskip("pybullet")
    import json

    from magma_ros.evaluation.play.evaluate import evaluate, play_scene
    from magma_ros.evaluation.play.spec import EvaluationSpec
    from magma_ros.share import find_bundle

    bundle = find_bundle("magma-nano")
    spec = EvaluationSpec(("tabletop",), tasks=("reach",), episodes=2)
    played = evaluate(spec, bundle)
    assert played.results == tuple(play_scene(spec, bundle, scene) for scene in spec.scenes())
    assert json.dumps(played.to_json())


@pytest.mark.usefixtures("ray_cluster")
def test_results_come_in_order_and_a_fault_is_the_sentence_that_it_is_here():
    assert over(halve, range(0, 40, 2)) == tuple(range(20))
    with pytest.raises(EvaluationError, match=r"^3 is odd$"):
        over(halve, [2, 3, 4])


@pytest.mark.usefixtures("ray_cluster")
def test_a_task_whose_worker_is_killed_runs_again_and_nothing_is_lost(tmp_path):
    items = list(range(8))
    assert over(functools.partial(end_once, tmp_path / "mark"), items) == tuple(
        2 * number for number in items
    )


def test_a_cluster_that_does_not_answer_is_refused_in_a_sentence():
    with pytest.raises(WorkerError, match="ray start --head"), on_ray("nonsense"):
        pass
