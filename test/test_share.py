# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared files are found wherever the package lives."""

import subprocess
import sys

import pytest

from magma_ros.share import ShareError, share_directory, share_file


def test_source_tree_is_its_own_share():
    assert share_file("launch", "demo.launch.yaml").is_file()
    assert (share_directory() / "package.xml").is_file()


def test_missing_file_names_what_is_there():
    with pytest.raises(ShareError, match=r"launch/nope.*demo\.launch\.yaml"):
        share_file("launch", "nope")


def test_ament_prefix_is_searched(tmp_path):
    share = tmp_path / "share" / "magma_ros"
    for folder in ("launch", "config"):
        (share / folder).mkdir(parents=True)
    package = tmp_path / "lib" / "magma_ros"
    package.mkdir(parents=True)
    source = share_directory() / "magma_ros"
    for name in ("__init__.py", "share.py", "types.py"):
        (package / name).write_text((source / name).read_text())
    code = "from magma_ros.share import share_directory; print(share_directory())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"AMENT_PREFIX_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path / "lib")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(share)
