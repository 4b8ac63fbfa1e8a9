# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What runs first in a process that a launch has started, so that it ends when the launch does.

The launch holds one end of a pipe and its processes the other. However the launch ends, also by
SIGKILL, the system closes its end; that is what the processes notice.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib import import_module

from magma_ros import embedded
from magma_ros.embedded import early

LIFELINE = "MAGMA_LAUNCH_LIFELINE"
"""Environment variable with the number of the file descriptor on which the launch's end shows."""

GRACE = 0.8
"""Time to end in an orderly way after the launch has gone [s]; then the process is killed."""


def main(entry_point: str) -> None:
    """Run ``module:function``, which is an executable of a package, as this process.

    Args:
        entry_point: What to run; the process exits with what the function returns.
    """
    early.end_quietly()
    descriptor = os.environ.pop(LIFELINE, "")
    if descriptor.isdecimal():
        watch = threading.Thread(target=_end_with, args=(int(descriptor),), name="lifeline")
        watch.daemon = True
        watch.start()
    embedded.install()
    module, _, function = entry_point.partition(":")
    run = getattr(import_module(module), function)
    early.be_as_started()
    sys.exit(run())


def _end_with(lifeline: int) -> None:
    """End this process when nobody holds the other end of the pipe any more."""
    os.read(lifeline, 1)  # nothing is ever written: it returns when the pipe is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(os.getpgid(0), signal.SIGKILL)  # the launch made this process a group of its own
