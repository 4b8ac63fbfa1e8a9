# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's words: its tokenizer, the prompt that asks for an action, the actions' tokens."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from magma_ros.files import json_mapping, read_text
from magma_ros.models.magma.layout import CheckpointLayoutError, MagmaShape
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.policy.prompt import (
    BEGIN,
    END_OF_TURN,
    IMAGE,
    IMAGE_END,
    IMAGE_START,
    SYSTEM,
    ActionPrompt,
    read_tokenizer,
)

TOKENIZER = "tokenizer.json"

MAX_TEMPLATE = 10_000
"""Longest chat template that is compared [characters]; Llama-3's has a few hundred."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a checkpoint is spoken to, and how it answers.

    Attributes:
        tokenizer: Of its folder.
        prompt: In the form that its configuration says.
        codec: The tokens of actions.
        end_of_turn: Id of the token that ends an answer.
    """

    tokenizer: Tokenizer
    prompt: ActionPrompt
    codec: ActionCodec
    end_of_turn: int

    @property
    def answers(self) -> list[int]:
        """What an exit has rows for: the tokens of actions, then the end of the turn."""
        return [*self.codec.ids, self.end_of_turn]

    def prefix(self) -> list[int]:
        """The tokens before the image."""
        return self.prompt.prefix(self.tokenizer)

    def suffix(self, instruction: str) -> list[int]:
        """The tokens after the image."""
        return self.prompt.suffix(self.tokenizer, instruction)


def read_words(folder: Path, shape: MagmaShape, *, beginnings: int = 2) -> Words:
    """Read the tokenizer in a checkpoint's folder, and check it against the configuration.

    Args:
        folder: Of the checkpoint.
        shape: That its configuration describes.
        beginnings: How often the token of the text's beginning stands first: twice as in the
            official runs, or once.

    Raises:
        MagmaError: The tokenizer is missing, damaged or lacks special tokens, its ids are not
            those of the configuration, or the folder's chat template is another one.
    """
    prompt = ActionPrompt(beginnings=beginnings, image_start_end=shape.image_start_end)
    path = folder / TOKENIZER
    tokenizer = read_tokenizer(path, prompt)
    image = tokenizer.token_to_id(IMAGE)
    if image != shape.image_token:
        raise CheckpointLayoutError(
            f"{path} gives {IMAGE} the id {image}, but the configuration says "
            f"{shape.image_token}; take both from the same release"
        )
    if (size := tokenizer.get_vocab_size()) > shape.text.vocabulary:
        raise CheckpointLayoutError(
            f"{path} has {size} tokens, but the checkpoint only {shape.text.vocabulary} rows for "
            "them; take both from the same release"
        )
    check_chat_template(folder, shape.image_start_end)
    end = tokenizer.encode(END_OF_TURN, add_special_tokens=False).ids[0]
    return Words(tokenizer, prompt, ActionCodec.of(tokenizer), end)


def check_chat_template(folder: Path, image_start_end: bool = True) -> None:  # noqa: FBT001, FBT002
    """Refuse a folder whose chat template writes another prompt than the one used here.

    The folder's template is only ever rendered in Jinja's sandbox, for this comparison.

    Raises:
        CheckpointLayoutError: It writes another text, or cannot be rendered.
    """
    found = _chat_template(folder)
    if found is None or find_spec("jinja2") is None:
        return
    path, template = found
    wanted = ActionPrompt(beginnings=1, image_start_end=image_start_end).text("move")
    question = wanted[wanted.index("What") : wanted.rindex(END_OF_TURN)]
    image = f"{IMAGE_START}{IMAGE}{IMAGE_END}" if image_start_end else IMAGE
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"{image}\n{question}"},
    ]
    if (text := _render(path, template, messages)) not in (wanted, wanted.removeprefix(BEGIN)):
        raise CheckpointLayoutError(
            f"the chat template of {path} writes {text[:60]!r} and so on, not Llama-3's turns; "
            "this checkpoint is spoken to in another way"
        )


def _render(path: Path, template: str, messages: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    fault = CheckpointLayoutError(
        f"the chat template of {path} cannot be rendered; take the file from the release"
    )
    if len(template) > MAX_TEMPLATE:
        raise fault
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, bos_token=BEGIN, eos_token=END_OF_TURN
        )
    except (TemplateError, TypeError, ValueError, LookupError, OverflowError) as error:
        raise fault from error


def _chat_template(folder: Path) -> tuple[Path, str] | None:
    """The template and the file that it is from; newer releases keep it in a file of its own."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path, read_text(path)
    for path in (folder / "chat_template.json", folder / "tokenizer_config.json"):
        if path.is_file():
            template: Any = json_mapping(path).get("chat_template")
            if isinstance(template, str):
                return path, template
    return None
