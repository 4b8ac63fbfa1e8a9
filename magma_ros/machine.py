# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What computer this is, to stand beside every figure measured on it."""

from __future__ import annotations

import platform
import re
import socket
from pathlib import Path


def processor_name() -> str:
    """What the processor calls itself, or its architecture where it does not say."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        info = ""
    named = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return named[1] if named else platform.machine()


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
