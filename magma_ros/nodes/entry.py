# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of the executables: told to end during the long imports, a node ends quietly."""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module

from magma_ros.embedded import early


def start(executable: str, extra: str = "") -> int:
    """Import a node's module and run it; returns the exit status of the process.

    Args:
        executable: Name of the module.
        extra: The extra that brings what it needs besides the core's packages.
    """
    early.end_quietly()
    # No node multiplies matrices that are worth a second thread, and waiting threads of BLAS spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        module = import_module(f"magma_ros.nodes.{executable}")
    except ModuleNotFoundError as error:
        if not extra or str(error.name).startswith("magma_ros"):
            raise
        remedy = f"run pip install '.[{extra}]'"
        print(f"{executable} needs {error.name}, which is missing; {remedy}", file=sys.stderr)
        return os.EX_CONFIG
    return int(module.main())


policy_node = partial(start, "policy_node")
guard_node = partial(start, "guard_node")
sim_node = partial(start, "sim_node")
recorder_node = partial(start, "recorder_node", "record")
report_node = partial(start, "report_node")
gripper_adapter_node = partial(start, "gripper_adapter_node")
console_node = partial(start, "console_node", "console")
perception_node = partial(start, "perception_node")
latency_probe_node = partial(start, "latency_probe_node")
