# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What watches a console, so that it can be measured what that costs others.

Watchers stand for the computers of operators. On the cores of the robot they get only what nobody
else wants.
"""

from __future__ import annotations

import time
from typing import Protocol

from magma_ros.types import MagmaError

PATIENCE = 60.0
"""Longest wait for a page, or for its pictures [s]."""

LIVE = 5
"""Pictures of each camera after which a watcher counts as watching."""


class WatcherError(MagmaError):
    """A watcher cannot be started, or does not get to see what it is to watch."""


class Watchers(Protocol):
    """Any number of programs that look at a console."""

    def open(self, address: str) -> None:
        """Look at the console at an address."""
        ...

    def pictures(self) -> tuple[int, ...]:
        """By watcher: pictures so far of the camera of which it has seen fewest."""
        ...


def watch(watchers: Watchers, address: str) -> None:
    """Look at the console at an address; returns when all have seen moving pictures.

    Raises:
        WatcherError: One of them sees none in time.
    """
    watchers.open(address)
    end = time.monotonic() + PATIENCE
    while min(watchers.pictures(), default=LIVE) < LIVE:
        if time.monotonic() > end:
            seen = ", ".join(map(str, watchers.pictures()))
            raise WatcherError(f"not everybody who watches {address} sees pictures, but {seen}")
        time.sleep(0.2)
