# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``rclpy.guard_condition``: other threads ask the executor to call back."""

from __future__ import annotations

from collections.abc import Callable

from magma_ros.embedded.wire.entities import GuardCondition as Condition
from magma_ros.embedded.wire.entities import Handled

from .callback_groups import CallbackGroup
from .context import Context


class GuardCondition:
    """Its callback runs in the executor's thread after any thread has triggered it."""

    def __init__(
        self,
        callback: Callable[[], object] | None,
        callback_group: CallbackGroup | None,
        context: Context,
    ) -> None:
        """Start untriggered."""
        self.callback = callback
        self.callback_group = callback_group
        # Not one of the context's guards: a shutdown is no reason to call back.
        self._condition = Condition(context.participant)

    def trigger(self) -> None:
        """Ask for the callback; asking again before it runs changes nothing."""
        self._condition.trigger()

    def watched(self) -> dict[Handled, Callable[[], None]]:
        """What to watch, and what to do when it triggers."""
        return {self._condition: self._call}

    def destroy(self) -> None:
        """Call back no more."""
        self._condition.close()

    def _call(self) -> None:
        if self._condition.take() and self.callback is not None:
            self.callback()
