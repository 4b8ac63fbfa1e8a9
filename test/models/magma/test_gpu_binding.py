# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a graph on a GPU reads from the CPU's memory is what lies there when it runs."""

import numpy as np
import onnxruntime as ort
import pytest

from magma_ros.models.magma.comparison import noise
from magma_ros.models.magma.export import import_checkpoint
from magma_ros.models.magma.export_target import Target
from magma_ros.models.magma.reader import Checkpoint
from magma_ros.policy import providers, runtime
from magma_ros.policy.manifest import read_manifest
from magma_ros.policy.providers import CPU, CUDA
from magma_ros.policy.runtime import StagedPolicy


class OnDevice:
    """A session that runs here, but takes inputs as one on a GPU does: a copy, made when bound."""

    def __init__(self, session):
        self.session = session

    def get_providers(self):
        return [CUDA, CPU]

    def io_binding(self):
        return CopyingBinding(self.session.io_binding())

    def run_with_iobinding(self, binding):
        self.session.run_with_iobinding(binding.binding)


class CopyingBinding:
    def __init__(self, binding):
        self.binding, self.held = binding, {}

    def bind_ortvalue_input(self, name, value):
        self.held[name] = ort.OrtValue.ortvalue_from_numpy(np.array(value.numpy()))
        self.binding.bind_ortvalue_input(name, self.held[name])

    def bind_ortvalue_output(self, name, value):
        self.binding.bind_ortvalue_output(name, value)


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "made"
    target = Target(precision="fp32", exits=(2,), height=48, width=48)
    return import_checkpoint(Checkpoint.open(tiny_checkpoint), out, target)


def answers(policy):
    for example in noise(policy.manifest, 4):
        inference = policy.start(example.observation)
        while inference.upcoming:
            if (reading := inference.advance()) is not None:
                yield reading


def test_a_policy_on_a_gpu_sees_every_new_picture_and_decodes_what_it_drafted(bundle, monkeypatch):
    expected = list(answers(StagedPolicy.load(bundle, threads=1)))
    opened = runtime.open_graphs
    monkeypatch.setattr(
        runtime,
        "open_graphs",
        lambda *given: {name: OnDevice(session) for name, session in opened(*given).items()},
    )
    monkeypatch.setattr(providers, "memory_of", lambda sessions: "cpu")
    found = list(answers(StagedPolicy.load(bundle, threads=1)))
    for made, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(made.chunk.actions, wanted.chunk.actions)
        assert made.passes == wanted.passes
    assert len({reading.chunk.actions.tobytes() for reading in found}) > 4


def test_what_runs_on_the_cpu_anyway_keeps_no_tensor_of_the_others_off_a_gpu(bundle, monkeypatch):
    manifest = read_manifest(bundle)
    hosted = {stage.file for stage in manifest.stages if stage.host}
    assert hosted == {"look_words.onnx"}
    asked = []
    monkeypatch.setattr(providers, "memory_of", lambda sessions: asked.append(sessions) or "cpu")
    policy = StagedPolicy.load(bundle, threads=1)
    (sessions,) = asked
    graphs = {*(stage.file for stage in policy.manifest.stages), "draft.onnx"}
    assert len(sessions) == len(graphs - hosted)
