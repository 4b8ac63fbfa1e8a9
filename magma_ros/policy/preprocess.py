# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns an observation into graph inputs, or raises one sentence that names the reason.

Normalisation lives inside the graphs, so only layout, size and order are handled here.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from magma_ros.policy.contract import (
    ANSWER_POSITIONS,
    ATTENTION_MASK,
    POINT_INPUT,
    CameraContract,
    ObservationContract,
    PromptContract,
)
from magma_ros.policy.recent import Recent
from magma_ros.policy.stages import DecodingContract
from magma_ros.types import TRACE_GRID, DepthArray, FloatArray, ImageArray, MagmaError, Observation

PAD, UNKNOWN = 0, 1
"""Token ids every bundle reserves: filling, and a word outside the vocabulary."""

MAX_CHARACTERS = 512
"""Longest instruction accepted; far above any template, far below what stalls a tokenizer."""


class ObservationError(MagmaError):
    """An observation is not what the policy was trained to take."""


class Preprocessor:
    """Turns observations into the graph inputs that the manifest promises."""

    def __init__(
        self,
        contract: ObservationContract,
        tokenizer: Tokenizer | None = None,
        decoding: DecodingContract | None = None,
    ) -> None:
        self._contract = contract
        self._words: Any = tokenizer
        self._decoding = decoding
        self._special: set[str] = set()
        if tokenizer is not None:
            added = tokenizer.get_added_tokens_decoder().values()
            self._special = {token.content for token in added}
        self._instruction: str | None = None
        self._tokens = np.full((1, contract.max_tokens or 0), PAD, np.int64)
        self._count = 0
        self._recent = Recent(contract.frames, contract.frame_period or 1.0)

    def __call__(self, observation: Observation) -> dict[str, npt.NDArray[np.generic]]:
        """Graph inputs by name, each with batch size 1.

        Images, proprioception, tokens, point, and the positions of an action that is decoded.

        Raises:
            ObservationError: Something is missing, malformed, not finite or not understood.
        """
        sensed: dict[str, npt.NDArray[np.generic]] = {
            camera.input: (
                _image(observation, camera) if camera.kind == "rgb" else _depth(observation, camera)
            )
            for camera in self._contract.cameras
        }
        if self._contract.proprioception:
            sensed["proprioception"] = self._proprioception(observation)
        if self._contract.frames > 1:
            sensed = self._recent(observation.stamp, sensed)
        inputs = {name: values[np.newaxis] for name, values in sensed.items()}
        if self._contract.max_tokens is not None:
            inputs["tokens"] = self.tokens(observation.instruction)
            if self._contract.attention_mask:
                known = np.arange(self._contract.max_tokens) < self._count
                inputs[ATTENTION_MASK] = known[np.newaxis].astype(np.int64)
        if self._decoding is not None:
            # The action's first token is read from the last of the prompt.
            first = self._decoding.prompt_start + self._count - 1
            inputs[ANSWER_POSITIONS] = first + np.arange(self._decoding.length)[np.newaxis]
        if self._contract.point is not None:
            inputs[POINT_INPUT] = _point(observation.point)
        elif observation.point is not None:
            raise ObservationError("the policy takes no marks; name the object instead")
        return inputs

    def tokens(self, instruction: str) -> npt.NDArray[np.int64]:
        """The instruction as (1, T) token ids, kept until the instruction changes.

        Raises:
            ObservationError: It is empty, too long, or consists of unknown words.
        """
        if instruction != self._instruction:
            ids = self._tokenise(instruction)
            self._tokens = np.full_like(self._tokens, PAD)
            self._tokens[0, : len(ids)] = ids
            self._count = len(ids)
            self._instruction = instruction
        return self._tokens

    def _tokenise(self, instruction: str) -> list[int]:
        if not instruction.strip():
            raise ObservationError("the instruction is empty; say what the robot should do")
        if len(instruction) > MAX_CHARACTERS:
            raise ObservationError(
                f"the instruction has {len(instruction)} characters, but at most "
                f"{MAX_CHARACTERS} are read; say it in fewer words"
            )
        prompt = self._contract.prompt
        ids = self._alone(instruction) if prompt is None else self._in_prompt(instruction, prompt)
        if len(ids) > (self._contract.max_tokens or 0):
            raise ObservationError(
                f"the instruction has {len(ids)} tokens{' with its prompt' if prompt else ''}, but "
                f"the policy reads only {self._contract.max_tokens}; say it in fewer words"
            )
        return ids

    def _alone(self, instruction: str) -> list[int]:
        ids: list[int] = self._words.encode(instruction).ids
        if all(token in (PAD, UNKNOWN) for token in ids):
            raise ObservationError(
                f"the policy knows no word of the instruction '{instruction}'; "
                f"it knows for example {self._examples()}"
            )
        return ids

    def _in_prompt(self, instruction: str, prompt: PromptContract) -> list[int]:
        """The prompt's tokens; a subword vocabulary can write every instruction."""
        if taken := sorted(name for name in self._special if name in instruction):
            raise ObservationError(
                f"the instruction holds {taken[0]}, which only the prompt may; leave it out"
            )
        text = prompt.text(instruction)
        return list(self._words.encode(text, add_special_tokens=False).ids)

    def _examples(self, count: int = 6) -> str:
        vocabulary = self._words.get_vocab().items()
        words = sorted(word for word, token in vocabulary if token not in (PAD, UNKNOWN))
        # Spread over the vocabulary: neighbours in the alphabet make a poor sample.
        return ", ".join(words[:: max(1, len(words) // count)][:count])

    def _proprioception(self, observation: Observation) -> FloatArray:
        values, fields = np.asarray(observation.proprioception), observation.fields
        if values.shape != (len(fields),):
            raise ObservationError(
                f"proprioception has shape {values.shape}, but {len(fields)} fields are named; "
                "give one value for each field"
            )
        wanted = self._contract.proprioception
        if missing := [name for name in wanted if name not in fields]:
            raise ObservationError(
                f"proprioception lacks {', '.join(missing)}; the policy needs {', '.join(wanted)}"
            )
        chosen = values[[fields.index(name) for name in wanted]]
        with np.errstate(over="ignore"):  # what overflows float32 is refused just below
            chosen = chosen.astype(np.float32)
        if not np.isfinite(chosen).all():
            broken = [n for n, x in zip(wanted, chosen, strict=True) if not np.isfinite(x)]
            raise ObservationError(
                f"proprioception is not finite in {', '.join(broken)}; check the robot's state"
            )
        return chosen


def _point(point: tuple[float, float] | None) -> FloatArray:
    """Column and row from 0 to 1, and whether there are any, (1, 3)."""
    if point is None:
        return np.zeros((1, 3), np.float32)
    column, row = point
    if not (0.0 <= column <= TRACE_GRID and 0.0 <= row <= TRACE_GRID):  # nan is on no grid either
        raise ObservationError(
            f"the point ({column:g}, {row:g}) does not lie on the {TRACE_GRID} x {TRACE_GRID} grid "
            "of the image; mark something that is in the picture"
        )
    return np.array([[column / TRACE_GRID, row / TRACE_GRID, 1.0]], np.float32)


def _image(observation: Observation, camera: CameraContract) -> ImageArray:
    """The camera's image at the trained size; of another shape, as the contract says."""
    image = observation.images.get(camera.name)
    if image is None:
        given = ", ".join(observation.images) or "none"
        raise ObservationError(
            f"there is no image from camera {camera.name}, which the policy needs (given: {given})"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ObservationError(
            f"the image from camera {camera.name} is {image.dtype} {list(image.shape)}, "
            "but must be uint8 [height, width, 3] in RGB and not empty"
        )
    if image.shape[:2] == (camera.height, camera.width):
        return np.ascontiguousarray(image)
    height, width, top, left = _place(image, camera)
    inner = _resized(image, height, width)
    if inner.shape[:2] == (camera.height, camera.width):
        return inner
    boxed = np.zeros((camera.height, camera.width, 3), np.uint8)
    boxed[top : top + height, left : left + width] = inner
    return boxed


def _depth(observation: Observation, camera: CameraContract) -> DepthArray:
    """The camera's distances at the trained size, (H, W, 1) [m], 0 where none was measured."""
    depth = observation.depths.get(camera.name)
    if depth is None:
        given = ", ".join(observation.depths) or "none"
        raise ObservationError(
            f"there is no depth image from camera {camera.name}, which the policy needs "
            f"(given: {given})"
        )
    if depth.ndim != 2 or depth.dtype != np.float32 or depth.size == 0:
        raise ObservationError(
            f"the depth image from camera {camera.name} is {depth.dtype} {list(depth.shape)}, but "
            "must be float32 [height, width] in metres and not empty"
        )
    known = np.where(np.isfinite(depth) & (depth > 0.0), depth, np.float32(0.0))
    height, width, top, left = _place(known, camera)
    # Distances of two things must not be mixed: there is nothing between them.
    inner = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST)
    whole = np.zeros((camera.height, camera.width, 1), np.float32)
    whole[top : top + height, left : left + width, 0] = inner
    return whole


def _place(image: npt.NDArray[np.generic], camera: CameraContract) -> tuple[int, int, int, int]:
    """Height, width, upper and left edge of an image within the trained size [px]."""
    if camera.fit == "stretch":
        return camera.height, camera.width, 0, 0
    scale = min(camera.height / image.shape[0], camera.width / image.shape[1])
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    return height, width, (camera.height - height) // 2, (camera.width - width) // 2


def _resized(image: ImageArray, height: int, width: int) -> ImageArray:
    # Averaging over areas keeps small objects that plain sampling would lose.
    resized: ImageArray = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return resized
