# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each stage of the network as one graph with static shapes, ready for ONNX.

Everything that belongs to the network is inside the graphs: the normalisation of images and
measured values in the looks, the decoding of the bins in the thinks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from magma_ros.models.network.actions import decode
from magma_ros.models.network.config import CameraConfig, PolicyConfig
from magma_ros.models.network.network import FirstLookStage, LookStage, ThinkStage
from magma_ros.policy.contract import EXIT_OUTPUTS, POINT_INPUT, TRACE_OUTPUT, TensorSpec


@dataclass(frozen=True, slots=True)
class StageGraph:
    """One stage with the names of its tensors.

    Attributes:
        name: Name of the stage.
        kind: ``look`` or ``think``.
        module: Takes and returns tensors in the order of the names.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        depth: Index of its exit, or None.
    """

    name: str
    kind: Literal["look", "think"]
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    depth: int | None

    def run(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs by name, in PyTorch."""
        with torch.inference_mode():
            values = self.module(*(tensors[name] for name in self.inputs))
        return dict(zip(self.outputs, values, strict=True))

    def flops(self, tensors: Mapping[str, Tensor]) -> int:
        """Floating-point operations of one run: those of products and convolutions."""
        with FlopCounterMode(display=False) as counter:
            self.run(tensors)
        return int(counter.get_total_flops())


def stage_graphs(stages: nn.ModuleList) -> list[StageGraph]:
    """The graphs of looks and thinks, which run in this order.

    The state after stage i is called ``state_i``; the last stage outputs none.
    """
    later_look = any(isinstance(stage, LookStage) for stage in stages)
    graphs: list[StageGraph] = []
    depth = 0
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        before, after = f"state_{index - 1}", () if last else (f"state_{index}",)
        if isinstance(stage, ThinkStage):
            depth += stage.exit is not None
            exits = _exit_outputs(stage)
            graphs.append(
                StageGraph(
                    name=f"think_{index}",
                    kind="think",
                    module=_Think(stage, hand_on=not last),
                    inputs=(before,),
                    outputs=(*after, *exits),
                    depth=depth if exits else None,
                )
            )
            continue
        look = cast("FirstLookStage | LookStage", stage)
        cameras = tuple(dict.fromkeys(look.vision.cameras.values()))
        given: tuple[str, ...] = (before, "instruction") if index else ("proprioception", "tokens")
        if look.vision.takes_point or getattr(look, "point", None) is not None:
            given = (*given, POINT_INPUT)
        made = ("instruction",) if later_look and not index else ()
        graphs.append(
            StageGraph(
                name=f"look_{index}",
                kind="look",
                module=_Look(look, cameras, summarise=bool(made)),
                inputs=(*(f"image_{camera}" for camera in cameras), *given),
                outputs=(*after, *made),
                depth=None,
            )
        )
    return graphs


def example_inputs(config: PolicyConfig) -> dict[str, Tensor]:
    """Random graph inputs of an observation."""
    generator = torch.Generator().manual_seed(0)

    def image(camera: CameraConfig) -> Tensor:
        shape = (1, camera.height, camera.width, 3)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    tokens = torch.zeros(1, config.max_tokens, dtype=torch.int64)
    tokens[0, :2] = 2
    return {
        **{f"image_{camera.name}": image(camera) for camera in config.cameras},
        "proprioception": torch.randn(1, len(config.proprioception), generator=generator),
        "tokens": tokens,
        **({} if config.point is None else {POINT_INPUT: torch.tensor([[0.3, 0.6, 1.0]])}),
    }


def run_stages(
    graphs: list[StageGraph], observation: Mapping[str, Tensor]
) -> Iterator[tuple[StageGraph, dict[str, Tensor], dict[str, Tensor]]]:
    """Run the stages in PyTorch; yields each with its possible inputs and its outputs."""
    known = dict(observation)
    for graph in graphs:
        outputs = graph.run(known)
        yield graph, known, outputs
        known |= outputs


def tensor_spec(name: str, tensor: Tensor) -> TensorSpec:
    """How the manifest describes a tensor."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": tuple(tensor.shape)})


class _Look(nn.Module):
    """A look with its images as separate inputs, without what only training needs."""

    def __init__(
        self, stage: FirstLookStage | LookStage, cameras: tuple[str, ...], *, summarise: bool
    ) -> None:
        super().__init__()
        self.stage, self.cameras, self.summarise = stage, cameras, summarise

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        images = dict(zip(self.cameras, inputs, strict=False))
        state, *rest = self.stage(images, *inputs[len(self.cameras) :])
        return (state, rest[0]) if self.summarise else (state,)


class _Think(nn.Module):
    """A think with its exit's figures."""

    def __init__(self, stage: ThinkStage, *, hand_on: bool) -> None:
        super().__init__()
        self.stage, self.hand_on = stage, hand_on

    def forward(self, state: Tensor) -> tuple[Tensor, ...]:
        state = self.stage(state)
        kept = (state,) if self.hand_on else ()
        if self.stage.exit is None:
            return kept
        output = self.stage.exit(state)
        trace = () if output.trace is None else (output.trace,)
        return (*kept, *decode(output.logits, self.stage.exit.floor), *trace)


def _exit_outputs(stage: ThinkStage) -> tuple[str, ...]:
    """Names of what the exit of a stage gives, if it has one."""
    if stage.exit is None:
        return ()
    return EXIT_OUTPUTS if stage.exit.trace is None else (*EXIT_OUTPUTS, TRACE_OUTPUT)
