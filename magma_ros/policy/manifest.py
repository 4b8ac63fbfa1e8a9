# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of a policy bundle: the schema of ``bundle.yaml``, and its reader and writer.

A bundle is a folder: ``bundle.yaml``, one ONNX file a stage and a tokenizer. The manifest fixes
every name, dtype and shape that crosses a border, so that a policy that loads can also run. The
models here and in :mod:`magma_ros.policy.contract` and :mod:`magma_ros.policy.stages` check the
manifest by itself; :mod:`magma_ros.policy.bundle` checks it against the files.

Graph inputs taken from the observation have fixed names: ``image_<camera>`` (1, H, W, 3) uint8 RGB,
``depth_<camera>`` (1, H, W, 1) float32 [m], ``proprioception`` (1, P) float32 in raw units,
``tokens`` (1, T) int64 and, if the policy takes a place in the image, ``point`` (1, 3) float32.
Every other input of a stage is the output of an earlier one; several stages may take the same
input. A policy that takes T frames at once has an axis of them after the first of its images and
measured values, the oldest first. A stage with an exit also outputs ``action``, (1, K, D) float32,
and of a policy with several exits ``entropy`` and ``margin`` of the same shape. If the manifest has
a ``trace``, it may output ``trace``, (1, H, 2, 2) float32, as well. How a policy that decodes its
actions token by token differs is told in :mod:`magma_ros.policy.stages`.
"""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from magma_ros.files import check, whole, yaml_mapping
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import (
    CHOICE,
    CONFIDENCE_OUTPUTS,
    EXIT_OUTPUTS,
    TRACE_OUTPUT,
    BundleError,
    Contract,
    Name,
    ObservationContract,
    TensorSpec,
    Text,
    TraceContract,
    reject_duplicates,
    require_camera,
)
from magma_ros.policy.stages import (
    BundleFile,
    DecodingContract,
    StageSpec,
    check_decoding,
    graphs,
    require_equal,
)

MANIFEST = "bundle.yaml"
"""Name of the manifest inside a bundle."""

SCHEMA_VERSIONS = (1,)
"""Manifest layouts that this release reads."""


class Provenance(Contract):
    """Where the weights came from.

    Attributes:
        command: The command that made the bundle.
        seed: Seed of data and training.
        commit: Commit of the code.
        data: What the policy was trained on.
        metrics: Measured figures, for example success per task.
    """

    command: Text
    seed: int
    commit: Text
    data: Text
    metrics: dict[str, float]


class Manifest(Contract):
    """The content of ``bundle.yaml``; see the module's text for the naming rules.

    Attributes:
        schema_version: Layout of the manifest itself.
        name: Name of the policy.
        description: What it does, in a sentence or two.
        licence: SPDX expression for the weights.
        created: Day of the export.
        action: What the policy's output means.
        observation: What the policy takes.
        trace: What the exits draw besides, or None if they draw nothing.
        tokenizer: Turns the instruction into tokens; None where the policy is told nothing.
        decoding: How the tokens of an action are decoded, or None if it is not made of tokens.
        stages: In the order they run; the last one has the deepest exit.
        provenance: Where the weights came from.
    """

    schema_version: Literal[1] = 1
    name: Name
    description: Text
    licence: Text
    created: date
    action: ActionContract
    observation: ObservationContract
    trace: TraceContract | None = None
    tokenizer: BundleFile | None = None
    decoding: DecodingContract | None = None
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1)]
    provenance: Provenance

    @property
    def exits(self) -> int:
        """Number of exits; the deepest exit's depth."""
        return sum(stage.depth is not None for stage in self.stages)

    def exit_tensors(self) -> tuple[TensorSpec, ...]:
        """What a stage with an exit outputs for the runtime, the action first."""
        shape = (1, self.action.chunk_length, len(self.action.space))
        return tuple(TensorSpec(name=n, dtype="float32", shape=shape) for n in EXIT_OUTPUTS)

    @model_validator(mode="after")
    def _instructions_have_a_tokenizer(self) -> Self:
        told = self.observation.max_tokens is not None
        if told and self.tokenizer is None:
            raise ValueError("observation.max_tokens asks for a tokenizer; name its file")
        if self.tokenizer is not None and not told:
            raise ValueError("a tokenizer is named, but observation.max_tokens is missing")
        if self.decoding is not None and not told:
            raise ValueError("decoding begins after a prompt; state observation.max_tokens")
        return self

    @model_validator(mode="after")
    def _exits_count_up_to_the_last_stage(self) -> Self:
        depths = [stage.depth for stage in self.stages if stage.depth is not None]
        if depths != list(range(1, len(depths) + 1)):
            raise ValueError(f"exits must be numbered 1, 2, 3 in stage order, found {depths}")
        if self.stages[-1].depth is None:
            raise ValueError(f"the last stage, {self.stages[-1].name}, must have an exit")
        return self

    @model_validator(mode="after")
    def _traces_are_drawn_where_a_camera_looks(self) -> Self:
        drawing = [stage.name for stage in self.stages if stage.draws]
        if self.trace is None:
            if drawing:
                raise ValueError(
                    f"stage {drawing[0]} outputs a trace, but the manifest has no trace section"
                )
            return self
        require_camera("trace", self.trace.camera, self.observation.cameras)
        if not drawing:
            raise ValueError("trace is described, but no stage outputs one")
        return self

    @model_validator(mode="after")
    def _decoding_stages_can_decode(self) -> Self:
        reject_duplicates("stage", [graph.name for graph in graphs(self.stages, self.decoding)])
        decoding = [stage.name for stage in self.stages if stage.kind == "decode"]
        if self.decoding is None:
            if decoding:
                raise ValueError(
                    f"stage {decoding[0]} decodes, but the manifest has no decoding section"
                )
            return self
        if not decoding:
            raise ValueError("decoding is described, but no stage decodes")
        if self.decoding.length != len(self.action.space):
            raise ValueError(
                f"decoding.length is {self.decoding.length}, but an action has "
                f"{len(self.action.space)} tokens"
            )
        check_decoding(self.decoding, self.stages)
        return self

    @model_validator(mode="after")
    def _stages_connect(self) -> Self:
        known = {tensor.name: tensor for tensor in self.observation.tensors()}
        for stage in self.stages:
            reject_duplicates(f"input of stage {stage.name}", [t.name for t in stage.inputs])
            # A decoding stage reads what was decoded: see the check above.
            for tensor in stage.inputs if stage.kind != "decode" else ():
                if tensor.name not in known:
                    raise ValueError(
                        f"input {tensor.name} of stage {stage.name} is neither an observation "
                        "input nor the output of an earlier stage"
                    )
                require_equal(stage, tensor, known[tensor.name])
            known |= self._handed_on(stage, known)
        return self

    def _handed_on(self, stage: StageSpec, known: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
        """Checks the outputs of ``stage``; returns those that later stages may take."""
        outputs = {tensor.name: tensor for tensor in stage.outputs}
        if len(outputs) < len(stage.outputs) or outputs.keys() & known.keys():
            raise ValueError(f"stage {stage.name} outputs a name that is already taken")
        ours = (*EXIT_OUTPUTS, TRACE_OUTPUT)
        readings = {name: outputs.pop(name) for name in ours if name in outputs}
        if stage.kind == "decode":
            outputs.pop(CHOICE, None)
        if stage.depth is None and readings:
            raise ValueError(f"stage {stage.name} has no exit but outputs {', '.join(readings)}")
        if stage.depth is not None:
            unjudged = self.exits == 1 and not readings.keys() & set(CONFIDENCE_OUTPUTS)
            for expected in self.exit_tensors()[: 1 if unjudged else None]:
                if expected.name not in readings:
                    raise ValueError(f"stage {stage.name} has an exit but no {expected.name}")
                require_equal(stage, readings[expected.name], expected)
        if self.trace is not None and TRACE_OUTPUT in readings:
            require_equal(stage, readings[TRACE_OUTPUT], self.trace.tensor())
        return outputs


def read_manifest(folder: Path) -> Manifest:
    """Read and validate the manifest of the bundle in ``folder``.

    Raises:
        BundleError: There is no manifest, or it is not a valid one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is not a bundle: it holds no {MANIFEST}")
    content = yaml_mapping(path, error=BundleError, remedy="export the bundle again")
    version = content.get("schema_version")
    if version not in SCHEMA_VERSIONS:
        known = ", ".join(map(str, SCHEMA_VERSIONS))
        raise BundleError(
            f"{path} has schema_version {version}, but this release reads only {known}; "
            "update magma_ros or export the bundle again"
        )
    return check(content, Manifest, path, BundleError, "correct it or export again")


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write ``manifest`` into ``folder`` in one step, and return the file's path.

    Raises:
        MagmaError: It cannot be written.
    """
    content = _without_absent(manifest.model_dump(by_alias=True))
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    path = folder / MANIFEST
    with whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def sha256_of(path: Path) -> str:
    """Checksum of a file, as the manifest states it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_absent(content: dict[str, Any]) -> dict[str, Any]:
    """A manifest's fields without those that most policies have no use for."""
    graph = {"external": (), "host": False, "passes": 1.0}
    observation = content["observation"]
    unasked = {"max_tokens": None, "attention_mask": False, "frames": 1, "frame_period": None}
    sections: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (content["action"], {"kind": "ee_delta", "tool_frame": None, "statistics": None}),
        (content["action"], {"q01": (), "q99": (), "mask": ()}),
        (observation, {**unasked, "point": None, "prompt": None}),
        *((camera, {"fit": "stretch", "kind": "rgb"}) for camera in observation["cameras"]),
        *((stage, graph) for stage in content["stages"]),
        (content["decoding"]["draft"] if content["decoding"] else {}, graph),
        (content, {"tokenizer": None, "decoding": None}),
    ]
    for section, fields in sections:
        for name, value in fields.items():
            if name in section and section[name] == value:
                del section[name]
    return content
