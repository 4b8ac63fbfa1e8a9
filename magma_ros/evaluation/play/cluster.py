# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes side by side on several computers, through a Ray cluster.

Within :func:`on_ray` everything that :mod:`magma_ros.evaluation.play.workers` spreads runs on the
cluster. Results come back in order, so they are the same to the last byte as those of processes
here. A task whose computer is lost runs again elsewhere.

All computers need the same release of this package, and files under the same names: bundles, and
folders that demonstrations are written to. Ray sends Python objects as pickles, so whoever reaches
the cluster can run programs on it: keep it to a network of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from magma_ros.evaluation.play.workers import WorkerError, spread_over
from magma_ros.types import MagmaError

RETRIES = 3
"""How often a task is tried again whose worker or computer was lost."""


class RayPool(Executor):
    """Runs calls as tasks of the Ray cluster that this process is connected to."""

    def __init__(self) -> None:
        import ray

        self._run = ray.remote(max_retries=RETRIES)(_call)
        self._cancel = ray.cancel
        self._pending: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a picklable call on any computer of the cluster."""
        reference = self._run.remote(fn, args, kwargs)
        told: Future[Any] = Future()
        told.set_running_or_notify_cancel()
        self._pending[told] = reference
        reference.future().add_done_callback(lambda done: self._settle(told, done))
        return told

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Give up what has not begun, if asked; ``wait`` is for what nobody has asked for."""
        pending = list(self._pending.items())
        for told, reference in pending:
            if cancel_futures:
                self._cancel(reference)
            if wait:
                told.exception()

    def _settle(self, told: Future[Any], done: Future[Any]) -> None:
        self._pending.pop(told, None)
        error = done.exception()
        if error is None:
            told.set_result(done.result())
        else:
            told.set_exception(_meant(error))


@contextmanager
def on_ray(address: str) -> Iterator[None]:
    """Spread over a cluster while the context lasts; an empty address changes nothing.

    Args:
        address: Of the head, ``host:port``; ``auto`` for the cluster that this computer belongs to;
            ``local`` for one of this computer alone, which ends with the context.

    Raises:
        WorkerError: No cluster answers there.
    """
    if not address:
        yield
        return
    import ray

    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            **({"include_dashboard": False} if address == "local" else {}),
        )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        said = (str(error).strip().splitlines() or ["no answer"])[0]
        raise WorkerError(
            f"no Ray cluster at {address} ({said}); start one with `ray start --head`, or give "
            "--ray local"
        ) from None
    try:
        with spread_over(_pool):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    del workers  # as many as the cluster has processors
    pool = RayPool()
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return fn(*args, **kwargs)


def _meant(error: BaseException) -> BaseException:
    """What a task raised, without Ray's wrapping."""
    from ray import exceptions

    cause = getattr(error, "cause", None)
    if isinstance(cause, MagmaError):
        return cause
    if isinstance(error, exceptions.WorkerCrashedError | exceptions.OutOfMemoryError):
        return WorkerError(
            f"a worker of the Ray cluster ended {RETRIES + 1} times; check the memory left there"
        )
    if isinstance(error, exceptions.RayError):
        said = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        return WorkerError(
            f"the Ray cluster cannot do this ({said}); all its computers need this release, and "
            "the files under the same names"
        )
    return error
