# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stages chained through bound tensors give what plain runs give, one reading an exit."""

import math
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.pipeline import PolicyError
from magma_ros.policy.preprocess import ObservationError
from magma_ros.policy.runtime import StagedPolicy

READINGS = ("action", "entropy", "margin", "trace")


def readings(inference):
    return [reading for _ in range(5) if (reading := inference.advance())]


def plain_runs(folder, observation):
    """The same bundle with ordinary ``session.run`` calls, unnormalised by hand."""
    policy = StagedPolicy.load(folder, threads=1)
    values = dict(policy._preprocess(observation))
    exits = []
    for stage in policy.manifest.stages:
        session = ort.InferenceSession(folder / stage.file, providers=["CPUExecutionProvider"])
        names = [tensor.name for tensor in stage.outputs]
        outputs = session.run(names, {t.name: values[t.name] for t in stage.inputs})
        values |= dict(zip(names, outputs, strict=True))
        if stage.depth is not None:
            exits.append({name: values[name][0] for name in names if name in READINGS})
    return exits


def test_bound_stages_equal_plain_runs(pristine_bundle, policy, observation):
    policy.warm_up()
    expected = plain_runs(pristine_bundle, observation)
    found = readings(policy.start(observation))
    assert len(found) == len(expected) == 3
    for reading, values in zip(found, expected, strict=True):
        actions = policy.manifest.action.unnormalise(values["action"].astype(float))
        np.testing.assert_allclose(reading.chunk.actions, actions, rtol=1e-6, atol=1e-9)
        assert reading.confidence.entropy == pytest.approx(values["entropy"].mean())
        assert reading.confidence.margin == pytest.approx(values["margin"].mean())


def test_the_point_of_a_mark_changes_what_is_done(pointing_bundle, observation):
    policy = StagedPolicy.load(pointing_bundle, threads=1)
    policy.warm_up()
    actions = []
    for point in (None, (10.0, 20.0), (200.0, 20.0), (10.0, 20.0)):
        reading = readings(policy.start(replace(observation, point=point)))[-1]
        actions.append(reading.chunk.actions)
    assert np.abs(actions[0] - actions[1]).max() > 1e-6
    assert np.abs(actions[1] - actions[2]).max() > 1e-6
    np.testing.assert_array_equal(actions[1], actions[3])


def test_an_exit_that_draws_gives_its_trace_on_magmas_grid(pristine_bundle, policy, observation):
    first, second, third = readings(policy.start(observation))
    drawn = [exit_.get("trace") for exit_ in plain_runs(pristine_bundle, observation)]
    assert second.trace is drawn[1] is None
    for reading, points in ((first, drawn[0]), (third, drawn[2])):
        assert reading.trace.camera == "front"
        np.testing.assert_array_equal(reading.trace.times, [0.2, 0.4, 0.6])
        np.testing.assert_allclose(reading.trace.points, 256.0 * points, rtol=1e-6)
        assert reading.trace.points.shape == (3, 2, 2)


def test_disagreement_is_the_rms_of_normalised_actions(pristine_bundle, policy, observation):
    values = [exit_["action"] for exit_ in plain_runs(pristine_bundle, observation)]
    first, second, third = readings(policy.start(observation))
    assert first.confidence.disagreement == math.inf
    for reading, before, now in ((second, *values[:2]), (third, *values[1:])):
        rms = np.sqrt(np.mean((now - before) ** 2))
        assert reading.confidence.disagreement == pytest.approx(rms)


def test_a_reading_carries_stamp_depth_and_cost_so_far(policy, observation):
    found = readings(policy.start(observation))
    stages = policy.manifest.stages
    assert [reading.depth for reading in found] == [1, 2, 3]
    assert [reading.chunk.depth for reading in found] == [1, 2, 3]
    assert {reading.chunk.stamp for reading in found} == {observation.stamp}
    assert found[0].flops == stages[0].flops + stages[1].flops
    assert found[-1].flops == sum(stage.flops for stage in stages)
    assert found[-1].weight_bytes == sum(stage.weight_bytes for stage in stages)


def test_a_reading_tells_what_the_policy_was_told(policy, observation):
    inference = policy.start(replace(observation, instruction="Pick the red cube"))
    readings = [reading for _ in policy.manifest.stages if (reading := inference.advance())]
    assert {reading.instruction for reading in readings} == {"Pick the red cube"}


def test_a_reading_survives_the_runs_that_follow(policy, observation):
    first = policy.start(observation)
    first.advance()
    reading = first.advance()
    before = reading.chunk.actions.copy()
    blank = {name: np.zeros_like(image) for name, image in observation.images.items()}
    readings(policy.start(replace(observation, images=blank)))
    np.testing.assert_array_equal(reading.chunk.actions, before)


def test_upcoming_stages_end_at_the_next_exit(policy, observation):
    inference = policy.start(observation)
    seen = []
    while stages := inference.upcoming:
        seen.append([stage.name for stage in stages])
        inference.advance()
    assert seen == [
        ["look", "think_1"],
        ["think_1"],
        ["think_2"],
        ["detail", "think_3"],
        ["think_3"],
    ]
    assert inference.exits == 3


def test_nothing_runs_after_the_deepest_exit(policy, observation):
    inference = policy.start(observation)
    readings(inference)
    with pytest.raises(PolicyError, match="deepest exit"):
        inference.advance()


@pytest.mark.parametrize("interrupt", ["start", "warm_up"])
def test_an_inference_ends_when_another_takes_its_tensors(policy, observation, interrupt):
    inference = policy.start(observation)
    inference.advance()
    policy.start(observation) if interrupt == "start" else policy.warm_up()
    with pytest.raises(PolicyError, match="another one"):
        inference.advance()


def test_a_refused_observation_leaves_the_policy_usable(policy, observation):
    expected = readings(policy.start(observation))[-1]
    with pytest.raises(ObservationError):
        policy.start(replace(observation, instruction=""))
    again = readings(policy.start(observation))[-1]
    np.testing.assert_array_equal(again.chunk.actions, expected.chunk.actions)


@pytest.mark.parametrize(
    ("name", "complaint"), [("action", "proposes an action"), ("trace", "draws a trace")]
)
def test_what_is_not_finite_is_never_handed_out(bundle, edit_stage, observation, name, complaint):
    def poison(model):
        (weights,) = [w for w in model.graph.initializer if w.name == f"w_{name}"]
        values = numpy_helper.to_array(weights).copy()
        values[0, 3] = np.nan
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))

    edit_stage(4, poison)
    inference = StagedPolicy.load(bundle, threads=1).start(observation)
    before = [inference.advance() for _ in range(4)]
    assert [reading is None for reading in before] == [True, False, False, True]
    with pytest.raises(PolicyError, match=f"stage think_3 {complaint} that is not finite"):
        inference.advance()


def test_a_policy_without_proprioception_runs(bundle, edit_manifest, edit_stage, observation):
    """Magma-8B is such a policy: one look at pixels and words."""

    def forget(model):
        graph = model.graph
        for node in graph.node:
            if "proprioception" in node.input:
                node.input[0] = "nothing"
        graph.initializer.append(numpy_helper.from_array(np.zeros((1, 3), np.float32), "nothing"))
        for position, argument in enumerate(graph.input):
            if argument.name == "proprioception":
                del graph.input[position]

    def forget_in_manifest(content):
        content["observation"]["proprioception"] = []
        for stage in content["stages"]:
            stage["inputs"] = [t for t in stage["inputs"] if t["name"] != "proprioception"]

    edit_stage(0, forget)
    edit_stage(3, forget)
    edit_manifest(forget_in_manifest)
    policy = StagedPolicy.load(bundle, threads=1)
    bodiless = replace(observation, proprioception=np.zeros(0), fields=())
    assert len(readings(policy.start(bodiless))) == 3
    assert read_manifest(bundle).exits == 3


@pytest.mark.parametrize("frame", ["base", "fr3_link0"])
def test_actions_in_the_base_frame_are_carried_out(bundle, edit_manifest, frame):
    edit_manifest(lambda content: content["action"].update(frame=frame))
    assert StagedPolicy.load(bundle, base_frame="fr3_link0").manifest.action.frame == frame


def test_actions_in_another_frame_are_refused(bundle, edit_manifest):
    edit_manifest(lambda content: content["action"].update(frame="gripper_camera_optical"))
    with pytest.raises(BundleError, match=r"action\.frame is 'gripper_camera_optical'"):
        StagedPolicy.load(bundle, base_frame="fr3_link0")
