# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles that appear under their name once they are whole, and the code that made them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bundle_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write to; it takes the place of ``out`` at the end, if all went well."""
    scratch = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        _replace(out, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def commit_of_code() -> str:
    """Commit of the code, or ``unknown`` outside a repository."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    here = Path(__file__).parent
    found = subprocess.run(  # noqa: S603
        [git, "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _replace(out: Path, scratch: Path) -> None:
    """Put the finished folder in the place of the old one."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    scratch.rename(out)
    shutil.rmtree(old, ignore_errors=True)
