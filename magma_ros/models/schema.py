# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the sections of a training recipe have in common."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """A section: unknown fields are refused, and nothing changes after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def fingerprint(config: BaseModel, *, exclude: set[str] | None = None) -> str:
    """A short hash of a configuration; equal configurations have equal hashes."""
    text = config.model_dump_json(exclude=exclude)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
