# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a recorder is doing, as a status for people and machines."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus

from magma_ros.episodes.events import Outcome, labelled
from magma_ros.episodes.labels import write_label
from magma_ros.episodes.log import LogStatus
from magma_ros.nodes.convert import status_message
from magma_ros.types import MagmaError


def recorder_status(
    status: LogStatus | None, *, recording: bool, label: str, problem: str
) -> DiagnosticStatus:
    """The status of a recorder.

    Args:
        status: Of the present episode, or of the last one, or None before the first.
        recording: Whether an episode is being written.
        label: What a person said of it.
        problem: Why no episode could be begun or labelled, or empty.
    """
    level, text = DiagnosticStatus.OK, "recording" if recording else "not recording"
    failure = status.recording.failure if status is not None else ""
    if failure or problem:
        level, text = DiagnosticStatus.ERROR, failure or problem
    elif status is not None and status.lost:
        level, text = DiagnosticStatus.WARN, losses(status)
    values: dict[str, object] = {"recording": recording, "label": label}
    if status is not None:
        values |= {
            "path": status.recording.path,
            "messages": status.recording.messages,
            "dropped": status.recording.dropped,
            "missing": sum(status.missing.values()),
            "before_clock": status.early,
            "waiting_bytes": status.recording.waiting,
            "silent": ", ".join(status.silent),
        }
    return status_message(level, "recorder", text, values)


def losses(status: LogStatus) -> str:
    """What is not in the recording, and what helps."""
    sentences = []
    if status.missing:
        counts = ", ".join(f"{count} of {topic}" for topic, count in status.missing.items())
        sentences.append(
            f"going by the stamps, messages are missing: {counts}; a busy sender left them out, or "
            "they were lost on the way, where transport: compressed needs a tenth"
        )
    if status.recording.dropped:
        sentences.append(
            f"messages lost: {status.recording.dropped} dropped because disk or processor were too "
            "slow"
        )
    return "; ".join(sentences)


class Labels:
    """What a person says of an episode while it is recorded, or of the last one afterwards."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    @property
    def outcome(self) -> Outcome:
        """What was said so far."""
        return labelled(Outcome(), self._texts)

    def hear(self, text: str) -> None:
        """Take in a text of ``episode/label``."""
        self._texts.append(text)

    def clear(self) -> None:
        """Begin with another episode."""
        self._texts = []

    def write(self, status: LogStatus, texts: Sequence[str] | None = None) -> str:
        """Write beside a closed episode what was said of it; why that failed, or empty.

        Args:
            status: Of the episode.
            texts: What to write; all that was said without it.
        """
        outcome = self.outcome if texts is None else labelled(Outcome(), texts)
        if not outcome.label and not outcome.notes:
            return ""
        try:
            write_label(status.recording.path, outcome.label or None, outcome.notes)
        except MagmaError as error:
            return f"the label could not be written: {error}"
        return ""
