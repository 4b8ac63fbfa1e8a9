# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a bundle: the stages in the order they run, and how actions are decoded.

A stage *looks* (vision tokens enter), *thinks* (decoder layers) or *decodes*. A policy that plans
in one pass has its exits after thinks. One that writes its action token by token, as Magma-8B does,
has a decoding stage after each think that may be the last:

- A think takes ``state`` (1, N, H), ``positions`` (1, N) int64 and ``past`` (L, G, P, D), the keys
  and values of earlier positions in its layers, in this order and under names of its own; it gives
  ``state`` (1, N, H) and ``memory`` (L, G, P + N, D): the past with the new ones appended. N and P
  are symbolic in its graph. Columns of the past from ``positions[0]`` on are hidden, so that a
  prompt may be padded at its end. It runs once over the prompt, with the sizes in the manifest.
- A decoding stage runs the *draft*, the thinks so far and its own graph, the exit's head, over the
  tokens of an action all at once, and again until no token changes. The thinks then take the
  memory that they gave in the place of the past; what they append to it is thrown away. The first
  token is read from the last one of the prompt, so N is the number of tokens either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from magma_ros.policy.contract import (
    ANSWER_POSITIONS,
    CHOICE,
    CONFIDENCE_OUTPUTS,
    TRACE_OUTPUT,
    Contract,
    Count,
    FileName,
    Name,
    Sha256,
    TensorSpec,
)


class BundleFile(Contract):
    """A file of the bundle and its checksum."""

    file: FileName
    sha256: Sha256


class GraphSpec(Contract):
    """One ONNX graph.

    Attributes:
        name: Unique name.
        file: The ONNX file.
        sha256: Its checksum.
        flops: Floating-point operations of one run.
        weight_bytes: Bytes of weights one run reads.
        inputs: Graph inputs.
        outputs: Graph outputs.
        external: Files with weights that the ONNX file refers to; of any size.
        host: Whether it runs on the CPU wherever the others run: a table too large for the
            device's memory, of which a few rows are read.
    """

    name: Name
    file: FileName
    sha256: Sha256
    flops: Count
    weight_bytes: Count
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    external: tuple[BundleFile, ...] = ()
    host: bool = False


class StageSpec(GraphSpec):
    """One stage, under whose name its latency is tracked.

    Attributes:
        kind: ``look``, ``think`` or ``decode``.
        depth: Index of the exit after this stage, 1 for the shallowest, or None. The manifest
            calls it ``exit``.
        passes: How often a decoding stage goes through its graphs on average; its ``flops`` and
            ``weight_bytes`` are those of all of them together, in as many passes.
    """

    kind: Literal["look", "think", "decode"]
    depth: PositiveInt | None = Field(alias="exit")
    passes: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _exits_follow_thinking(self) -> Self:
        if self.kind == "look" and self.depth is not None:
            raise ValueError(f"stage {self.name} is a look and cannot have an exit")
        if self.kind == "decode" and self.depth is None:
            raise ValueError(f"stage {self.name} decodes, so it must have an exit")
        return self

    @property
    def judged(self) -> bool:
        """Whether the stage says how sure it is of its action."""
        return any(tensor.name in CONFIDENCE_OUTPUTS for tensor in self.outputs)

    @property
    def draws(self) -> bool:
        """Whether the stage outputs a trace."""
        return any(tensor.name == TRACE_OUTPUT for tensor in self.outputs)


class DecodingContract(Contract):
    """How the tokens of an action are decoded: all at once, again and again, until none changes.

    Attributes:
        length: Tokens of an action.
        prompt_start: Positions of the prompt before the tokens of the instruction.
        draft: Embeds the last token of the prompt and a draft of the action's tokens but the last:
            ``choice`` (1, length) int64 becomes ``state`` (1, length, H). Tokens are numbered as an
            exit's ``choice`` numbers them.
    """

    length: PositiveInt
    prompt_start: Count
    draft: GraphSpec

    @property
    def choice(self) -> TensorSpec:
        """The tokens of an action, as indices."""
        return TensorSpec(name=CHOICE, dtype="int64", shape=(1, self.length))

    @property
    def positions(self) -> TensorSpec:
        """What the thinks take for ``positions`` while decoding; follows from the observation."""
        return TensorSpec(name=ANSWER_POSITIONS, dtype="int64", shape=(1, self.length))

    @model_validator(mode="after")
    def _draft_takes_the_choice(self) -> Self:
        if self.draft.inputs != (self.choice,):
            raise ValueError(f"the draft must take {CHOICE}, {self.choice}, and nothing else")
        if len(self.draft.outputs) != 1:
            raise ValueError("the draft must give one state and nothing else")
        return self

    def inputs(self, think: StageSpec) -> tuple[TensorSpec, ...]:
        """What a think takes while decoding, in the order and under the names of its inputs.

        Raises:
            ValueError: The think is not one that can decode.
        """
        state, positions, past, _, memory = _parts(think)
        return (
            state.model_copy(update={"shape": (1, self.length, state.shape[2])}),
            positions.model_copy(update={"shape": (1, self.length)}),
            past.model_copy(update={"shape": memory.shape}),
        )

    def output(self, think: StageSpec) -> TensorSpec:
        """The state that a think gives while decoding."""
        state = think.outputs[0]
        return state.model_copy(update={"shape": (1, self.length, state.shape[2])})


def check_decoding(decoding: DecodingContract, stages: tuple[StageSpec, ...]) -> None:
    """Check that every decoding stage reads what the draft and the thinks before it give.

    Raises:
        ValueError: It does not.
    """
    known: Mapping[str, TensorSpec] = {t.name: t for t in decoding.draft.outputs}
    for stage in stages:
        if stage.kind == "think":
            state = decoding.inputs(stage)[0]
            if state.name not in known:
                raise ValueError(
                    f"{state.name} of stage {stage.name} follows from no draft of an action"
                )
            require_equal(stage, known[state.name], state)
            made = decoding.output(stage)
            known = {made.name: made}
        elif stage.kind == "decode":
            for tensor in stage.inputs:
                if tensor.name not in known:
                    raise ValueError(
                        f"stage {stage.name} must read the state of the think before it, "
                        f"not {tensor.name}"
                    )
                require_equal(stage, tensor, known[tensor.name])
            if decoding.choice not in stage.outputs:
                raise ValueError(f"stage {stage.name} must give {CHOICE}, {decoding.choice}")


def graphs(stages: tuple[StageSpec, ...], decoding: DecodingContract | None) -> Iterator[GraphSpec]:
    """Every graph of a bundle."""
    yield from stages
    if decoding is not None:
        yield decoding.draft


def require_equal(stage: GraphSpec, found: TensorSpec, expected: TensorSpec) -> None:
    """Refuse a tensor that is not the expected one.

    Raises:
        ValueError: It is not.
    """
    if found != expected:
        raise ValueError(f"{found.name} of stage {stage.name} is {found}, not {expected}")


def _parts(think: StageSpec) -> tuple[TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec]:
    """State, positions, past, state and memory of a think that can decode."""
    wanted = (
        f"stage {think.name} must take a state (1, N, H), positions (1, N) and past keys and "
        "values (L, G, P, D), and give a state (1, N, H) and a memory (L, G, P + N, D)"
    )
    if len(think.inputs) != 3 or len(think.outputs) != 2:
        raise ValueError(wanted)
    state, positions, past = think.inputs
    made, memory = think.outputs
    if len(state.shape) != 3 or made.shape != state.shape or len(past.shape) != 4:
        raise ValueError(wanted)
    layers, heads, before, width = past.shape
    after = (layers, heads, before + state.shape[1], width)
    if positions.shape != state.shape[:2] or memory.shape != after or memory.dtype != past.dtype:
        raise ValueError(wanted)
    return state, positions, past, made, memory
