# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes side by side: a function over many items, in processes of their own, in order.

A simulator or a driver may crash once in thousands of episodes, and takes its process with it. What
was not finished then is begun again in new ones. Where that crashes at once, it is given up.
"""

from __future__ import annotations

import faulthandler
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from multiprocessing import active_children, get_context
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from magma_ros.environment import environment
from magma_ros.types import MagmaError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables that say how many threads numpy's linear algebra uses."""


Pool = Callable[[int], AbstractContextManager[Executor]]
"""Makes so many workers, which have ended when the context is left."""


_log = logging.getLogger(__name__)


class WorkerError(MagmaError):
    """Worker processes end again and again."""


def spread(
    function: Callable[[Item], Outcome],
    items: Sequence[Item],
    *,
    workers: int,
    console: Console | None,
    description: str,
) -> tuple[Outcome, ...]:
    """Apply ``function`` to every item.

    Args:
        function: Picklable.
        items: What it is applied to.
        workers: Processes.
        console: Where to draw a progress bar, or None for none.
        description: What the bar is about.

    Returns:
        The outcomes in the order of the items.

    Raises:
        WorkerError: A worker died twice over the same items.
    """
    return tuple(
        outcomes(function, items, workers=workers, console=console, description=description)
    )


def outcomes(
    function: Callable[[Item], Outcome],
    items: Sequence[Item],
    *,
    workers: int,
    console: Console | None,
    description: str,
) -> Iterator[Outcome]:
    """The same as :func:`spread`, one by one, as soon as each is there."""
    yield from track(
        _outcomes(function, items, min(workers, len(items))),
        description=description,
        total=len(items),
        console=console,
        disable=console is None,
    )


def _outcomes(
    function: Callable[[Item], Outcome], items: Sequence[Item], workers: int
) -> Iterator[Outcome]:
    done, crashed_at = 0, -1
    while done < len(items):
        try:
            for outcome in _together(function, items[done:], workers):
                done += 1
                yield outcome
        except BrokenProcessPool:
            if crashed_at == done:
                raise WorkerError(
                    "a worker process ended unexpectedly; check the memory left, or use fewer "
                    "workers"
                ) from None
            crashed_at = done
            _log.warning("a worker process crashed after %d items; going on with new ones", done)


def _together(
    function: Callable[[Item], Outcome], items: Sequence[Item], workers: int
) -> Iterator[Outcome]:
    with processes(workers) as pool:
        # Several threads of several processes would wait for each other's cores.
        with environment(**dict.fromkeys(THREADS, "1")):
            found = pool.map(function, items)
        yield from found


@contextmanager
def spread_over(pool: Pool) -> Iterator[None]:
    """Let another pool than processes of this computer do the work while the block lasts."""
    before = _POOL.set(pool)
    try:
        yield
    finally:
        _POOL.reset(before)


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Worker processes that have ended when the block is left, by whatever exception.

    What they are at is finished; what waits for them is given up.

    Args:
        workers: How many, on this computer.
    """
    with _POOL.get()(workers) as pool:
        yield pool


@contextmanager
def _local(workers: int) -> Iterator[Executor]:
    before = active_children()
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_begin,
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        # An exception amid the pool's start leaves some that it does not know of.
        for child in set(active_children()).difference(before):
            child.terminate()


def _begin() -> None:
    """What a worker does first."""
    # Ctrl-C reaches the workers too: they end there and then, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A crash says where it was.
    faulthandler.enable()


_POOL: ContextVar[Pool] = ContextVar("pool", default=_local)
