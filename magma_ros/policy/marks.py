# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks in instructions: "pick the one marked 3", "push mark 2 to the zone"."""

from __future__ import annotations

import re

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MARK = re.compile(
    rf"\bmark(?:ed)?\s+(?:number\s+)?#?(\d{{1,4}}|{'|'.join(_WORDS)})\b", re.IGNORECASE
)


def named_marks(instruction: str) -> tuple[int, ...]:
    """The numbers of the marks that an instruction names, each once, in its order.

    Numbers are digits, or words from one to ten.
    """
    found = (match[1].lower() for match in _MARK.finditer(instruction))
    numbers = (_WORDS.index(word) + 1 if word in _WORDS else int(word) for word in found)
    return tuple(dict.fromkeys(numbers))
