# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws ``cells.png``: what the policies' fixed cameras see of one scene, at home and in the cells.

Run it as ``python docs/shoot_cells.py``, in the source tree. The policies see 96 x 96 px of it.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from magma_ros.sim.simulation import Simulation

SHOWN = (
    ("tabletop", "place"),
    ("cell-grasping", "cell-place"),
    ("tabletop", "open-drawer"),
    ("cell-pushing", "cell-open-drawer"),
    ("moving", "conveyor-pick"),
    ("cell-belt", "cell-conveyor-pick"),
)
"""Suites and tasks: the same scene at home, then in the cell."""

SEED = 3
SIDE = 240
"""Width and height of one picture [px]."""

CAPTION = 20
GAP = 4
COLOURS = 128


def shoot(suite: str, task: str) -> Image.Image:
    """The first picture of a scene, with suite and task below it."""
    simulation = Simulation(task, suite=suite, seed=SEED)
    view = simulation.world.render(simulation.cameras["front"].sized(2 * SIDE, 2 * SIDE))
    simulation.close()
    tile = Image.new("RGB", (SIDE, SIDE + CAPTION), "white")
    tile.paste(Image.fromarray(view).resize((SIDE, SIDE), Image.Resampling.LANCZOS), (0, 0))
    text = f"{suite}: {task}"
    ImageDraw.Draw(tile).text((3, SIDE + 3), text, fill="black", font_size=13)
    return tile


def main() -> None:
    """Draw all of them, each scene's two one below the other."""
    columns = len(SHOWN) // 2
    size = columns * (SIDE + GAP) - GAP, 2 * (SIDE + CAPTION)
    sheet = Image.new("RGB", size, "white")
    for index, scene in enumerate(SHOWN):
        column, row = divmod(index, 2)
        sheet.paste(shoot(*scene), (column * (SIDE + GAP), row * (SIDE + CAPTION)))
    sheet.quantize(COLOURS).save(Path(__file__).with_name("cells.png"), optimize=True)


if __name__ == "__main__":
    main()
