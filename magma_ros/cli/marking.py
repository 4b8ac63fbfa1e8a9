# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma mark`` and ``magma trace``: pictures and videos with marks, as for Magma's training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from magma_ros.cli.common import JsonFile, console
from magma_ros.files import make_folder, write_json
from magma_ros.types import MagmaError

Seed = Annotated[int, Parameter(validator=validators.Number(gte=0))]
Grid = Annotated[Literal["256", "200"], Parameter(help="Cells across the picture.")]


def mark(
    image: Path,
    *,
    boxes: Path | None = None,
    out: Path | None = None,
    seed: Seed = 0,
    grid: Grid = "256",
    json_file: JsonFile = None,
) -> int:
    """Put numbers on what is in a picture (Set-of-Mark), in random order.

    Args:
        image: The picture, PNG or JPEG.
        boxes: What to mark: JSON, a list of [left, top, right, bottom] in pixels. Without, regions
            of one colour are marked.
        out: The picture to write; IMAGE-marked.png without.
        seed: Of the order.
        grid: Cells across the picture in which places are told.
        json_file: Also write places, question and answer there.
    """
    import numpy as np

    from magma_ros.perception import mark_text
    from magma_ros.perception.marks import Mark
    from magma_ros.perception.overlay import draw_marks
    from magma_ros.perception.pictures import read_picture, write_png
    from magma_ros.perception.regions import find_regions, read_boxes
    from magma_ros.types import TRACE_GRID

    picture = read_picture(image)
    height, width = picture.shape[:2]
    found = find_regions(picture) if boxes is None else read_boxes(boxes, (width, height))
    if not found:
        raise MagmaError(f"nothing in {image} stands out by its colour; give --boxes FILE")
    numbers = (np.random.default_rng(seed).permutation(len(found)) + 1).tolist()
    marks = [Mark(n, p.point, p.outline) for n, p in zip(numbers, found, strict=True)]
    target = out or image.with_name(f"{image.stem}-marked.png")
    write_png(draw_marks(picture, sorted(marks, key=lambda m: m.number)), target)
    if json_file is not None:
        cells, whole = int(grid), (TRACE_GRID, TRACE_GRID)
        places = {m.number: mark_text.quantise(np.array([m.point]), whole, cells)[0] for m in marks}
        said = mark_text.locate_question(cells), mark_text.render_places(places, cells)
        turns = [{"from": who, "value": v} for who, v in zip(("human", "gpt"), said, strict=True)]
        told = {"grid": cells, "width": width, "height": height, "conversations": turns}
        write_json({"format": "magma-marks/1", "marks": places, **told}, json_file)
    console.print(f"{len(marks)} marks in {target}")
    return 0


def trace(
    video: Path,
    *,
    task: str,
    out: Path | None = None,
    steps: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))] = 16,
    points: Annotated[int, Parameter(validator=validators.Number(gte=2, lte=64))] = 15,
    moving: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 2.0,
    actor: Literal["robot", "person"] = "robot",
    egocentric: Annotated[bool, Parameter(negative="")] = False,
    seed: Seed = 0,
    grid: Grid = "256",
) -> int:
    """Follow what moves in a video, and make of it a question about marks and its answer.

    Writes the frame at which it begins, with marks (marks.png) and with the traces of those that
    move besides (trace.png), and the sample as text (sample.json).

    Args:
        video: The video.
        task: What is being done in it, as it is asked.
        out: Folder to write to; VIDEO-trace without.
        steps: Steps of the video from its beginning to its end.
        points: Points that are followed, in width and in height.
        moving: Mean way in a step beyond which a point moves [px].
        actor: Who does it.
        egocentric: Take the camera as moving, whatever the points do.
        seed: Of the marks' order and number, and of the start.
        grid: Cells across the picture in which places are told.
    """
    import numpy as np

    from magma_ros.perception.overlay import draw_numbers, draw_paths
    from magma_ros.perception.pictures import frame_of, read_video, write_png
    from magma_ros.perception.trace_sample import SampleConfig, make_sample
    from magma_ros.perception.tracks import FlowConfig, follow

    tracks = follow(read_video(video), FlowConfig(grid=points))
    frames = np.unique(np.linspace(0, len(tracks.points) - 1, steps + 1).round().astype(int))
    height, width = frame_of(video, 0).shape[:2]
    sample = make_sample(
        tracks.at(frames),
        (width, height),
        task,
        seed=seed,
        actor=actor,
        egocentric=egocentric,
        config=SampleConfig(moving=moving, grid=int(grid)),
    )
    folder = out or video.with_name(f"{video.stem}-trace")
    make_folder(folder)
    start = int(frames[sample.start])
    picture, ordered = frame_of(video, start), dict(sorted(sample.points.items()))
    write_png(draw_numbers(picture, ordered), folder / "marks.png")
    drawn = draw_paths(picture, sample.paths())
    write_png(draw_numbers(drawn, ordered), folder / "trace.png")
    told = {**sample.to_json(), "start_frame": start, "frames": frames[sample.start :].tolist()}
    write_json({**told, "video": video.name}, folder / "sample.json")
    moved = "the camera moves" if sample.camera_moved else "the camera stands still"
    console.print(
        f"{len(sample.points)} marks, {len(sample.traces)} of them move; {moved}: {folder}"
    )
    return 0
