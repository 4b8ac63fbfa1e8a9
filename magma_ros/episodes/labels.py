# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person says of an episode, kept in ``metadata.yaml`` beside the recording.

rosbag2 keeps ``custom_data`` there, a mapping of texts, and hands it on. The MCAP file is not
touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magma_ros.episodes.bag import METADATA, EpisodeError, dump
from magma_ros.episodes.events import BAD, GOOD, Outcome
from magma_ros.episodes.recover import find_recording
from magma_ros.files import whole, yaml_mapping

_KEY = "rosbag2_bagfile_information"
_LABEL, _NOTES = "label", "notes"

NOTE_LENGTH = 1000
"""Longest remark [characters]."""


def read_label(recording: Path, heard: Outcome | None = None) -> Outcome:
    """What was said of an episode; what stands beside it is newer than what was recorded in it.

    Args:
        recording: The MCAP file.
        heard: The outcome as far as the recording itself tells it.
    """
    heard = heard or Outcome()
    path = recording.parent / METADATA
    if not path.is_file():
        return heard
    try:
        said = _custom(yaml_mapping(path, error=EpisodeError), path)
    except EpisodeError:
        return heard  # whoever wants to know whether the bag is whole is told elsewhere
    notes = [line for line in str(said.get(_NOTES, "")).splitlines() if line]
    label = said.get(_LABEL, heard.label)
    return Outcome(
        heard.task,
        label if label in (GOOD, BAD) else heard.label,
        tuple(dict.fromkeys([*heard.notes, *notes])),
    )


def write_label(folder: Path, label: str | None = None, notes: Sequence[str] = ()) -> Outcome:
    """Write what a person says of an episode; remarks are added to those that are there.

    Args:
        folder: The folder of the episode, or its MCAP file.
        label: ``good``, ``bad``, '' to take it back, or None to leave it.
        notes: Remarks, a line each.

    Returns:
        What is written there now.

    Raises:
        EpisodeError: The label is another, there is no whole bag, or it cannot be written.
    """
    if label not in (None, "", GOOD, BAD):
        raise EpisodeError(f"an episode is {GOOD} or {BAD}, not {label[:40]!r}")
    recording = find_recording(folder)
    path = recording.parent / METADATA
    if not path.is_file():
        raise EpisodeError(
            f"{path} is missing, so the label has no place; run magma episodes recover {recording}"
        )
    content = yaml_mapping(path, error=EpisodeError)
    said = dict(_custom(content, path))
    if label is not None:
        said[_LABEL] = label
    lines = [line for line in str(said.get(_NOTES, "")).splitlines() if line]
    lines += [" ".join(note.split())[:NOTE_LENGTH] for note in notes]
    if unique := list(dict.fromkeys(filter(None, lines))):
        said[_NOTES] = "\n".join(unique)
    content[_KEY]["custom_data"] = said
    with whole(path) as draft:
        draft.write_text(dump(content), encoding="utf-8")
    return read_label(recording)


def _custom(content: dict[str, Any], path: Path) -> dict[str, str]:
    """The texts that people and other tools have left there."""
    information = content.get(_KEY)
    if not isinstance(information, dict):
        raise EpisodeError(f"{path} is no metadata of a bag: it has no {_KEY}")
    found = information.get("custom_data") or {}
    if not isinstance(found, dict):
        raise EpisodeError(f"{path}: custom_data is no mapping of texts")
    return {str(key): str(value) for key, value in found.items()}
