# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the consoles, common options."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from magma_ros.doctor import require

# A file or a pipe has no width; tables cut to the usual 80 columns would be hard to read there.
console = Console(width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True)

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Also write the result here.")]
RayAddress = Annotated[
    str,
    Parameter(
        name="--ray",
        help="Ray cluster that plays instead of processes here: host:port, auto or local.",
    ),
]
Bundle = Annotated[str, Parameter(help="A shipped bundle's name, or a folder.")]


def names(text: str) -> tuple[str, ...]:
    """The values of an option that takes several, separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def cluster(address: str) -> AbstractContextManager[None]:
    """Where episodes are played while the context lasts: on a Ray cluster, or here if empty.

    Raises:
        MagmaError: Ray is not installed, or no cluster answers.
    """
    if not address:
        return nullcontext()
    require("serve")
    from magma_ros.evaluation.play.cluster import on_ray

    return on_ray(address)
