# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The error of this package, and the check that raises it most."""

from __future__ import annotations

from collections.abc import Collection

from magma_ros.types import MagmaError


class EvaluationError(MagmaError):
    """An evaluation asks for what does not exist or makes no sense."""


def require_known(what: str, name: str, known: Collection[str]) -> None:
    """Refuse a name that is not among those known.

    Args:
        what: What it names, in singular.
        name: The name.
        known: All names that exist.

    Raises:
        EvaluationError: It is none of them; the sentence lists them.
    """
    if name not in known:
        raise EvaluationError(f"there is no {what} {name!r}; known: {', '.join(known)}")
