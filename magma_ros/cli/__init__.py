# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ``magma`` command, one file for each group of commands.

Exit status: 0 when what was asked for succeeded, 1 when it ran and did not, 2 when the request
itself was wrong (one sentence on standard error says how), 130 when interrupted, 143 when
terminated.

Rooms are imported inside the commands, so that every command starts fast and needs only its extra.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from cyclopts import App

from magma_ros import __version__
from magma_ros.cli.bench import bench_app
from magma_ros.cli.bundle import bundle_app
from magma_ros.cli.calibration import calibrate
from magma_ros.cli.common import complaints
from magma_ros.cli.data import data_app
from magma_ros.cli.evaluation import eval_app
from magma_ros.cli.machine import doctor
from magma_ros.cli.run import demo, launch
from magma_ros.cli.training import export, train
from magma_ros.types import MagmaError

app = App(
    name="magma",
    help="Vision-language-action policies that are never late.",
    version=__version__,
)
for command in (
    demo,
    launch,
    eval_app,
    data_app,
    train,
    export,
    calibrate,
    bench_app,
    bundle_app,
    doctor,
):
    app.command(command)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``magma``; returns the exit status."""
    from magma_ros.embedded.launch import LaunchError

    try:
        with _terminable():
            return int(app(args, exit_on_error=True, result_action="return_value") or 0)
    except (MagmaError, LaunchError) as error:
        complaints.print(f"error: {error}", soft_wrap=True, highlight=False, markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does: no process and no half-written file stays."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
