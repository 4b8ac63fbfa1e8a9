# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the consoles, common options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

# A file or a pipe has no width; tables cut to the usual 80 columns would be hard to read there.
console = Console(width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True)

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Also write the result here.")]
Bundle = Annotated[str, Parameter(help="A shipped bundle's name, or a folder.")]


def names(text: str) -> tuple[str, ...]:
    """The values of an option that takes several, separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
