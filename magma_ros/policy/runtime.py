# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a policy stage by stage in ONNX Runtime, with an action to read at every exit.

All shapes are static, so every tensor is allocated once, when the policy loads: each graph input
and output is bound to its ``OrtValue`` for good, and a stage reads where an earlier one wrote.
Nothing is allocated or copied between stages. The price is that one policy holds one inference at
a time: starting the next one ends the last.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from magma_ros.policy import providers as execution
from magma_ros.policy.bundle import open_stage, open_tokenizer, session_options
from magma_ros.policy.manifest import (
    EXIT_OUTPUTS,
    TRACE_OUTPUT,
    BundleError,
    Manifest,
    StageSpec,
    TensorSpec,
    read_manifest,
)
from magma_ros.policy.preprocess import Preprocessor
from magma_ros.types import (
    TRACE_GRID,
    ActionChunk,
    Confidence,
    ExitReading,
    FloatArray,
    MagmaError,
    Observation,
    Trace,
)

BASE = "base"
"""What manifests call the base frame of whichever robot."""

MAX_DEFAULT_THREADS = 4
"""Small graphs do not run faster on more."""


class PolicyError(MagmaError):
    """The policy could not produce a usable action."""


def default_threads() -> int:
    """All usable cores but one, which is left to the control loop; between 1 and 4."""
    return max(1, min(len(os.sched_getaffinity(0)) - 1, MAX_DEFAULT_THREADS))


class StagedPolicy:
    """A loaded bundle; :meth:`load` makes one, :meth:`start` begins an inference.

    Not safe to call from several threads at once.

    Attributes:
        manifest: The bundle's contract.
    """

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer,
        sessions: Sequence[ort.InferenceSession],
    ) -> None:
        self.manifest = manifest
        self._preprocess = Preprocessor(manifest.observation, tokenizer)
        self._pipeline = _Pipeline(manifest, sessions)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        providers: Sequence[str] = (execution.CPU,),
        threads: int = 0,
        base_frame: str = BASE,
    ) -> Self:
        """Load and validate the bundle in ``folder``.

        Args:
            folder: The bundle.
            providers: ONNX Runtime execution providers, best first. A missing one is skipped
                with a warning; the CPU is always the last resort.
            threads: Threads a stage may use; 0 takes :func:`default_threads`.
            base_frame: What the robot calls the frame in which actions are carried out.

        Raises:
            BundleError: The bundle is missing, damaged or contradicts its manifest, or its actions
                are in another frame.
        """
        manifest = read_manifest(folder)
        if (frame := manifest.action.frame) not in (BASE, base_frame):
            raise BundleError(
                f"{folder}: action.frame is {frame!r}, but actions are carried out in the robot's "
                f"base frame, which is {BASE!r} or {base_frame!r}; export the policy for that frame"
            )
        tokenizer = open_tokenizer(folder, manifest.tokenizer)
        options = session_options(threads or default_threads())
        usable = execution.choose(providers)
        sessions = [open_stage(folder, stage, usable, options) for stage in manifest.stages]
        return cls(manifest, tokenizer, sessions)

    def warm_up(self, runs: int = 3) -> None:
        """Run every stage ``runs`` times at the real shapes, so that no later run is the first.

        Raises:
            PolicyError: A stage fails.
        """
        self._feed_blank()
        for _ in range(runs):
            for index in range(len(self.manifest.stages)):
                self._pipeline.run(index)

    def rehearse(self) -> Inference:
        """Begin an inference on a blank observation, to measure how long the stages take."""
        self._feed_blank()
        return Inference(self.manifest, self._pipeline, stamp=0.0)

    def start(self, observation: Observation) -> Inference:
        """Begin an inference on ``observation``; the one before ends.

        Raises:
            ObservationError: The observation is not what the policy takes.
        """
        self._pipeline.feed(self._preprocess(observation))
        return Inference(self.manifest, self._pipeline, observation.stamp)

    def _feed_blank(self) -> None:
        blank = self.manifest.observation.tensors()
        self._pipeline.feed({t.name: np.zeros(t.shape, t.dtype) for t in blank})


class Inference:
    """The inference of one observation; made by :meth:`StagedPolicy.start`."""

    def __init__(self, manifest: Manifest, pipeline: _Pipeline, stamp: float) -> None:
        self._manifest = manifest
        self._pipeline = pipeline
        self._serial = pipeline.serial
        self._stamp = stamp
        self._next = 0
        self._flops = 0
        self._weight_bytes = 0
        self._previous: FloatArray | None = None

    @property
    def exits(self) -> int:
        """Number of exits, which is the depth of the deepest."""
        return self._manifest.exits

    @property
    def upcoming(self) -> tuple[StageSpec, ...]:
        """The stages still to run up to and including the next exit; empty after the last."""
        stages = self._manifest.stages
        for end in range(self._next, len(stages)):
            if stages[end].depth is not None:
                return stages[self._next : end + 1]
        return ()

    def advance(self) -> ExitReading | None:
        """Run the next stage; return its reading if it has an exit.

        Raises:
            PolicyError: The stage fails, what it proposes or draws is not finite, there is no
                further stage, or the policy has started another inference.
        """
        if self._serial != self._pipeline.serial:
            raise PolicyError("this inference has ended because the policy started another one")
        if self._next == len(self._manifest.stages):
            raise PolicyError("the deepest exit has been read; start another inference")
        self._pipeline.run(self._next)
        stage = self._manifest.stages[self._next]
        self._next += 1
        self._flops += stage.flops
        self._weight_bytes += stage.weight_bytes
        return None if stage.depth is None else self._read(stage, stage.depth)

    def _read(self, stage: StageSpec, depth: int) -> ExitReading:
        action, entropy, margin = map(self._pipeline.output, EXIT_OUTPUTS)
        if not all(np.isfinite(values).all() for values in (action, entropy, margin)):
            raise PolicyError(f"stage {stage.name} proposes an action that is not finite")
        confidence = Confidence(
            disagreement=_rms(action, self._previous),
            entropy=float(entropy.mean()),
            margin=float(margin.mean()),
        )
        self._previous = action
        contract = self._manifest.action
        chunk = ActionChunk(self._stamp, contract.step_period, contract.unnormalise(action), depth)
        trace = self._trace(stage)
        return ExitReading(chunk, confidence, depth, self._flops, self._weight_bytes, trace)

    def _trace(self, stage: StageSpec) -> Trace | None:
        contract = self._manifest.trace
        if contract is None or not stage.draws:
            return None
        points = self._pipeline.output(TRACE_OUTPUT)
        if not np.isfinite(points).all():
            raise PolicyError(f"stage {stage.name} draws a trace that is not finite")
        return Trace(contract.camera, np.array(contract.times), TRACE_GRID * points)


class _Pipeline:
    """The stages with every input and output bound, for good, to one tensor a name.

    The exits share the names of their outputs and hence their tensors: a reading must be copied
    before the next exit runs.

    Attributes:
        serial: Counts the observations fed; an inference with another one has lost its tensors.
    """

    def __init__(self, manifest: Manifest, sessions: Sequence[ort.InferenceSession]) -> None:
        device = execution.memory_of(sessions)
        self._tensors = {
            tensor.name: ort.OrtValue.ortvalue_from_shape_and_type(
                list(tensor.shape),
                np.dtype(tensor.dtype),
                "cpu" if tensor.name in (*EXIT_OUTPUTS, TRACE_OUTPUT) else device,
            )
            for tensor in _tensors(manifest)
        }
        self._stages = [
            (stage.name, session, _bind(session, stage, self._tensors))
            for stage, session in zip(manifest.stages, sessions, strict=True)
        ]
        self.serial = 0

    def feed(self, inputs: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Copy an observation's graph inputs to where the stages read them."""
        for name, values in inputs.items():
            self._tensors[name].update_inplace(values)
        self.serial += 1

    def run(self, index: int) -> None:
        """Run one stage and wait for it.

        Raises:
            PolicyError: ONNX Runtime fails.
        """
        name, session, binding = self._stages[index]
        try:
            session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise PolicyError(f"stage {name} failed: {' '.join(str(error).split())}") from error

    def output(self, name: str) -> FloatArray:
        """A copy of what the last exit gave under ``name``, without the batch axis, float64."""
        values: FloatArray = self._tensors[name].numpy()[0].astype(np.float64)
        return values


def _tensors(manifest: Manifest) -> Iterator[TensorSpec]:
    yield from manifest.observation.tensors()
    for stage in manifest.stages:
        yield from stage.outputs


def _bind(
    session: ort.InferenceSession, stage: StageSpec, tensors: Mapping[str, ort.OrtValue]
) -> ort.IOBinding:
    binding = session.io_binding()
    for tensor in stage.inputs:
        binding.bind_ortvalue_input(tensor.name, tensors[tensor.name])
    for tensor in stage.outputs:
        binding.bind_ortvalue_output(tensor.name, tensors[tensor.name])
    return binding


def _rms(action: FloatArray, previous: FloatArray | None) -> float:
    """Root mean square difference to the previous exit's action; infinite at the first exit."""
    if previous is None:
        return math.inf
    return float(np.sqrt(np.mean(np.square(action - previous))))
