# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magma_ros.types import MagmaError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write to; what was written gets its own name at the end, if all went well.

    Raises:
        MagmaError: The file cannot be written.
    """
    draft = path.with_name(f".part-{path.name}")  # the suffix stays: it tells the format
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise MagmaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make sure that there is such a folder.

    Raises:
        MagmaError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MagmaError(f"cannot make the folder {folder}: {error.strerror}") from None


def write_json(content: Any, path: Path) -> None:
    """Write plain data, keys sorted.

    Raises:
        MagmaError: The file cannot be written.
    """
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
