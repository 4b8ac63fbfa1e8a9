# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma episodes``: look after recordings."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from magma_ros.cli.common import JsonFile, complaints, console
from magma_ros.doctor import require
from magma_ros.files import write_json

episodes_app = App(name="episodes", help="List recordings, and recover those that were cut off.")


@episodes_app.command(name="list")
def list_episodes(directory: Path = Path("runs"), *, json_file: JsonFile = None) -> int:
    """List the recordings below a folder; exit status 1 if one of them is no whole bag.

    Args:
        directory: Folder that the recorder writes into.
        json_file: Also write the result there.
    """
    require("record")
    from magma_ros.episodes.catalogue import episodes
    from magma_ros.tables import episodes_table

    found = episodes(directory)
    console.print(episodes_table(found, str(directory)))
    if json_file is not None:
        write_json([episode.to_json() for episode in found], json_file)
    broken = [episode for episode in found if episode.problem]
    for episode in broken:
        console.print(f"magma episodes recover {episode.path}", soft_wrap=True, highlight=False)
    return 1 if broken else 0


@episodes_app.command
def recover(file: Path, *, out: Path | None = None, json_file: JsonFile = None) -> int:
    """Make a whole, indexed bag of a recording that was cut off; the original stays as it is.

    Args:
        file: MCAP file, or folder of one episode.
        out: Folder of the new bag; <episode>_recovered beside the original by default.
        json_file: Also write what was saved there.
    """
    require("record")
    from rich.progress import Progress

    from magma_ros.episodes.recover import default_folder, find_recording
    from magma_ros.episodes.recover import recover as run_recovery

    recording = find_recording(file)
    folder = out or default_folder(recording)
    with Progress(console=complaints, transient=True) as progress:
        task = progress.add_task(f"reading {recording.name}", total=recording.stat().st_size)
        result = run_recovery(recording, folder, lambda read: progress.advance(task, read))
    lost = f"{result.lost} lost" if result.lost else "none lost of what reached the disk"
    state = "the original was whole" if result.whole else "the original ends without an index"
    if result.unread:
        state += f" and with {result.unread} bytes of an unfinished message"
    console.print(f"{result.messages} messages saved into {folder}, {lost}; {state}")
    if json_file is not None:
        write_json(result.to_json(), json_file)
    return 0
