# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an examination of the machine found."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined.

    Attributes:
        subject: What was looked at.
        ok: Whether it is as it should be.
        detail: What was found.
        fix: The command that mends it; empty if nothing needs mending.
        optional: Whether robots can do without it.
    """

    subject: str
    ok: bool
    detail: str
    fix: str = ""
    optional: bool = False

    def as_dict(self) -> dict[str, str | bool]:
        """The finding as plain data."""
        return asdict(self)
