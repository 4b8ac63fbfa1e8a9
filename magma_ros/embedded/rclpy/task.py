# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.task``: results that arrive later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any


class Future:
    """A result that arrives later; it may be set and read from any thread."""

    def __init__(self) -> None:
        """Start without a result."""
        self._lock = threading.Lock()
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Future], object]] = []

    def done(self) -> bool:
        """Whether there is a result or an exception, or the future was cancelled."""
        return self._done or self._cancelled

    def cancelled(self) -> bool:
        """Whether the future was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """Give up waiting; a result that arrives later is ignored."""
        self._finish(cancelled=True)

    def result(self) -> Any:
        """The result, or ``None`` if there is none yet; raises the exception, if one was set."""
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """The exception, if one was set."""
        return self._exception

    def set_result(self, result: Any) -> None:
        """Set the result and call back."""
        self._finish(result=result)

    def set_exception(self, exception: BaseException) -> None:
        """Set an exception in place of a result and call back."""
        self._finish(exception=exception)

    def add_done_callback(self, callback: Callable[[Future], object]) -> None:
        """Call back when done, in the thread that sets the result; at once if it is done."""
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        callback(self)

    def __await__(self) -> Generator[None, None, Any]:
        while not self.done():
            yield
        return self.result()

    def _finish(
        self,
        *,
        result: Any = None,
        exception: BaseException | None = None,
        cancelled: bool = False,
    ) -> None:
        with self._lock:
            if self.done():
                return
            self._result, self._exception = result, exception
            self._done, self._cancelled = not cancelled, cancelled
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class Task(Future):
    """A call that an executor makes for somebody; its outcome is the future's."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Remember what to call."""
        super().__init__()
        self._call = (function, args, kwargs)

    def __call__(self) -> None:
        """Make the call."""
        function, args, kwargs = self._call
        try:
            self.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
            self.set_exception(error)
