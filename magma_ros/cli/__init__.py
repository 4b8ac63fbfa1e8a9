# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ``magma`` command, one file for each group of commands.

Exit status: 0 when what was asked for succeeded, 1 when it ran and did not, 2 when the request
itself was wrong (one sentence on standard error says how), 130 when interrupted, 143 when
terminated, 129 when its terminal was closed, 141 when nobody read its output to the end.

Rooms are imported inside the commands, so that every command starts fast and needs only its extra.
"""

from __future__ import annotations

import os
import signal
import sys
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
from magma_ros.cli.distillation import distill_exits
from magma_ros.cli.episodes import episodes_app
from magma_ros.cli.evaluation import eval_app
from magma_ros.cli.importing import import_
from magma_ros.cli.learning_bench import corrections, marks
from magma_ros.cli.machine import doctor
from magma_ros.cli.magma import plan
from magma_ros.cli.magma8b_bench import magma8b
from magma_ros.cli.marking import mark, trace
from magma_ros.cli.merging import merge
from magma_ros.cli.operator import console
from magma_ros.cli.remote_bench import network
from magma_ros.cli.run import demo, launch
from magma_ros.cli.serve_bench import serve as serve_bench
from magma_ros.cli.serving import serve
from magma_ros.cli.stages_bench import stages
from magma_ros.cli.training import export, train
from magma_ros.cli.wire_bench import wire
from magma_ros.types import MagmaError

bench_app.command(marks)
bench_app.command(corrections)
bench_app.command(stages)
bench_app.command(serve_bench, name="serve")
bench_app.command(magma8b)
bench_app.command(wire)
bench_app.command(network)

app = App(
    name="magma",
    help="Vision-language-action policies that are never late.",
    version=__version__,
)
for command in (
    demo,
    launch,
    console,
    serve,
    eval_app,
    data_app,
    train,
    export,
    merge,
    distill_exits,
    calibrate,
    bench_app,
    plan,
    bundle_app,
    episodes_app,
    mark,
    trace,
    doctor,
):
    app.command(command)
app.command(import_, name="import")


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
    except BrokenPipeError:
        # Nobody reads any more; Python would complain when it flushes what is left at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does.

    No process and no half-written file stays. A SIGHUP that is ignored, as under ``nohup``, stays
    ignored.
    """
    before = {
        number: signal.signal(number, _terminate)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
