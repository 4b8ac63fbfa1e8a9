# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands share: the consoles, common options, writing JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from magma_ros.types import MagmaError

# A file or a pipe has no width; tables cut to the usual 80 columns would be hard to read there.
console = Console(width=None if sys.stdout.isatty() else 120)
complaints = Console(stderr=True)

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Also write the result here.")]
Bundle = Annotated[str, Parameter(help="A shipped bundle's name, or a folder.")]


def write_json(result: Any, path: Path) -> None:
    """Write ``result`` to ``path`` whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
        draft.replace(path)
    except OSError as error:
        raise MagmaError(f"cannot write {path}: {error.strerror}") from error
