# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the mark that an instruction names to the place of what bears it at that time."""

from __future__ import annotations

from collections.abc import Iterable

from magma_ros.perception.marks import Mark
from magma_ros.policy.marks import named_marks


class MarkResolver:
    """Looks, after each instruction, for the one mark that it names.

    Numbers mean what they meant when the instruction was given. One that was given before there
    were any marks, as a node hears that has just been started, is looked up only while the policy
    does not drive: a person sees what is meant before handing back.

    Args:
        patience: How long a mark may stay out of sight until it counts as not being there [s].
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._sought: int | None = None
        self._early = False
        self._since = 0.0
        self._looked = False

    def tell(self, instruction: str, now: float) -> None:
        """Take in an instruction at ``now`` [s], also one that was given before."""
        numbers = named_marks(instruction)
        self._sought = numbers[0] if len(numbers) == 1 else None
        self._since = now
        self._early = not self._looked

    def find(
        self, marks: Iterable[Mark], now: float, *, driving: bool
    ) -> tuple[int, Mark | None] | None:
        """Look for the mark among those of the newest picture.

        Args:
            marks: All that are seen.
            now: The time [s].
            driving: Whether the policy drives the robot.

        Returns:
            The number with its mark, or with None if there is no such mark; None if nothing is
            sought, or not long enough. Each instruction is answered once.
        """
        if not self._looked:
            self._looked, self._since = True, now
        if (number := self._sought) is None:
            return None
        found = next((mark for mark in marks if mark.number == number), None)
        if self._early and driving:
            found = None
        elif found is None and now - self._since <= self._patience:
            return None
        self._sought = None
        return number, found
