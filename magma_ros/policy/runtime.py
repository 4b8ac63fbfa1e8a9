# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a policy stage by stage in ONNX Runtime, with an action to read at every exit.

How tensors get from stage to stage is told in :mod:`magma_ros.policy.pipeline`. One policy holds
one inference at a time: starting the next one ends the last.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from magma_ros.policy import providers as execution
from magma_ros.policy.bundle import open_graphs, open_tokenizer, session_options
from magma_ros.policy.contract import (
    ACTION_OUTPUT,
    CONFIDENCE_OUTPUTS,
    TRACE_OUTPUT,
    BundleError,
)
from magma_ros.policy.manifest import Manifest, read_manifest
from magma_ros.policy.pipeline import Pipeline, PolicyError, given_tensors
from magma_ros.policy.preprocess import Preprocessor
from magma_ros.policy.stages import StageSpec, graphs
from magma_ros.spaces import BASE, SpaceError
from magma_ros.types import (
    TRACE_GRID,
    ActionChunk,
    Confidence,
    ExitReading,
    FloatArray,
    Observation,
    Trace,
)

MAX_DEFAULT_THREADS = 4
"""Small graphs do not run faster on more."""


def default_threads() -> int:
    """All usable cores but one, which is left to the control loop; between 1 and 4."""
    return max(1, min(len(os.sched_getaffinity(0)) - 1, MAX_DEFAULT_THREADS))


class StagedPolicy:
    """A loaded bundle; :meth:`load` makes one, :meth:`start` begins an inference.

    Not safe to call from several threads at once.

    Attributes:
        manifest: The bundle's contract.
        pipeline: Its graphs and their tensors, for whoever looks inside.
    """

    def __init__(
        self,
        manifest: Manifest,
        tokenizer: Tokenizer | None,
        sessions: Mapping[str, ort.InferenceSession],
    ) -> None:
        self.manifest = manifest
        self._tokenizer = tokenizer
        self._preprocess = Preprocessor(manifest.observation, tokenizer, manifest.decoding)
        self.pipeline = Pipeline(manifest, sessions)
        self._sessions = sessions

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        providers: Sequence[str] = (execution.CPU,),
        threads: int = 0,
        base_frame: str = BASE,
        tool_frame: str | None = None,
    ) -> Self:
        """Load and validate the bundle in ``folder``.

        Args:
            folder: The bundle.
            providers: ONNX Runtime execution providers, best first. A missing one is skipped
                with a warning; the CPU is always the last resort.
            threads: Threads a stage may use; 0 takes :func:`default_threads`.
            base_frame: What the robot calls the frame in which actions are carried out.
            tool_frame: What it calls the frame of its end effector, or None if nobody knows.

        Raises:
            BundleError: The bundle is missing, damaged or contradicts its manifest, or its actions
                are in another frame.
        """
        manifest = read_manifest(folder)
        try:
            manifest.action.space.require_frames(base_frame, tool_frame)
        except SpaceError as error:
            raise BundleError(f"{folder}: {error}") from None
        words = manifest.tokenizer
        tokenizer = None if words is None else open_tokenizer(folder, words)
        options = session_options(threads or default_threads())
        usable = execution.choose(providers)
        sessions = open_graphs(folder, manifest, usable, options)
        return cls(manifest, tokenizer, sessions)

    def twin(self) -> Self:
        """The same policy with tensors and a memory of its own, over the same graphs and weights.

        Inferences of twins do not end each other; two threads may run them.
        """
        return type(self)(self.manifest, self._tokenizer, self._sessions)

    def on_cpu(self) -> dict[str, dict[str, int]] | None:
        """Of each stage the operators that were left to the CPU; see :func:`operators_on_cpu`."""
        found: dict[str, dict[str, int]] = {}
        for graph in graphs(self.manifest.stages, self.manifest.decoding):
            counts = execution.operators_on_cpu(self._sessions[graph.file])
            if counts is None:
                return None
            found[graph.name] = counts
        return found

    def warm_up(self, runs: int = 3) -> None:
        """Run every stage ``runs`` times at the real shapes, so that no later run is the first.

        Raises:
            PolicyError: A stage fails.
        """
        self._feed_blank()
        for _ in range(runs):
            for index in range(len(self.manifest.stages)):
                self.pipeline.run(index, thorough=True)

    def rehearse(self) -> Inference:
        """Begin an inference on a blank observation, to measure how long the stages take.

        Where actions are decoded, it makes as many passes as decoding may take at most.
        """
        self._feed_blank()
        return Inference(self.manifest, self.pipeline, stamp=0.0, thorough=True)

    def start(self, observation: Observation) -> Inference:
        """Begin an inference on ``observation``; the one before ends.

        Raises:
            ObservationError: The observation is not what the policy takes.
        """
        self.pipeline.feed(self._preprocess(observation))
        told = observation.instruction
        return Inference(self.manifest, self.pipeline, observation.stamp, instruction=told)

    def _feed_blank(self) -> None:
        blank = given_tensors(self.manifest)
        self.pipeline.feed({t.name: np.zeros(t.shape, t.dtype) for t in blank})


class Inference:
    """The inference of one observation; made by :meth:`StagedPolicy.start`."""

    def __init__(
        self,
        manifest: Manifest,
        pipeline: Pipeline,
        stamp: float,
        *,
        instruction: str = "",
        thorough: bool = False,
    ) -> None:
        self._instruction = instruction
        self._thorough = thorough
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
        passes = self._pipeline.run(self._next, thorough=self._thorough)
        stage = self._manifest.stages[self._next]
        self._next += 1
        share = passes / stage.passes
        self._flops += round(share * stage.flops)
        self._weight_bytes += round(share * stage.weight_bytes)
        return None if stage.depth is None else self._read(stage, stage.depth, passes)

    def _read(self, stage: StageSpec, depth: int, passes: int) -> ExitReading:
        action = self._pipeline.output(ACTION_OUTPUT)
        judged = [self._pipeline.output(name) for name in CONFIDENCE_OUTPUTS if stage.judged]
        if not all(np.isfinite(values).all() for values in (action, *judged)):
            raise PolicyError(f"stage {stage.name} proposes an action that is not finite")
        entropy, margin = [float(values.mean()) for values in judged] or (math.nan, math.nan)
        confidence = Confidence(self._disagreement(action), entropy, margin)
        self._previous = action
        contract = self._manifest.action
        planned = contract.unnormalise(action)
        chunk = ActionChunk(self._stamp, contract.step_period, planned, depth, contract.space)
        return ExitReading(
            chunk,
            confidence,
            depth,
            self._flops,
            self._weight_bytes,
            trace=self._trace(stage),
            passes=passes,
            instruction=self._instruction,
        )

    def _disagreement(self, action: FloatArray) -> float:
        """Root mean square difference to the previous exit's action; infinite at the first exit."""
        if self._previous is None:
            return math.inf
        apart = self._manifest.action.in_network_units(action - self._previous)
        return float(np.sqrt(np.mean(np.square(apart))))

    def _trace(self, stage: StageSpec) -> Trace | None:
        contract = self._manifest.trace
        if contract is None or not stage.draws:
            return None
        points = self._pipeline.output(TRACE_OUTPUT)
        if not np.isfinite(points).all():
            raise PolicyError(f"stage {stage.name} draws a trace that is not finite")
        return Trace(contract.camera, np.array(contract.times), TRACE_GRID * points)
