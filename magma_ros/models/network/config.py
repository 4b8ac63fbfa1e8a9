# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shape of a policy network as data: its inputs, its vision towers and its depth.

Two kinds share one trainer: ``magma``, with an exit after every think, and the baseline ``act``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from magma_ros.models.network.space import SpaceConfig
from magma_ros.models.schema import Fraction, Positive, Strict

CHANNELS_PER_GROUP = 16
"""Channels that the group norms of the ACT trunk normalise together (arXiv 2303.04137)."""


class CameraConfig(Strict):
    """An image that the policy is given.

    Attributes:
        name: Camera name in the observation.
        height: Rows [px].
        width: Columns [px].
    """

    name: str
    height: Positive
    width: Positive


class ViewConfig(Strict):
    """A ConvNeXt tower for a camera's image, and the size that it reads.

    Attributes:
        name: Name of the view.
        camera: Camera whose image it reads.
        height: Rows it reads [px]; the image is averaged down to them.
        width: Columns it reads [px].
        depths: ConvNeXt blocks per stage.
        channels: Channels per stage; every stage after the first halves the resolution.
        patch: Side of the stem's patches [px].
        fine: Stage, from 1, at whose resolution the grounding draws its heat maps; None for that
            of the tokens.
    """

    name: str
    camera: str
    height: Positive
    width: Positive
    depths: tuple[Positive, ...]
    channels: tuple[Positive, ...]
    patch: Positive = 4
    fine: Positive | None = None

    @property
    def stride(self) -> int:
        """Pixels between neighbouring tokens."""
        return int(self.patch * 2 ** (len(self.depths) - 1))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of vision tokens."""
        return self.height // self.stride, self.width // self.stride

    @property
    def heat_grid(self) -> tuple[int, int]:
        """Rows and columns of the grounding's heat maps."""
        if self.fine is None:
            return self.grid
        stride = self.patch * 2 ** (self.fine - 1)
        return self.height // stride, self.width // stride

    @model_validator(mode="after")
    def _fits(self) -> ViewConfig:
        if self.fine is not None and self.fine >= len(self.depths):
            raise ValueError(f"view {self.name} has fine maps at a stage before the last, or none")
        if len(self.depths) != len(self.channels):
            raise ValueError(f"view {self.name} needs as many depths as channels")
        if self.height % self.stride or self.width % self.stride:
            raise ValueError(f"view {self.name} needs sides that are multiples of {self.stride}")
        return self


class LookConfig(Strict):
    """A stage in which the tokens of these views enter."""

    look: tuple[str, ...] = Field(min_length=1)


class ThinkConfig(Strict):
    """A stage of decoder layers, with an action head after it unless ``exit`` is false."""

    think: Positive
    exit: bool = True


class TraceConfig(Strict):
    """Where gripper and target will be in an image: Magma's Trace-of-Mark, an output of every exit.

    Attributes:
        camera: The image.
        steps: How many steps of a plan after the observation, increasing.
    """

    camera: str
    steps: tuple[Positive, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _increases(self) -> TraceConfig:
        if sorted(set(self.steps)) != list(self.steps):
            raise ValueError("trace.steps must increase")
        return self


class PointConfig(Strict):
    """A place that the instruction names by a mark: Magma's Set-of-Mark, an input of the looks.

    Attributes:
        camera: The image that it lies in.
    """

    camera: str


class PolicyConfig(Strict):
    """Inputs and outputs of a network of any kind.

    Attributes:
        kind: Which kind of network it is.
        cameras: Its images.
        proprioception: Names of the measured values, in order.
        max_tokens: Length of the padded instruction.
        chunk_length: Steps K in a plan.
        action: The columns of its actions; where a LeRobot data set is learned from, those of the
            data set if the recipe does not say.
        trace: The traces that the exits predict, or None.
        point: The place that it may be given, or None.
    """

    kind: str
    cameras: tuple[CameraConfig, ...] = Field(min_length=1)
    proprioception: tuple[str, ...] = Field(min_length=1)
    max_tokens: Positive
    chunk_length: Positive
    action: SpaceConfig = SpaceConfig()
    trace: TraceConfig | None = None
    point: PointConfig | None = None


class NetworkConfig(PolicyConfig):
    """The policy network, Magma's kind.

    Attributes:
        views: Towers, each with the camera that it reads.
        width: Width of the decoder.
        heads: Attention heads.
        hidden: Inner width of the decoder's gated MLP.
        layer_scale: Initial ConvNeXt layer scale.
        modulation: Whether the instruction modulates every vision stage (FiLM).
        grounding: Tokens per view that locate the objects of the instruction; 0 for none.
        places: View whose heat maps are turned into places in space, which become a token; its
            first three maps are those of target, goal and hand. None for no such token.
        stages: Looks and thinks, in order.
    """

    kind: Literal["magma"] = "magma"
    views: tuple[ViewConfig, ...] = Field(min_length=1)
    width: Positive
    heads: Positive
    hidden: Positive
    layer_scale: float = Field(default=0.1, gt=0.0)
    modulation: bool = True
    grounding: Annotated[int, Field(ge=0)] = 2
    places: str | None = None
    stages: tuple[LookConfig | ThinkConfig, ...] = Field(min_length=2)

    def view(self, name: str) -> ViewConfig:
        """The view of that name."""
        return next(view for view in self.views if view.name == name)

    @model_validator(mode="after")
    def _has_heads_that_fit(self) -> NetworkConfig:
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of twice the number of heads")
        return self

    @model_validator(mode="after")
    def _begins_with_a_look_and_ends_with_an_exit(self) -> NetworkConfig:
        first, last = self.stages[0], self.stages[-1]
        begins, ends = isinstance(first, LookConfig), isinstance(last, ThinkConfig) and last.exit
        if not begins:
            raise ValueError("the first stage must be a look")
        if not ends:
            raise ValueError("the last stage must be a think with an exit")
        looked = [
            name for stage in self.stages if isinstance(stage, LookConfig) for name in stage.look
        ]
        if sorted(looked) != sorted(view.name for view in self.views):
            raise ValueError("every view must enter in exactly one look")
        return self

    @model_validator(mode="after")
    def _sees_what_it_is_given(self) -> NetworkConfig:
        sizes = {camera.name: (camera.height, camera.width) for camera in self.cameras}
        for view in self.views:
            if view.camera not in sizes:
                raise ValueError(f"view {view.name} reads camera {view.camera}, which is not given")
            height, width = sizes[view.camera]
            if height % view.height or width % view.width:
                raise ValueError(
                    f"view {view.name} must read a whole fraction of the {height} x {width} pixels "
                    f"of camera {view.camera}"
                )
        for name, section in (("trace", self.trace), ("point", self.point)):
            if section is not None and section.camera not in sizes:
                raise ValueError(f"{name} reads camera {section.camera}, which is not given")
        return self

    @model_validator(mode="after")
    def _finds_what_it_places(self) -> NetworkConfig:
        for view in self.views:
            marked = self.point is not None and self.point.camera == view.camera
            if view.fine is not None and (marked or not self.grounding):
                raise ValueError(f"view {view.name}: fine maps need grounding, and take no point")
        if self.places is None:
            return self
        first = self.stages[0]
        if not (isinstance(first, LookConfig) and self.places in first.look):
            raise ValueError("places must name a view of the first look")
        if self.grounding < 3:
            raise ValueError("places need grounding of 3 or more: target, goal and hand")
        return self


class ActConfig(PolicyConfig):
    """The baseline: an ACT-style network; see :mod:`magma_ros.models.network.act`.

    Attributes:
        trace: Always None: it predicts no traces.
        point: Always None: it takes no marks.
        depths: Residual blocks per stage of the image trunk.
        channels: Channels per stage; every stage after the first halves the resolution.
        width: Width of the transformers.
        heads: Attention heads.
        hidden: Inner width of the transformers' MLP.
        encoder_layers: Layers that read the observation, and of the style encoder.
        decoder_layers: Layers that write the plan.
        style: Dimensions of the style variable z.
        dropout: Share of the transformers' activations that training drops.
    """

    kind: Literal["act"]
    trace: None = None
    point: None = None
    depths: tuple[Positive, ...]
    channels: tuple[Annotated[Positive, Field(multiple_of=CHANNELS_PER_GROUP)], ...]
    width: Positive
    heads: Positive
    hidden: Positive
    encoder_layers: Positive = 4
    decoder_layers: Positive = 7
    style: Positive = 32
    dropout: Fraction = 0.1

    @property
    def stride(self) -> int:
        """Pixels between neighbouring image tokens; the trunk's stem alone takes four."""
        return int(4 * 2 ** (len(self.depths) - 1))

    @property
    def image_tokens(self) -> int:
        """Tokens of all cameras together."""
        return sum(c.height * c.width for c in self.cameras) // self.stride**2

    @model_validator(mode="after")
    def _fits(self) -> ActConfig:
        if len(self.depths) != len(self.channels):
            raise ValueError("the network needs as many depths as channels")
        if self.width % self.heads:
            raise ValueError("width must be a multiple of the number of heads")
        for camera in self.cameras:
            if camera.height % self.stride or camera.width % self.stride:
                raise ValueError(
                    f"camera {camera.name} needs sides that are multiples of {self.stride}"
                )
        return self


class LossConfig(Strict):
    """Weights of the losses.

    Weights are relative to the cross-entropy; for kind ``act``, to the L1 error.

    Attributes:
        sigma: Width of the soft bin label [bins].
        expectation: Weight of the L1 distance of the decoded action.
        position: Weight of the relative positions of target and goal.
        heat: Weight of the heat-map cross-entropy.
        trace: Weight of the L1 distance of the traces.
        distillation: Weight of the cross-entropy of earlier exits with the last one.
        divergence: Weight of the style's divergence from a normal distribution (kind ``act``).
    """

    sigma: float = Field(default=2.5, gt=0.0)
    expectation: float = Field(default=2.0, ge=0.0)
    position: float = Field(default=1.0, ge=0.0)
    heat: float = Field(default=0.1, ge=0.0)
    trace: float = Field(default=2.0, ge=0.0)
    distillation: float = Field(default=0.5, ge=0.0)
    divergence: float = Field(default=10.0, ge=0.0)


def of_its_kind(content: Any) -> Any:
    """Read a network's section as the ``kind`` that it names; it is ``magma`` if it names none."""
    if not isinstance(content, dict):
        return content
    kinds: dict[str, type[PolicyConfig]] = {"magma": NetworkConfig, "act": ActConfig}
    kind = content.get("kind", "magma")
    if kind not in kinds:
        raise ValueError(f"there is no kind {kind}; use {' or '.join(kinds)}")
    return kinds[kind].model_validate(content)
