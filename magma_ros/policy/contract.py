# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy takes and what its actions mean: the parts of a bundle's manifest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal, Self

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

from magma_ros.types import TRACE_MARKS, MagmaError

ACTION_OUTPUT = "action"
"""What every stage with an exit proposes."""

CONFIDENCE_OUTPUTS = ("entropy", "margin")
"""How sure it is of it; a policy with one exit, which nobody has to judge, may leave them out."""

EXIT_OUTPUTS = (ACTION_OUTPUT, *CONFIDENCE_OUTPUTS)
"""Outputs of stages with an exit; they are read by the runtime, never by a later stage."""

ATTENTION_MASK = "attention_mask"
"""Input that is 1 for each token of the instruction and 0 for the padding."""

POINT_INPUT = "point"
"""Input for the place that the instruction names by a mark."""

TRACE_OUTPUT = "trace"
"""Output of the exits that draw a trace; read by the runtime alone, like the others."""

INSTRUCTION = "{instruction}"
"""The place of the instruction in a prompt."""

CHOICE = "choice"
"""The tokens of an action as a decoding exit chooses them, and as the next draft takes them."""

ANSWER_POSITIONS = "answer_positions"
"""Positions of the tokens that an action is decoded from, which depend on the prompt's length."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$")]
# A plain name: a bundle never reaches outside its own folder.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
DType = Literal["float32", "float16", "bfloat16", "int64", "int32", "uint8", "int8", "bool"]


class BundleError(MagmaError):
    """A policy bundle is missing, damaged or contradicts itself."""


class Contract(BaseModel):
    """A part of the manifest: no field is unknown, and none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorSpec(Contract):
    """Name, dtype and full static shape of one input or output of a stage."""

    name: Name
    dtype: DType
    shape: tuple[PositiveInt, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class CameraContract(Contract):
    """One image the policy takes.

    Attributes:
        name: Of the camera.
        height: Height that the policy was trained on [px].
        width: Width that it was trained on [px].
        fit: What becomes of an image of another shape: it is stretched, or shrunk as it is and
            surrounded by black.
        kind: Whether the image has colours, or distances along the optical axis [m], 0 where none
            was measured.
    """

    name: Name
    height: PositiveInt
    width: PositiveInt
    fit: Literal["stretch", "letterbox"] = "stretch"
    kind: Literal["rgb", "depth"] = "rgb"

    @property
    def input(self) -> str:
        """Name of the graph input that takes its image."""
        return f"{'image' if self.kind == 'rgb' else 'depth'}_{self.name}"

    def tensor(self, *frames: int) -> TensorSpec:
        """That input, with an axis of frames or without."""
        size = (1, *frames, self.height, self.width)
        if self.kind == "depth":
            return TensorSpec(name=self.input, dtype="float32", shape=(*size, 1))
        return TensorSpec(name=self.input, dtype="uint8", shape=(*size, 3))


class PointContract(Contract):
    """The place that an instruction names by a mark, and the camera whose image it lies in."""

    camera: Name

    def tensor(self) -> TensorSpec:
        """The graph input: column and row from 0 to 1, then 1; or zeros for no place."""
        return TensorSpec(name=POINT_INPUT, dtype="float32", shape=(1, 3))


class PromptContract(Contract):
    """How an instruction becomes the last part of a prompt, in tokens of a subword vocabulary.

    What comes before it (the system's message, the image) is constant and part of the graphs.

    Attributes:
        template: The text with ``{instruction}`` in the place of the instruction; names of the
            tokenizer's special tokens in it stand for these.
        lower: Whether instructions are written in lower case, as in training.
    """

    template: Annotated[str, StringConstraints(min_length=1)]
    lower: bool = True

    @field_validator("template")
    @classmethod
    def _has_one_place(cls, template: str) -> str:
        if template.count(INSTRUCTION) != 1:
            raise ValueError(f"the template must hold {INSTRUCTION} exactly once")
        return template

    def text(self, instruction: str) -> str:
        """The text to be turned into tokens."""
        told = instruction.lower() if self.lower else instruction
        return self.template.replace(INSTRUCTION, told)


class ObservationContract(Contract):
    """Inputs of the policy.

    Attributes:
        cameras: The images.
        proprioception: Names of the measured values, in the order the network takes them; see
            :mod:`magma_ros.agent.measured`.
        max_tokens: Length T that an instruction, or the prompt that it becomes a part of, is padded
            to; None where the policy does one thing and is told nothing.
        attention_mask: Whether it also takes which tokens are none of the padding.
        frames: Number of observations T that it takes at once, this one and earlier ones.
        frame_period: Time from one of them to the next [s].
        prompt: The prompt around it, or None if the instruction enters alone.
        point: How it takes the place that an instruction names by a mark, or None if it takes none.
    """

    cameras: tuple[CameraContract, ...] = ()
    proprioception: tuple[Name, ...] = ()
    max_tokens: PositiveInt | None = None
    attention_mask: bool = False
    frames: PositiveInt = 1
    frame_period: PositiveFloat | None = None
    prompt: PromptContract | None = None
    point: PointContract | None = None

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Self:
        reject_duplicates("camera", [camera.name for camera in self.cameras])
        reject_duplicates("proprioception field", self.proprioception)
        if not self.cameras and not self.proprioception:
            raise ValueError("the policy takes neither cameras nor proprioception; name some")
        if self.max_tokens is None and (self.attention_mask or self.prompt is not None):
            raise ValueError("max_tokens is missing, the number of tokens that the policy takes")
        if (self.frames > 1) != (self.frame_period is not None):
            raise ValueError("frames and frame_period belong together; give both for a history")
        if self.point is not None:
            require_camera("point", self.point.camera, self.cameras)
        return self

    def tensors(self) -> tuple[TensorSpec, ...]:
        """The graph inputs an observation supplies."""
        frames = () if self.frames == 1 else (self.frames,)
        images = (camera.tensor(*frames) for camera in self.cameras)
        given = []
        if width := len(self.proprioception):
            shape: tuple[int, ...] = (1, *frames, width)
            given.append(TensorSpec(name="proprioception", dtype="float32", shape=shape))
        if self.max_tokens is not None:
            words = ("tokens", ATTENTION_MASK)[: 1 + self.attention_mask]
            shape = (1, self.max_tokens)
            given += [TensorSpec(name=name, dtype="int64", shape=shape) for name in words]
        if self.point is not None:
            given.append(self.point.tensor())
        return (*images, *given)


class TraceContract(Contract):
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


def reject_duplicates(what: str, names: Iterable[str]) -> None:
    """Refuse names of which one appears twice.

    Raises:
        ValueError: One does.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} appears twice")
        seen.add(name)


def require_camera(section: str, name: str, cameras: Iterable[CameraContract]) -> None:
    """Refuse a camera that the policy does not take, or in whose image places cannot be told.

    Raises:
        ValueError: It is none of ``cameras``, or not one whose whole image the policy sees.
    """
    fits = {camera.name: camera.fit for camera in cameras if camera.kind == "rgb"}
    if name not in fits:
        raise ValueError(f"{section}.camera {name} is none of the policy's: {', '.join(fits)}")
    if fits[name] != "stretch":
        raise ValueError(f"{section}.camera {name} must be stretched: places are shares of it")
