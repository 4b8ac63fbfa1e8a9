# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The prompt with which Magma is asked for an action, in Llama-3's chat format, byte for byte.

The template begins with the token of the text's beginning, and the tokenizer puts another before
it, so the official runs begin with two. That is reproduced unless one is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from magma_ros.policy.contract import PromptContract
from magma_ros.types import MagmaError

BEGIN, END_OF_TURN = "<|begin_of_text|>", "<|eot_id|>"
HEADER, HEADER_END = "<|start_header_id|>", "<|end_header_id|>"
IMAGE, IMAGE_START, IMAGE_END = "<image>", "<image_start>", "<image_end>"

SYSTEM = "You are agent that can see, talk and act."
"""The system's message in all of Magma's training."""

QUESTION = "What action should the robot take to {instruction}?"
"""What the user asks, after the image and a line feed."""


class PromptError(MagmaError):
    """A tokenizer is missing or damaged, or is none of Magma's."""


@dataclass(frozen=True, slots=True)
class ActionPrompt:
    """The prompt, in the form of one checkpoint.

    Attributes:
        beginnings: How often the token of the text's beginning stands first.
        image_start_end: Whether the image stands between a start and an end token.
    """

    beginnings: int = 2
    image_start_end: bool = True

    @property
    def before_image(self) -> str:
        """The text before the image, which is always the same."""
        system = f"{_header('system')}{SYSTEM}{END_OF_TURN}"
        start = IMAGE_START if self.image_start_end else ""
        return f"{BEGIN * self.beginnings}{system}{_header('user')}{start}"

    @property
    def after_image(self) -> PromptContract:
        """The text after the image, as a bundle describes it."""
        end = IMAGE_END if self.image_start_end else ""
        template = f"{end}\n{QUESTION}{END_OF_TURN}{_header('assistant')}"
        return PromptContract(template=template, lower=True)

    def text(self, instruction: str) -> str:
        """The whole prompt; the image is a placeholder."""
        return f"{self.before_image}{IMAGE}{self.after_image.text(instruction)}"

    def ids(self, tokenizer: Tokenizer, instruction: str) -> list[int]:
        """The whole prompt in tokens, with a single placeholder for the image."""
        return list(tokenizer.encode(self.text(instruction), add_special_tokens=False).ids)

    def prefix(self, tokenizer: Tokenizer) -> list[int]:
        """The tokens before the image."""
        return list(tokenizer.encode(self.before_image, add_special_tokens=False).ids)

    def suffix(self, tokenizer: Tokenizer, instruction: str) -> list[int]:
        """The tokens after the image."""
        text = self.after_image.text(instruction)
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    @property
    def special(self) -> tuple[str, ...]:
        """The special tokens that it is made of."""
        marks = (IMAGE_START, IMAGE_END) if self.image_start_end else ()
        return (BEGIN, END_OF_TURN, HEADER, HEADER_END, IMAGE, *marks)


def read_tokenizer(path: Path, prompt: ActionPrompt) -> Tokenizer:
    """Open a ``tokenizer.json`` that is to write the prompt.

    Raises:
        PromptError: It is missing or damaged, or lacks a special token of the prompt.
    """
    if not path.is_file():
        raise PromptError(f"{path} is missing; copy it from the release of the checkpoint")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        reason = " ".join(str(error).split())
        raise PromptError(f"{path} is no tokenizer ({reason}); download it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in prompt.special:
        if len(tokenizer.encode(text, add_special_tokens=False).ids) != 1:
            raise PromptError(
                f"{path} has no special token {text}; take the tokenizer that was released with "
                "the checkpoint, not that of its language model"
            )
    return tokenizer


def _header(role: str) -> str:
    return f"{HEADER}{role}{HEADER_END}\n\n"
