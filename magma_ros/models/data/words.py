# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of a small policy: one id a word, lower case, punctuation apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from magma_ros.policy.preprocess import PAD, UNKNOWN
from magma_ros.types import MagmaError

RESERVED = ("[PAD]", "[UNK]")
"""What ids 0 and 1 stand for: filling, and words outside the vocabulary."""


def make_tokenizer(vocabulary: Iterable[str]) -> Tokenizer:
    """A tokenizer for these words; ids 0 and 1 are padding and unknown words."""
    words = [*RESERVED, *vocabulary]
    ids = {word: index for index, word in enumerate(words)}
    if tuple(ids[word] for word in RESERVED) != (PAD, UNKNOWN) or len(ids) != len(words):
        raise MagmaError("a vocabulary holds every word once; remove the duplicates")
    tokenizer = Tokenizer(WordLevel(ids, unk_token=RESERVED[UNKNOWN]))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def encode(tokenizer: Tokenizer, instructions: Sequence[str], length: int) -> npt.NDArray[np.int64]:
    """Instructions as (N, length) padded ids.

    Raises:
        MagmaError: An instruction is longer than that.
    """
    tokens = np.full((len(instructions), length), PAD, np.int64)
    for row, encoding in zip(tokens, tokenizer.encode_batch(list(instructions)), strict=True):
        if len(encoding.ids) > length:
            raise MagmaError(
                f"an instruction has {len(encoding.ids)} words; raise network.max_tokens ({length})"
            )
        row[: len(encoding.ids)] = encoding.ids
    return tokens
