# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of the executables: told to end during the long imports, a node ends quietly."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from magma_ros.embedded import early


def start(executable: str) -> int:
    """Import a node's module and run it; returns the exit status of the process."""
    early.end_quietly()
    return int(import_module(f"magma_ros.nodes.{executable}").main())


policy_node = partial(start, "policy_node")
guard_node = partial(start, "guard_node")
sim_node = partial(start, "sim_node")
recorder_node = partial(start, "recorder_node")
report_node = partial(start, "report_node")
gripper_adapter_node = partial(start, "gripper_adapter_node")
console_node = partial(start, "console_node")
perception_node = partial(start, "perception_node")
latency_probe_node = partial(start, "latency_probe_node")
