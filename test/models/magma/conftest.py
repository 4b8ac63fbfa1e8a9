# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small checkpoint of Magma's layout; what a test changes it copies first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In five shards, in bf16; not to be changed."""
    from magma_ros.models.magma.synthetic import write_checkpoint

    folder = tmp_path_factory.mktemp("magma-tiny")
    write_checkpoint(folder, shard_bytes=1 << 23)
    return folder


@pytest.fixture
def changed_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of it, linked file by file: replace or remove files, never write into one."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "copy", copy_function=os.link)


@pytest.fixture
def rewrite(changed_checkpoint: Path) -> Callable[..., None]:
    """Changes one shard's tensors in the copy: ``rewrite(name, lambda tensors: ...)``."""
    import json

    from safetensors.torch import load_file, save_file

    def change(name: str, edit: Callable[[dict], None]) -> None:
        index = json.loads((changed_checkpoint / "model.safetensors.index.json").read_text())
        path = changed_checkpoint / index["weight_map"][name]
        tensors = {key: value.clone() for key, value in load_file(path).items()}
        edit(tensors)
        path.unlink()
        save_file(tensors, path)

    return change
