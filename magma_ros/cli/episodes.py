# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma episodes``: look after recordings, and hand them on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.progress import Progress

from magma_ros.cli.common import JsonFile, complaints, console
from magma_ros.doctor import require
from magma_ros.files import write_json

if TYPE_CHECKING:
    from magma_ros.episodes.episode import Episode
    from magma_ros.episodes.lerobot.export import Exported

episodes_app = App(
    name="episodes",
    help="List, show, label and recover recordings, and exchange them with LeRobot.",
)

OutFolder = Annotated[Path, Parameter(help="Folder of the data set to make.")]
SkipBroken = Annotated[
    bool, Parameter(help="Leave out episodes that cannot be used, and name them.", negative="")
]


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
def show(episode: Path, *, namespace: str | None = None, json_file: JsonFile = None) -> int:
    """Show what was recorded of one episode, how well, and what happened when.

    Args:
        episode: Folder or MCAP file of the episode.
        namespace: Namespace of the robot, where several were recorded.
        json_file: Also write the result there.
    """
    require("record")
    from magma_ros.episodes.overview import report
    from magma_ros.tables import episode_tables, printable, shares

    found = report(episode, namespace)
    for table in episode_tables(found):
        console.print(table)
    happened = found.overview
    stretches = ", ".join(f"{begin:.1f} to {end:.1f} s" for begin, end in happened.interventions)
    outcome = happened.outcome
    for name, text in {
        "instruction": happened.instruction or "none",
        "policy/human/guard": shares(happened.shares) or "not known",
        "take-overs": stretches or "none",
        "outcome": outcome.task or "not judged",
        "label": outcome.label or "none",
        "notes": "; ".join(outcome.notes) or "none",
    }.items():
        console.print(f"{name}: {printable(text)}", soft_wrap=True, markup=False, highlight=False)
    if json_file is not None:
        write_json(found.to_json(), json_file)
    return 0


@episodes_app.command
def label(
    episode: Path, verdict: Literal["good", "bad", "none"] | None = None, *, note: str = ""
) -> int:
    """Say of an episode what it is worth; the recording itself is not touched.

    Args:
        episode: Folder or MCAP file of the episode.
        verdict: What it is; none takes it back.
        note: A remark, added to those that are there.
    """
    require("record")
    from magma_ros.episodes.bag import EpisodeError
    from magma_ros.episodes.labels import write_label
    from magma_ros.tables import printable

    if verdict is None and not note.strip():
        raise EpisodeError("say good, bad or none, or give a --note")
    said = write_label(episode, "" if verdict == "none" else verdict, [note])
    text = "; ".join([said.label or "no label", *said.notes])
    console.print(f"{episode}: {printable(text)}", soft_wrap=True, markup=False, highlight=False)
    return 0


@episodes_app.command
def recover(file: Path, *, out: Path | None = None, json_file: JsonFile = None) -> int:
    """Make a whole, indexed bag of a recording that was cut off; the original stays as it is.

    Args:
        file: MCAP file, or folder of one episode.
        out: Folder of the new bag; <episode>_recovered beside the original by default.
        json_file: Also write what was saved there.
    """
    require("record")
    from magma_ros.episodes.recover import default_folder, find_recording
    from magma_ros.episodes.recover import recover as run_recovery

    recording = find_recording(file)
    folder = out or default_folder(recording)
    with _progress() as progress:
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


@episodes_app.command(name="export")
def export_episodes(
    directory: Path,
    *,
    out: OutFolder,
    format_: Annotated[Literal["lerobot"], Parameter(name="--format")] = "lerobot",
    rate: float = 10.0,
    codec: Literal["av1", "h264", "h264-444"] = "av1",
    task: str = "",
    trim: Annotated[bool, Parameter(negative="")] = False,
    only_good: Annotated[bool, Parameter(negative="")] = False,
    skip_broken: SkipBroken = False,
    json_file: JsonFile = None,
) -> int:
    """Write recordings as a LeRobotDataset v3.0, everything on one clock.

    Args:
        directory: Folder of recordings, or one of them.
        out: Folder of the data set.
        format_: Layout to write.
        rate: Rows a second [Hz], a whole number.
        codec: Of the videos; h264-444 keeps colours at full resolution.
        task: Instruction of episodes that have none.
        trim: Leave out the rows before somebody drove first, and after somebody drove last.
        only_good: Leave out what was not labelled good and did not succeed.
        skip_broken: Leave out what cannot be used.
        json_file: Also write the result there.
    """
    del format_  # the only one so far
    require("lerobot")
    from magma_ros.episodes.bag import EpisodeError
    from magma_ros.episodes.events import GOOD
    from magma_ros.episodes.lerobot.export import export
    from magma_ros.episodes.sources import read_all, recordings

    if not 0.1 <= rate <= 1000.0:
        raise EpisodeError(f"a rate of {rate:g} Hz is none to export at; give 1 to 1000")
    with _progress() as progress:
        bar = progress.add_task("exporting", total=len(recordings(directory)))
        found = read_all(directory, period=1.0 / rate, skip_broken=skip_broken, tell=_tell)
        chosen = (e for e in found if not only_good or e.outcome.verdict == GOOD)
        result = export(
            chosen,
            out,
            codec=codec,
            task=task,
            trim=trim,
            skip_broken=skip_broken,
            advance=lambda _: progress.advance(bar),
        )
    return _told(result, json_file)


@episodes_app.command(name="import")
def import_episodes(
    folder: Path,
    *,
    out: Path | None = None,
    rate: float | None = None,
    state: str = "",
    action: str = "",
    task: str = "",
    codec: Literal["av1", "h264", "h264-444"] = "av1",
    skip_broken: SkipBroken = False,
    json_file: JsonFile = None,
) -> int:
    """Look a LeRobot data set (2.1 or 3.0) over, and write what is whole of it as v3.0.

    Args:
        folder: The data set.
        out: Folder of the data set to make; without it, the data set is only looked over.
        rate: Rows a second [Hz], where the data set names a wrong one.
        state: Its feature that is the state, where it has an uncommon name.
        action: Its feature that is the action.
        task: Instruction, where the data set has no list of tasks.
        codec: Of the videos; h264-444 keeps colours at full resolution.
        skip_broken: Leave out what cannot be used.
        json_file: Also write the result there.
    """
    require("lerobot")
    from magma_ros.episodes.lerobot.export import export
    from magma_ros.episodes.lerobot.layout import ACTION, STATE
    from magma_ros.episodes.lerobot.read import broken_sentence, open_dataset

    with _progress() as progress:
        bar = progress.add_task("looking over")
        dataset = open_dataset(
            folder,
            skip_broken=skip_broken,
            fps=rate,
            task=task,
            keys={name: key for name, key in ((STATE, state), (ACTION, action)) if key},
            advance=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        for notice in dataset.notices:
            _tell(notice)
        if dataset.broken:
            _tell(f"left out: {broken_sentence(dataset.broken)}")
        if out is None:
            return _looked_over(folder, len(dataset), dataset.fps, dataset.cameras)
        progress.update(bar, description="importing", completed=0, total=len(dataset))

        def advance(_: Episode) -> None:
            progress.advance(bar)

        robot = dataset.info.robot_type or "unknown"
        result = export(dataset, out, codec=codec, robot_type=robot, advance=advance)
    return _told(result, json_file)


def _progress() -> Progress:
    """A bar that leaves nothing behind, and nothing at all in a file or a pipe."""
    return Progress(console=complaints, transient=True, disable=not complaints.is_terminal)


def _looked_over(folder: Path, whole: int, fps: float, cameras: tuple[str, ...]) -> int:
    seen = ", ".join(cameras) or "none"
    console.print(f"{folder}: {whole} episodes are whole, {fps:g} Hz, cameras {seen}")
    return 0


def _told(result: Exported, json_file: Path | None) -> int:
    for sentence in result.left_out:
        _tell(f"left out: {sentence}")
    console.print(
        f"{result.episodes} episodes, {result.frames} frames written into {result.folder}",
        soft_wrap=True,
    )
    if json_file is not None:
        write_json(result.to_json(), json_file)
    return 0


def _tell(sentence: str) -> None:
    from magma_ros.tables import printable

    complaints.print(printable(sentence), soft_wrap=True, markup=False, highlight=False)
