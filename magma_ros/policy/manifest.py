# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of a policy bundle: the schema of ``bundle.yaml``, and its reader and writer.

A bundle is a folder: ``bundle.yaml``, one ONNX file a stage and a tokenizer. The manifest fixes
every name, dtype and shape that crosses a border, so that a policy that loads can also run. The
models here check the manifest by itself; :mod:`magma_ros.policy.bundle` checks it against the
files.

Graph inputs taken from the observation have fixed names: ``image_<camera>`` (1, H, W, 3) uint8
RGB, ``proprioception`` (1, P) float32 in raw units, ``tokens`` (1, T) int64 and, if the policy
takes a place in the image, ``point`` (1, 3) float32. Every other input of a stage is the output of
an earlier one; several stages may take the same input. A stage with an exit also outputs
``action``, ``entropy`` and ``margin``, each (1, K, 7) float32. If the manifest has a ``trace``, it
may output ``trace``, (1, H, 2, 2) float32, as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from magma_ros.files import check, whole, yaml_mapping
from magma_ros.types import ACTION_DIMS, GRIPPER, TRACE_MARKS, FloatArray, MagmaError

MANIFEST = "bundle.yaml"
"""Name of the manifest inside a bundle."""

SCHEMA_VERSIONS = (1,)
"""Manifest layouts that this release reads."""

EXIT_OUTPUTS = ("action", "entropy", "margin")
"""Outputs of every stage with an exit; they are read by the runtime, never by a later stage."""

POINT_INPUT = "point"
"""Input for the place that the instruction names by a mark."""

TRACE_OUTPUT = "trace"
"""Output of the exits that draw a trace; read by the runtime alone, like the others."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$")]
# A plain name: a bundle never reaches outside its own folder.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
DType = Literal["float32", "float16", "int64", "int32", "uint8", "int8", "bool"]


class BundleError(MagmaError):
    """A policy bundle is missing, damaged or contradicts itself."""


class _Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ActionContract(_Contract):
    """Units, frame and normalisation of the actions.

    Attributes:
        dims: Names of the seven columns, as in :data:`magma_ros.types.ACTION_DIMS`.
        chunk_length: Steps K in a chunk.
        step_period: Duration of one step [s].
        frame: Frame of the displacements: ``base``, or a robot's own name of its base frame.
        bins: Bins a dimension on the normalised range [-1, 1], or None where the network gives
            plain numbers.
        q01: 1st percentile of each dimension in the training data [m, rad]; maps to -1.
        q99: 99th percentile, maps to 1.
        mask: False where a dimension passes through without un-normalisation (the gripper).
    """

    dims: tuple[str, ...] = ACTION_DIMS
    chunk_length: PositiveInt
    step_period: PositiveFloat
    frame: Text
    bins: Annotated[int, Field(ge=2)] | None = 255
    q01: tuple[float, ...]
    q99: tuple[float, ...]
    mask: tuple[bool, ...]

    @field_validator("dims")
    @classmethod
    def _dims_are_magmas(cls, dims: tuple[str, ...]) -> tuple[str, ...]:
        if dims != ACTION_DIMS:
            raise ValueError(f"the dimensions must be {', '.join(ACTION_DIMS)}, in this order")
        return dims

    @field_validator("q01", "q99", "mask")
    @classmethod
    def _one_per_dimension(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) != len(ACTION_DIMS):
            raise ValueError(f"{len(ACTION_DIMS)} entries are needed, found {len(values)}")
        return values

    @model_validator(mode="after")
    def _ranges_are_usable(self) -> Self:
        if self.mask[GRIPPER]:
            raise ValueError("mask must be false for the gripper, which passes through as 0..1")
        for name, low, high, scaled in zip(self.dims, self.q01, self.q99, self.mask, strict=True):
            if scaled and low >= high:
                raise ValueError(f"q01 must lie below q99 for {name}, found {low:g} and {high:g}")
        return self

    def unnormalise(self, action: FloatArray) -> FloatArray:
        """Map (..., 7) from [-1, 1] to [m] and [rad], as Magma and OpenVLA do.

        ``x = (v + 1) / 2 * (q99 - q01) + q01`` where ``mask`` is true, and ``x = v`` elsewhere.
        """
        low, high = np.array(self.q01), np.array(self.q99)
        return np.where(self.mask, 0.5 * (action + 1.0) * (high - low) + low, action)


class CameraContract(_Contract):
    """One image the policy takes: the camera's name and the size [px] it was trained on."""

    name: Name
    height: PositiveInt
    width: PositiveInt


class TensorSpec(_Contract):
    """Name, dtype and full static shape of one input or output of a stage."""

    name: Name
    dtype: DType
    shape: tuple[PositiveInt, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class PointContract(_Contract):
    """The place that an instruction names by a mark, and the camera whose image it lies in."""

    camera: Name

    def tensor(self) -> TensorSpec:
        """The graph input: column and row from 0 to 1, then 1; or zeros for no place."""
        return TensorSpec(name=POINT_INPUT, dtype="float32", shape=(1, 3))


class ObservationContract(_Contract):
    """Inputs of the policy.

    Attributes:
        cameras: The images.
        proprioception: Names of the measured values, in the order the network takes them.
        max_tokens: Length T that an instruction is padded or cut to.
        point: How it takes the place that an instruction names by a mark, or None if it takes none.
    """

    cameras: Annotated[tuple[CameraContract, ...], Field(min_length=1)]
    proprioception: tuple[Name, ...]
    max_tokens: PositiveInt
    point: PointContract | None = None

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        _reject_duplicates("camera", [camera.name for camera in self.cameras])
        _reject_duplicates("proprioception field", self.proprioception)
        if self.point is not None:
            _require_camera("point", self.point.camera, self.cameras)
        return self

    def tensors(self) -> tuple[TensorSpec, ...]:
        """The graph inputs an observation supplies."""
        images = (
            TensorSpec(name=f"image_{c.name}", dtype="uint8", shape=(1, c.height, c.width, 3))
            for c in self.cameras
        )
        given = [TensorSpec(name="tokens", dtype="int64", shape=(1, self.max_tokens))]
        if width := len(self.proprioception):
            shape = (1, width)
            given.insert(0, TensorSpec(name="proprioception", dtype="float32", shape=shape))
        if self.point is not None:
            given.append(self.point.tensor())
        return (*images, *given)


class TraceContract(_Contract):
    """Predicted image positions of the gripper and the target.

    The graphs give points from 0 at the left and upper edge of the image to 1 at the right and
    lower one; a mark that leaves the picture lies outside.

    Attributes:
        camera: The camera whose image the points lie in.
        times: Times of the H points after the observation [s], increasing.
    """

    camera: Name
    times: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]

    @field_validator("times")
    @classmethod
    def _times_increase(cls, times: tuple[float, ...]) -> tuple[float, ...]:
        if any(later <= sooner for sooner, later in pairwise(times)):
            raise ValueError(f"the times must increase, found {', '.join(map(str, times))}")
        return times

    def tensor(self) -> TensorSpec:
        """The output of a stage that draws the trace."""
        shape = (1, len(self.times), len(TRACE_MARKS), 2)
        return TensorSpec(name=TRACE_OUTPUT, dtype="float32", shape=shape)


class BundleFile(_Contract):
    """A file of the bundle and its checksum."""

    file: FileName
    sha256: Sha256


class StageSpec(_Contract):
    """One stage: a graph that *looks* (vision tokens enter) or *thinks* (decoder layers).

    Attributes:
        name: Unique name, under which its latency is tracked.
        kind: ``look`` or ``think``.
        file: The ONNX file.
        sha256: Its checksum.
        flops: Floating-point operations of one run.
        weight_bytes: Bytes of weights one run reads.
        inputs: Graph inputs.
        outputs: Graph outputs.
        external: Files with weights that the ONNX file refers to.
        depth: Index of the exit after this stage, 1 for the shallowest, or None. The manifest
            calls it ``exit``.
    """

    name: Name
    kind: Literal["look", "think"]
    file: FileName
    sha256: Sha256
    flops: Count
    weight_bytes: Count
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    external: tuple[BundleFile, ...] = ()
    depth: PositiveInt | None = Field(alias="exit")

    @model_validator(mode="after")
    def _exits_follow_thinking(self) -> Self:
        if self.kind == "look" and self.depth is not None:
            raise ValueError(f"stage {self.name} is a look and cannot have an exit")
        return self

    @property
    def draws(self) -> bool:
        """Whether the stage outputs a trace."""
        return any(tensor.name == TRACE_OUTPUT for tensor in self.outputs)


class Provenance(_Contract):
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


class Manifest(_Contract):
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
        tokenizer: Turns the instruction into tokens.
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
    tokenizer: BundleFile
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1)]
    provenance: Provenance

    @property
    def exits(self) -> int:
        """Number of exits; the deepest exit's depth."""
        return sum(stage.depth is not None for stage in self.stages)

    def exit_tensors(self) -> tuple[TensorSpec, ...]:
        """What every stage with an exit outputs for the runtime."""
        shape = (1, self.action.chunk_length, len(ACTION_DIMS))
        return tuple(TensorSpec(name=n, dtype="float32", shape=shape) for n in EXIT_OUTPUTS)

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
        _require_camera("trace", self.trace.camera, self.observation.cameras)
        if not drawing:
            raise ValueError("trace is described, but no stage outputs one")
        return self

    @model_validator(mode="after")
    def _stages_connect(self) -> Self:
        _reject_duplicates("stage", [stage.name for stage in self.stages])
        known = {tensor.name: tensor for tensor in self.observation.tensors()}
        for stage in self.stages:
            _reject_duplicates(f"input of stage {stage.name}", [t.name for t in stage.inputs])
            for tensor in stage.inputs:
                if tensor.name not in known:
                    raise ValueError(
                        f"input {tensor.name} of stage {stage.name} is neither an observation "
                        "input nor the output of an earlier stage"
                    )
                _require_equal(stage, tensor, known[tensor.name])
            known |= self._handed_on(stage, known)
        return self

    def _handed_on(self, stage: StageSpec, known: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
        """Checks the outputs of ``stage``; returns those that later stages may take."""
        outputs = {tensor.name: tensor for tensor in stage.outputs}
        if len(outputs) < len(stage.outputs) or outputs.keys() & known.keys():
            raise ValueError(f"stage {stage.name} outputs a name that is already taken")
        ours = (*EXIT_OUTPUTS, TRACE_OUTPUT)
        readings = {name: outputs.pop(name) for name in ours if name in outputs}
        if stage.depth is None and readings:
            raise ValueError(f"stage {stage.name} has no exit but outputs {', '.join(readings)}")
        if stage.depth is not None:
            for expected in self.exit_tensors():
                if expected.name not in readings:
                    raise ValueError(f"stage {stage.name} has an exit but no {expected.name}")
                _require_equal(stage, readings[expected.name], expected)
        if self.trace is not None and TRACE_OUTPUT in readings:
            _require_equal(stage, readings[TRACE_OUTPUT], self.trace.tensor())
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
    content = manifest.model_dump(by_alias=True)
    if content["observation"]["point"] is None:
        del content["observation"]["point"]
    for stage in content["stages"]:
        if not stage["external"]:
            del stage["external"]
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    path = folder / MANIFEST
    with whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def sha256_of(path: Path) -> str:
    """Checksum of a file, as the manifest states it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reject_duplicates(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} appears twice")
        seen.add(name)


def _require_camera(section: str, name: str, cameras: Iterable[CameraContract]) -> None:
    known = [camera.name for camera in cameras]
    if name not in known:
        raise ValueError(f"{section}.camera {name} is none of the policy's: {', '.join(known)}")


def _require_equal(stage: StageSpec, found: TensorSpec, expected: TensorSpec) -> None:
    if found != expected:
        raise ValueError(f"{found.name} of stage {stage.name} is {found}, not {expected}")
