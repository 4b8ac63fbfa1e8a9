# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a bundle with their tensors, ready to run in order.

All shapes are static, so every tensor is allocated once, when the policy loads: each graph input
and output is bound to its ``OrtValue`` for good, and a stage reads where an earlier one wrote.
Nothing is allocated or copied between stages, but for what a graph that decodes hands on to nobody,
and for what one on a GPU reads from the CPU's memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from magma_ros.policy import providers as execution
from magma_ros.policy.contract import (
    ANSWER_POSITIONS,
    CHOICE,
    EXIT_OUTPUTS,
    TRACE_OUTPUT,
    TensorSpec,
)
from magma_ros.policy.decoding import TokenLoop
from magma_ros.policy.manifest import Manifest
from magma_ros.policy.stages import DecodingContract, GraphSpec, StageSpec, graphs
from magma_ros.types import FloatArray, MagmaError

ON_CPU = (*EXIT_OUTPUTS, TRACE_OUTPUT, CHOICE)
"""Tensors that are read here, whatever runs the graphs."""

BFLOAT16 = 16
"""The number of bfloat16, which NumPy lacks, among ONNX's element types."""

Sessions = Mapping[str, ort.InferenceSession]
"""The open graphs by the name of their file."""

Values = Mapping[str, ort.OrtValue]


class PolicyError(MagmaError):
    """The policy could not produce a usable action."""


class Pipeline:
    """The stages with every input and output bound, for good, to one tensor a name.

    The exits share the names of their outputs and hence their tensors: a reading must be copied
    before the next exit runs.

    Args:
        manifest: Of the bundle.
        sessions: Its graphs.

    Attributes:
        serial: Counts the observations fed; an inference with another one has lost its tensors.
    """

    def __init__(self, manifest: Manifest, sessions: Sessions) -> None:
        memory = execution.memory_of(
            [sessions[g.file] for g in graphs(manifest.stages, manifest.decoding) if not g.host]
        )
        self._tensors = _allocate(manifest, memory)
        self._stages: list[_Graph | TokenLoop] = []
        decoder = None
        if manifest.decoding is not None:
            decoder = _Decoder(manifest.decoding, sessions, self._tensors, memory)
        for stage in manifest.stages:
            if decoder is not None and stage.kind == "decode":
                self._stages.append(decoder.loop(stage))
                continue
            inputs, outputs = (
                {tensor.name: self._tensors[tensor.name] for tensor in tensors}
                for tensors in (stage.inputs, stage.outputs)
            )
            self._stages.append(_Graph(stage, sessions[stage.file], inputs, outputs))
            if decoder is not None and stage.kind == "think":
                decoder.extend(stage)
        self.serial = 0

    def feed(self, inputs: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Copy an observation's graph inputs to where the stages read them."""
        for name, values in inputs.items():
            self._tensors[name].update_inplace(values)
        self.serial += 1

    def run(self, index: int, *, thorough: bool = False) -> int:
        """Run one stage and wait for it.

        Args:
            index: Of the stage.
            thorough: Whether a stage that decodes makes as many passes as it ever may.

        Returns:
            How many passes it took: 1 unless it decodes.

        Raises:
            PolicyError: ONNX Runtime fails.
        """
        stage = self._stages[index]
        if isinstance(stage, TokenLoop):
            return stage.run(thorough=thorough)
        stage()
        return 1

    def one_by_one(self, index: int) -> None:
        """Let a stage that decodes do it without a draft, after it has run; for checks."""
        stage = self._stages[index]
        if isinstance(stage, TokenLoop):
            stage.one_by_one()

    def tensor(self, name: str) -> npt.NDArray[np.generic]:
        """A copy of any tensor as it is."""
        return np.array(self._tensors[name].numpy())

    def output(self, name: str) -> FloatArray:
        """A copy of what the last exit gave under ``name``, without the batch axis, float64."""
        values: FloatArray = self._tensors[name].numpy()[0].astype(np.float64)
        return values


class _Graph:
    """A graph bound to its tensors; calling it runs it.

    Args:
        spec: Its description.
        session: The open graph.
        inputs: What it reads, by the names of its inputs.
        outputs: What it writes. Others of its outputs are dropped after each run.
    """

    def __init__(
        self, spec: GraphSpec, session: ort.InferenceSession, inputs: Values, outputs: Values
    ) -> None:
        self._name, self._session, self._binding = spec.name, session, session.io_binding()
        for name, value in inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            self._binding.bind_ortvalue_output(name, value)
        # What lies in the CPU's memory is copied to a GPU when it is bound, and not when it is run.
        on_gpu = session.get_providers()[0] in execution.ON_GPU
        self._copied = {
            name: value for name, value in inputs.items() if on_gpu and value.device_name() == "cpu"
        }

    def __call__(self) -> None:
        try:
            for name, value in self._copied.items():
                self._binding.bind_ortvalue_input(name, value)
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # ONNX Runtime's errors share no base class
            reason = " ".join(str(error).split())
            raise PolicyError(f"stage {self._name} failed: {reason}") from error


class _Decoder:
    """What decodes: the draft, and the thinks so far, bound to what they read while decoding."""

    def __init__(
        self, contract: DecodingContract, sessions: Sessions, tensors: Values, memory: str
    ) -> None:
        self._contract, self._sessions, self._tensors = contract, sessions, tensors
        self._memory = memory
        draft = contract.draft
        self._state = self._new(draft.outputs[0])
        inputs, outputs = {CHOICE: tensors[CHOICE]}, {draft.outputs[0].name: self._state}
        self._graphs = [_Graph(draft, sessions[draft.file], inputs, outputs)]

    def extend(self, think: StageSpec) -> None:
        """Append a think."""
        state, positions, past = think.inputs
        made, memory = think.outputs
        after = self._new(self._contract.output(think))
        inputs = {
            state.name: self._state,
            positions.name: self._tensors[ANSWER_POSITIONS],
            past.name: self._tensors[memory.name],
        }
        # The longer memory is no output of the binding.
        self._graphs.append(_Graph(think, self._sessions[think.file], inputs, {made.name: after}))
        self._state = after

    def loop(self, stage: StageSpec) -> TokenLoop:
        """The passes of a decoding stage through the thinks so far."""
        inputs = {tensor.name: self._state for tensor in stage.inputs}
        outputs = {tensor.name: self._tensors[tensor.name] for tensor in stage.outputs}
        head = _Graph(stage, self._sessions[stage.file], inputs, outputs)
        return TokenLoop([*self._graphs, head], self._tensors[CHOICE])

    def _new(self, tensor: TensorSpec) -> ort.OrtValue:
        return _value(tensor, self._memory)


def given_tensors(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """Everything that follows from an observation alone."""
    given = manifest.observation.tensors()
    return given if manifest.decoding is None else (*given, manifest.decoding.positions)


def _allocate(manifest: Manifest, memory: str) -> dict[str, ort.OrtValue]:
    """A tensor for everything that is given or made outside the decoding."""
    on_cpu = {
        *ON_CPU,
        *(
            t.name
            for stage in manifest.stages
            if stage.host
            for t in (*stage.inputs, *stage.outputs)
        ),
    }
    return {
        tensor.name: _value(tensor, "cpu" if tensor.name in on_cpu else memory)
        for tensor in _tensors(manifest)
    }


def _value(tensor: TensorSpec, memory: str) -> ort.OrtValue:
    """A tensor in memory of its own; of zeros, where NumPy has the type.

    One made from an array would share the array's memory, which a binding does not keep.
    """
    shape = list(tensor.shape)
    if tensor.dtype == "bfloat16":
        return ort.OrtValue.ortvalue_from_shape_and_type(shape, BFLOAT16, memory)
    made = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(tensor.dtype), memory)
    made.update_inplace(np.zeros(shape, tensor.dtype))
    return made


def _tensors(manifest: Manifest) -> Iterator[TensorSpec]:
    yield from given_tensors(manifest)
    for stage in manifest.stages:
        yield from stage.outputs
