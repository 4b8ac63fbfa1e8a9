# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Marks in instructions: "pick the one marked 3", "push mark 2 to the zone"."""

from __future__ import annotations

import re

# Digits alone: in "the marked one", one is no number.
_MARK = re.compile(r"\bmark(?:ed)?\s+(?:number\s+)?#?(\d{1,4})\b", re.IGNORECASE)
_ANY_MARK = re.compile(r"\bmark(?:s|ed)?\b", re.IGNORECASE)


def mentions_marks(instruction: str) -> bool:
    """Whether an instruction speaks of marks at all, as "the marked one" does."""
    return _ANY_MARK.search(instruction) is not None


def named_marks(instruction: str) -> tuple[int, ...]:
    """The numbers of the marks that an instruction names, each once, in its order."""
    numbers = (int(match[1]) for match in _MARK.finditer(instruction))
    return tuple(dict.fromkeys(numbers))
