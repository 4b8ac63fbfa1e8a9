# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a Magma of some shape costs on some computer, and which depth fits which control rate.

All follows from ``config.json``: no weights are read. The stages are those of an exported bundle:
the tower with the projector, and for each exit a block of layers over the prompt and the decoding
of the seven action tokens through all blocks so far. The prompt's beginning is constant and its
keys and values are stored, so that its tokens cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, get_args

from magma_ros.evaluation.computers.hardware import CostTable, Hardware, Pass, PricedStage
from magma_ros.models.magma.layout import LANGUAGE_MODEL, MagmaShape
from magma_ros.models.magma.operations import (
    ACTION_TOKENS,
    HEAD_ROWS,
    layer_flops,
    layer_weights,
    pass_flops,
    projector_flops,
    tower_flops,
)
from magma_ros.types import MagmaError

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]

BITS = {"fp32": 32.0, "fp16": 16.0, "bf16": 16.0, "int8": 8.0, "int4": 4.0}
SCALE_BITS = 16.0
"""Bits of the scale of a block of quantised weights; its zero point has as many as a weight."""

BLOCK = 32
"""Weights in a block."""

PREFIX = 23
"""Tokens before the image: always the same."""

AROUND = 15
"""Tokens after the image that are not the instruction's."""

INSTRUCTION = 24
"""Tokens that an instruction is padded to, as ``magma import`` does by default."""

RATES = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)
"""Control rates that depths are compared with [Hz]; SimplerEnv assumes 3 and 5."""

QUANTILE = 0.99
"""Share of the control steps that must be in time."""

SPARE = 0.1
"""Share of a computer's memory that a policy must leave to all else."""


class PlanError(MagmaError):
    """The plan that was asked for makes no sense."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage and its costs.

    Attributes:
        name: As in the bundle.
        work: Its passes; activations are left out of the bytes, the keys and values are not.
        resident: Bytes of weights that it adds to memory.
        exit_layer: Layers below the exit that follows it, or None.
    """

    name: str
    work: Pass
    resident: float
    exit_layer: int | None = None

    @property
    def priced(self) -> PricedStage:
        """As the model of computers takes it."""
        return PricedStage(self.name, (self.work,))


class Costs:
    """Costs of a shape in a number format.

    Args:
        shape: Of the checkpoint.
        precision: Of the weights; int8 and int4 are of the weights alone, products are in fp16,
            and vision keeps 8 bits.
        instruction: Tokens that an instruction is padded to.
    """

    def __init__(
        self, shape: MagmaShape, precision: Precision, *, instruction: int = INSTRUCTION
    ) -> None:
        if precision not in BITS:
            known = ", ".join(get_args(Precision))
            raise PlanError(f"there is no precision {precision!r}; choose one of {known}")
        if instruction < 1:
            raise PlanError(f"an instruction has at least one token, not {instruction}")
        self.shape, self.precision, self.prompt = shape, precision, AROUND + instruction

    @property
    def compute(self) -> str:
        """Number format of products and activations."""
        return self.precision if BITS[self.precision] > 8 else "fp16"

    @property
    def tokens(self) -> int:
        """Tokens that one image and the text after it are."""
        return self.shape.image_tokens() + self.prompt

    @property
    def activation_bytes(self) -> float:
        """Bytes of a number that is no weight."""
        return BITS[self.compute] / 8.0

    def layer_bytes(self) -> float:
        """Bytes of the weights of a decoder layer."""
        text = self.shape.text
        return layer_weights(text) * self._per_weight() + 2 * text.width * self.activation_bytes

    def vision_bytes(self) -> float:
        """Bytes of the weights of tower and projector."""
        sizes = [s for n, s in self.shape.tensors().items() if not n.startswith(LANGUAGE_MODEL)]
        quantised = BITS[self.precision] <= 8
        per_product = self._per_weight(8.0) if quantised else self.activation_bytes
        return sum(
            math.prod(size) * (per_product if len(size) == 2 else self.activation_bytes)
            for size in sizes
        )

    def head_bytes(self) -> float:
        """Bytes of an exit: its norm, and the head's rows of the action tokens."""
        return (HEAD_ROWS + 1) * self.shape.text.width * 4.0

    def full_head_bytes(self) -> float:
        """Bytes of the head with all rows, which a free choice of tokens needs."""
        text = self.shape.text
        return text.vocabulary * text.width * self.activation_bytes

    def kv_bytes(self) -> float:
        """Bytes of a token's keys and values in one layer."""
        return 2.0 * self.shape.text.kv_width * self.activation_bytes

    def embedding_bytes(self) -> float:
        """Bytes of the embedding, which stays in 16 bits as it is stored."""
        text = self.shape.text
        return text.vocabulary * text.width * 2.0

    def peak_activation_bytes(self) -> float:
        """Bytes of the largest activations that exist together: a block's inner layer and more."""
        vision, text = self.shape.vision, self.shape.text
        side = vision.image_size // vision.patch
        tower = (2 + vision.expansion) * side**2 * vision.widths[0]
        decoder = self.tokens * (2 * text.hidden + 4 * text.width)
        return max(tower, decoder) * self.activation_bytes

    def stages(self, exits: Sequence[int], passes: float) -> tuple[PlannedStage, ...]:
        """The stages of a bundle.

        Args:
            exits: After how many layers there are exits, increasing.
            passes: Passes in which seven tokens are decoded in parallel, 1 to 7; one by one it is
                seven.

        Raises:
            PlanError: There is no such layer or number of passes.
        """
        layers = self.shape.text.layers
        if (
            not exits
            or sorted(set(exits)) != list(exits)
            or not 1 <= exits[0] <= exits[-1] <= layers
        ):
            raise PlanError(
                f"exits must increase from 1 to at most {layers}, found "
                f"{', '.join(map(str, exits)) or 'none'}"
            )
        if not 1.0 <= passes <= ACTION_TOKENS:
            raise PlanError(
                f"{ACTION_TOKENS} tokens take 1 to {ACTION_TOKENS} passes, not {passes:g}"
            )
        seeing = Pass(
            flops=tower_flops(self.shape) + projector_flops(self.shape),
            weight_bytes=self.vision_bytes(),
        )
        planned = [PlannedStage("look_image", seeing, self.vision_bytes())]
        for number, (low, high) in enumerate(pairwise((0, *exits)), start=1):
            planned += [self._think(number, high - low), self._decode(number, high, passes)]
        return tuple(planned)

    def _think(self, number: int, layers: int) -> PlannedStage:
        weights = layers * self.layer_bytes()
        work = Pass(
            flops=layers * layer_flops(self.shape.text, self.tokens, PREFIX),
            weight_bytes=weights + layers * PREFIX * self.kv_bytes(),
        )
        return PlannedStage(f"think_{number}", work, weights)

    def _decode(self, number: int, layers: int, passes: float) -> PlannedStage:
        past = PREFIX + self.tokens
        kept = layers * (past + ACTION_TOKENS) * self.kv_bytes()
        work = Pass(
            flops=pass_flops(self.shape.text, layers, past),
            weight_bytes=layers * self.layer_bytes() + self.head_bytes() + kept,
            times=passes,
        )
        return PlannedStage(f"decode_{number}", work, self.head_bytes(), layers)

    def _per_weight(self, bits: float | None = None) -> float:
        """Bytes of a weight of the decoder's products, its share of the scale included."""
        width = BITS[self.precision] if bits is None else bits
        if width > 8:
            return width / 8.0
        return (width + (SCALE_BITS + width) / BLOCK) / 8.0


@dataclass(frozen=True, slots=True)
class Reach:
    """An exit, and what it takes to get there.

    Attributes:
        layers: Decoder layers below it.
        on_the_way: Time until it, all earlier exits decoded, as the gate does it: median and 99th
            percentile [s].
        alone: Likewise, in a bundle that has this exit only.
        flops: Operations until it, all earlier exits decoded.
        moved: Bytes read until it, likewise.
        memory: Bytes of memory of a bundle that ends there.
    """

    layers: int
    on_the_way: tuple[float, float]
    alone: tuple[float, float]
    flops: float
    moved: float
    memory: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a shape costs on a computer.

    Attributes:
        costs: Of the shape.
        hardware: The computer.
        passes: Passes in which the tokens of an action are decoded.
        stages: Of the bundle, with the typical time of each [s].
        reaches: The exits.
    """

    costs: Costs
    hardware: Hardware
    passes: float
    stages: tuple[tuple[PlannedStage, float], ...]
    reaches: tuple[Reach, ...]

    @property
    def fits(self) -> bool:
        """Whether the whole bundle fits into the memory, with some to spare."""
        memory = self.hardware.memory
        return memory is None or self.reaches[-1].memory <= (1.0 - SPARE) * memory

    def deepest(self, rate: float, *, alone: bool = False) -> Reach | None:
        """The deepest exit that 99 of 100 control steps of a rate [Hz] reach in time."""
        able = [
            reach
            for reach in self.reaches
            if (reach.alone if alone else reach.on_the_way)[1] <= 1.0 / rate
        ]
        return able[-1] if able else None

    def cost_table(self, description: str) -> CostTable:
        """For the modelled clock: a small policy of as many exits stands in for this one."""
        look, *others = [stage for stage, _ in self.stages]
        pairs = zip(others[::2], others[1::2], strict=True)
        return CostTable(
            description=description,
            look=(look.work,),
            exits=tuple((think.work, decode.work) for think, decode in pairs),
        )


def even_exits(layers: int, count: int) -> tuple[int, ...]:
    """``count`` exits, evenly spread, the last one after the last layer.

    Raises:
        PlanError: There are not as many layers.
    """
    if not 1 <= count <= layers:
        raise PlanError(f"{layers} layers have room for 1 to {layers} exits, not {count}")
    return tuple(round(layers * part / count) for part in range(1, count + 1))


def make_plan(costs: Costs, hardware: Hardware, exits: Sequence[int], passes: float) -> Plan:
    """Predict the times of every stage and exit.

    Args:
        costs: Of the shape.
        hardware: The computer.
        exits: After how many layers there are exits.
        passes: Passes in which the tokens of an action are decoded.

    Raises:
        PlanError: There are no such exits or passes.
    """
    computer = hardware.computing_in(costs.compute)
    stages = costs.stages(exits, passes)
    reaches = []
    memory = list(accumulate(stage.resident for stage in stages))
    for index, stage in enumerate(stages):
        if stage.exit_layer is None:
            continue
        way = [each.priced for each in stages[: index + 1]]
        only = [each.priced for each in costs.stages((stage.exit_layer,), passes)]
        held = stage.exit_layer * (PREFIX + costs.tokens + ACTION_TOKENS) * costs.kv_bytes()
        reaches.append(
            Reach(
                layers=stage.exit_layer,
                on_the_way=_times(computer, way),
                alone=_times(computer, only),
                flops=float(sum(each.flops for each in way)),
                moved=float(sum(each.weight_bytes for each in way)),
                memory=memory[index]
                + held
                + costs.embedding_bytes()
                + costs.peak_activation_bytes(),
            )
        )
    timed = tuple((stage, computer.seconds(stage.priced)) for stage in stages)
    return Plan(costs, hardware, passes, timed, tuple(reaches))


def _times(computer: Hardware, stages: Sequence[PricedStage]) -> tuple[float, float]:
    """Median and 99th percentile of all of them together [s]."""
    typical = sum(computer.seconds(stage) for stage in stages)
    return typical, computer.full_depth(stages, QUANTILE)
