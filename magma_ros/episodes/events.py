# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in an episode, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

GOOD, BAD = "good", "bad"
"""What a person may say of an episode."""

NOTE = "note:"
"""What a remark on ``episode/label`` begins with."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        time: When [s].
        kind: ``mode``, ``help``, ``instruction``, ``task`` or ``label``.
        text: What, as a phrase.
    """

    time: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an episode.

    Attributes:
        task: State of the task at the end, such as ``SUCCEEDED`` or ``TIMED_OUT``; empty where
            nothing judges it.
        label: :data:`GOOD`, :data:`BAD` or empty: what a person said last.
        notes: Remarks of people.
    """

    task: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``good``, ``bad`` or '': a person's word, else the task's outcome."""
        return self.label or {"SUCCEEDED": GOOD, "TIMED_OUT": BAD}.get(self.task, "")


def labelled(outcome: Outcome, texts: Iterable[str]) -> Outcome:
    """The outcome after some texts of ``episode/label``; what is no label is a remark."""
    label, notes = outcome.label, list(outcome.notes)
    for text in texts:
        if text.strip() in (GOOD, BAD):
            label = text.strip()
        elif note := text.strip().removeprefix(NOTE).strip():
            notes.append(note)
    return Outcome(outcome.task, label, tuple(dict.fromkeys(notes)))
