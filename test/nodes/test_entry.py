# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An executable whose extra is missing says which, and is not started in vain again."""

import os
import subprocess
import sys

WITHOUT = (
    "import sys; sys.modules['uvicorn'] = None; from magma_ros import embedded; "
    "embedded.install(); from magma_ros.nodes import entry; sys.exit(entry.console_node())"
)


def test_missing_extra_of_a_node_is_named_with_its_command():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert done.returncode == os.EX_CONFIG
    (sentence,) = done.stderr.splitlines()
    assert sentence == (
        "console_node needs uvicorn, which is missing; run pip install '.[console]'"
    )
