# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must be said of somebody's ONNX file before it can become a bundle, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from onnx import TensorProto
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from magma_ros.models.export.foreign_graph import FLOATS, ForeignError, Port, Scaling
from magma_ros.policy.action_contract import DimensionContract
from magma_ros.policy.contract import Contract, Name, Text


class InputAnswer(Contract):
    """What one input of the graph is; one of camera, depth, fields, tokens, mask and value.

    Attributes:
        camera: Name of a camera, whose image it takes.
        depth: Name of a depth camera, whose distances it takes [m].
        fields: Measured values that it takes, in order.
        tokens: Whether it takes the instruction's tokens.
        mask: Whether it takes which of the tokens are no padding.
        value: The same number everywhere, for what was noise in training.
        levels: What an image's levels become.
        fit: What becomes of an image of another shape.
        mean: Subtracted after that: of each colour or value, or one for all.
        std: Divided by.
    """

    camera: Name | None = None
    depth: Name | None = None
    fields: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    tokens: bool = False
    mask: bool = False
    value: float | None = None
    levels: Literal["0..1", "-1..1", "0..255"] = "0..1"
    fit: Literal["stretch", "letterbox"] = "stretch"
    mean: tuple[float, ...] = ()
    std: tuple[PositiveFloat, ...] = ()

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        told = [
            self.camera,
            self.depth,
            self.fields,
            self.tokens or None,
            self.mask or None,
            self.value,
        ]
        if sum(answer is not None for answer in told) != 1:
            raise ValueError("an input is one of camera, depth, fields, tokens, mask and value")
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std belong together")
        return self

    @property
    def scaling(self) -> Scaling | None:
        """By which values are normalised, if they are."""
        return Scaling(self.mean, self.std) if self.mean else None


class Answers(Contract):
    """What an ONNX file does not tell of a policy.

    Attributes:
        name: Of the policy.
        description: What it does.
        licence: SPDX expression for the weights.
        data: What it was trained on.
        kind: What its actions are; see :mod:`magma_ros.spaces`.
        dims: Their columns, as in a manifest.
        step_period: Duration of one step [s].
        frame: Frame of the actions of an end effector.
        tool_frame: The robot's name of what they move, or None for whichever it has.
        mean: If the graph gives normalised actions: what a 0 stands for, of each column.
        std: What one more stands for, of each column.
        output: The output that is the action; needed where there are several.
        columns: Which columns of it are those of the action; the first ones by default.
        steps: Steps of the plan to use; all by default.
        frames: Number of observations that the graph takes at once, along an axis after the first.
        frame_period: Time from one to the next [s].
        fields: Measured values of an input that is not described by itself.
        inputs: What the graph's inputs are, by name; those that the shapes tell may be left out.
        tokenizer: File of a tokenizer of Hugging Face's library.
        template: Text around the instruction, ``{instruction}`` in its place.
        lower: Whether the instruction is written in lower case there.
    """

    name: Name
    description: Text = "A policy trained elsewhere."
    licence: Text = "LicenseRef-Unknown"
    data: Text = "unknown"
    kind: Literal["ee_delta", "ee_pose", "joint_position", "joint_delta"]
    dims: Annotated[tuple[DimensionContract, ...], Field(min_length=1)]
    step_period: PositiveFloat
    frame: Text = "base"
    tool_frame: Text | None = None
    mean: tuple[float, ...] = ()
    std: tuple[PositiveFloat, ...] = ()
    output: str | None = None
    columns: tuple[Annotated[int, Field(ge=0)], ...] = ()
    steps: PositiveInt | None = None
    frames: PositiveInt = 1
    frame_period: PositiveFloat | None = None
    fields: tuple[Name, ...] = ()
    inputs: Mapping[str, InputAnswer] = Field(default_factory=dict)
    tokenizer: Path | None = None
    template: str | None = None
    lower: bool = False

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, len(self.dims)):
                raise ValueError(f"{name} needs {len(self.dims)} entries, one a dimension")
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std belong together")
        if self.columns and len(self.columns) != len(self.dims):
            raise ValueError(f"columns needs {len(self.dims)} entries, one a dimension")
        return self


def role_of(port: Port, answers: Answers, given: list[Port]) -> InputAnswer:
    """What an input is: as answered, or as its shape tells.

    Args:
        port: The input.
        answers: What was said.
        given: All inputs.

    Raises:
        ForeignError: Neither tells.
    """
    if port.shape[:1] not in ((1,), (None,)):
        raise ForeignError(
            f"the input {port} takes several observations at a time; export it for one"
        )
    if (answer := answers.inputs.get(port.name)) is not None:
        return answer
    images = [each for each in given if is_image(each, answers.frames)]
    if is_image(port, answers.frames):
        short = port.name.rpartition(".")[2].rpartition("/")[2]
        return InputAnswer(camera=short if len(images) > 1 or short != "images" else "front")
    if port.dtype in (TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL):
        return InputAnswer(mask=True) if "mask" in port.name else InputAnswer(tokens=True)
    plain = [
        each
        for each in given
        if each.dtype in FLOATS and each not in images and each.name not in answers.inputs
    ]
    if port.dtype in FLOATS and answers.fields and plain == [port]:
        return InputAnswer(fields=answers.fields)
    raise ForeignError(
        f"the input {port} may be anything; say under inputs whether it is a camera, measured "
        "values (fields), depth, tokens, a mask, or always one value"
    )


def is_image(port: Port, frames: int, colours: int = 3) -> bool:
    """Whether an input has the shape of one image with so many colours, or of its frames."""
    if len(port.shape) != 4 + (frames > 1):
        return False
    return colours in (port.shape[-3], port.shape[-1])
