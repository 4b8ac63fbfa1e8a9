# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws ``metaworld.png``: eight tasks of Meta-World when magma-metaworld has just done them.

Run it as ``python docs/shoot_metaworld.py``, in the source tree. Each picture is the last one of
the first episode from seed 1000 on in which the deepest exit does the task, as ``magma eval --suite
metaworld-part --bundle magma-metaworld --depth 7`` plays it: the part of the view in which things
happen, with the instruction below. It takes a minute.
"""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw

from magma_ros.evaluation.play.clocks import Pace, WorldClock
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.play.evaluate import pace_of, start_clock, step_of
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.world import Pictured, Scene
from magma_ros.metaworld.drawing import PART
from magma_ros.share import find_bundle

SUITE = "metaworld-part"
TASKS = (
    *("assembly", "basketball", "bin-picking", "box-close"),
    *("door-open", "hammer", "peg-unplug-side", "stick-pull"),
)
COLUMNS = 4
SIDE = 720
"""Width and height of the whole view [px]."""

TILE = 230
"""Width and height of one picture on the sheet [px]."""

CAPTION = 46
"""Height of the three lines below a picture [px]."""

COLOURS = 160
"""Colours of the sheet: as many as keep it small."""


def shoot(clock: WorldClock, pace: Pace, step: float, task: str) -> Image.Image:
    """The picture of one task, with its words below."""
    for seed in itertools.count(1000):
        with Episode(Scene(SUITE, task, "seen", seed), step) as episode:
            clock.play(episode, pace)
            if not episode.result().success:
                continue
            words = episode.observe().instruction
            assert isinstance(episode.world, Pictured)
            view = Image.fromarray(episode.world.picture(SIDE, SIDE))
            return tile(view, task, words)
    raise AssertionError("seeds do not end")


def tile(view: Image.Image, task: str, words: str) -> Image.Image:
    """The part of a view that is shown, with task and instruction below it."""
    whole = Image.new("RGB", (TILE, TILE + CAPTION), "white")
    edges = tuple(round(SIDE * share) for share in PART.view)
    whole.paste(view.crop(edges).resize((TILE, TILE), Image.Resampling.LANCZOS), (0, 0))
    draw = ImageDraw.Draw(whole)
    draw.text((3, TILE + 1), task, fill="black", font_size=14)
    draw.multiline_text((3, TILE + 18), textwrap.fill(words, 40), fill="dimgray", font_size=11)
    return whole


def main() -> None:
    """Draw all tasks."""
    bundle = find_bundle("magma-metaworld")
    spec = EvaluationSpec((SUITE,), TASKS, workers=1).at_depth(7)
    clock, step = start_clock(spec, bundle), step_of(bundle)
    tiles = [shoot(clock, pace_of(spec, SUITE, step), step, task) for task in TASKS]
    width, height = TILE + 6, TILE + CAPTION + 6
    sheet = Image.new("RGB", (COLUMNS * width - 6, len(tiles) // COLUMNS * height), "white")
    for index, drawn in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        sheet.paste(drawn, (column * width, row * height))
    path = Path(__file__).parent / "metaworld.png"
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
