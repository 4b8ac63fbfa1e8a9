# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tokenizer of Llama-3's layout, with Magma's added tokens and a small vocabulary of its own.

As in Llama-3: byte-level BPE, its rule for cutting text, 128000 base ids, the 256 special tokens
after them. The merges of the original are Meta's and not repeated: the words below are one token
each, as short English words are in it, and any other text is cut into smaller pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from magma_ros.files import write_json

BASE_VOCABULARY = 128_000
"""Ids of Llama-3's tokenizer without added tokens."""

SPECIAL = {
    128_000: "<|begin_of_text|>",
    128_001: "<|end_of_text|>",
    128_006: "<|start_header_id|>",
    128_007: "<|end_header_id|>",
    128_009: "<|eot_id|>",
}
"""Llama-3's special tokens; those between and after them, up to 128255, are reserved."""

ADDED = ("<pad>", "<image>", "<action>", "<image_start>", "<image_end>")
"""Magma's own, from 128256 on."""

CUT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Llama-3's rule for what merges may join."""

PLACED = {"\n\n": 271}
"""Base tokens whose ids are known, besides the bytes: those follow from GPT-2's order of bytes."""

WORDS = (
    "You What system user assistant agent that can see , talk and act . action should the robot "
    "take to ? a an in into on onto of off from with at by up down left right "
    "pick place put move open close push pull stack reach track grasp lift turn drop slide "
    "coke near sponge apple orange carrot plate spoon towel block blocks cube eggplant basket "
    "drawer top middle bottom cup bowl ball box mug pan red green blue yellow purple white black "
    "grey brown hot dog cloth mushroom pot is are was it this please over under next behind front "
    "object thing grab bring take moving belt tray button handle "
    "above area as bar before brick catch cyan cylinder follow for go hexagon hover keep leaves "
    "nut out passes pink raise set shove square stay zone"
)
"""Words of one token each, alone and after a space, as short English words are in Llama-3's."""

TEMPLATE = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 "
    "%}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if "
    "add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Llama-3's chat template."""


def write_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Raises:
        MagmaError: The folder cannot be written.
    """
    make_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[128_000],
        "eos_token": SPECIAL[128_009],
        "pad_token": ADDED[0],
        "chat_template": TEMPLATE,
        "model_max_length": 4096,
    }
    write_json(config, folder / "tokenizer_config.json")


def make_tokenizer() -> Tokenizer:
    """The tokenizer."""
    merges = list(dict.fromkeys(merge for word in _words() for merge in _merges(word)))
    tokenizer = Tokenizer(
        models.BPE(vocab=_vocabulary(merges), merges=merges, fuse_unk=False, ignore_merges=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CUT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    begin = SPECIAL[BASE_VOCABULARY]
    tokenizer.add_special_tokens(list(_special_tokens()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, 128_000)]
    )
    return tokenizer


def _special_tokens() -> Iterator[AddedToken]:
    reserved = 0
    for token in range(BASE_VOCABULARY, BASE_VOCABULARY + 256):
        if token in SPECIAL:
            text = SPECIAL[token]
        else:
            text = f"<|reserved_special_token_{reserved}|>"
            reserved += 1
        yield AddedToken(text, special=True, normalized=False)
    for text in ADDED:
        yield AddedToken(text, special=True, normalized=False)


def _words() -> Iterator[str]:
    """The words as the cutting rule hands them on, in byte-level spelling."""
    yield _spelt("\n\n")
    for word in WORDS.split():
        yield _spelt(word)
        if word.isalpha():
            yield _spelt(f" {word}")


def _spelt(text: str) -> str:
    return "".join(BYTES[byte] for byte in text.encode())


def _merges(word: str) -> Iterator[tuple[str, str]]:
    """Join a word from its beginning, a byte at a time."""
    for end in range(1, len(word)):
        yield word[:end], word[end]


def _vocabulary(merges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """All 128000 base ids: the bytes, what the merges make, and tokens that no text comes to."""
    vocabulary = {symbol: index for index, symbol in enumerate(BYTES.values())}
    vocabulary |= {_spelt(text): index for text, index in PLACED.items()}
    taken = set(vocabulary.values())
    free = (index for index in range(len(BYTES), BASE_VOCABULARY) if index not in taken)
    for left, right in merges:
        if left + right not in vocabulary:
            vocabulary[left + right] = next(free)
    vocabulary |= {f"x{index}": index for index in free}  # the rule never joins x and a digit
    return vocabulary


def _byte_symbols() -> dict[int, str]:
    """GPT-2's spelling of bytes, in the order of their ids: printable ones stand for themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable}
    return symbols | {byte: chr(256 + index) for index, byte in enumerate(others)}


BYTES = _byte_symbols()
