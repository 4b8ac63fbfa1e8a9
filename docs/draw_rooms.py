# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the rooms of the package and who imports whom, computed from the code: ``make rooms``.

The rows are the layers of the first import contract in ``pyproject.toml``. An arrow stands for
direct imports; the bottom rows, which everybody may import, have none. The exit status is 1 if an
import runs up or sideways, or, with ``--check``, if the committed drawing is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations, permutations
from pathlib import Path

import grimp

Edge = tuple[str, str]
Box = tuple[float, float, float]
"""Left edge, top edge and width [px]; all boxes are :data:`BOX` high."""
Line = tuple[tuple[float, float], tuple[float, float]]

DRAWING = "rooms.svg"
WIDTH, MARGIN, GAP = 1180, 24, 22
ROW, BOX, SLAB = 150, 84, 56
COLOURS = ("#4e79a7", "#e15759", "#59a14f", "#b07aa1", "#f28e2b", "#499894", "#9c755f", "#d37295")
FONT = "Helvetica, Arial, sans-serif"
CAPTION = "An arrow: imports directly; a pale one follows from others. The bottom rows are for all."
EDGE = re.compile(r'data-from="([^"]+)" data-to="([^"]+)"')
ROOM = re.compile(r'font-weight="bold"[^>]*>([^<]+)<')


@dataclass(frozen=True)
class Layers:
    """An import contract about the children of one package.

    Attributes:
        container: Name of the package.
        rows: Names of the children, the uppermost layer first.
        apart: For each layer, whether its members must not import one another.
    """

    container: str
    rows: list[list[str]]
    apart: list[bool]

    def level(self, child: str) -> int:
        """Layer of a child, 0 for the uppermost."""
        return next(i for i, row in enumerate(self.rows) if child in row)

    def wrong(self, edges: Iterable[Edge]) -> list[Edge]:
        """The edges that run up, or sideways where that is not allowed."""
        levels = [(self.level(a), self.level(b), (a, b)) for a, b in edges]
        return [edge for a, b, edge in levels if a > b or (a == b and self.apart[a])]


def read_layers(project: Path) -> list[Layers]:
    """The contracts in ``pyproject.toml`` that stack layers, the whole package first."""
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = [
        Layers(
            contract["containers"][0],
            [re.findall(r"\w+", row) for row in contract["layers"]],
            [":" not in row for row in contract["layers"]],
        )
        for contract in settings["contracts"]
        if contract["type"] == "layers"
    ]
    return sorted(found, key=lambda layers: layers.container)


def edges_of(graph: grimp.ImportGraph, container: str) -> set[Edge]:
    """Which children of ``container`` directly import which others."""

    def child(module: str) -> str | None:
        inside = module.startswith(f"{container}.")
        return module[len(container) + 1 :].split(".", maxsplit=1)[0] if inside else None

    pairs = {
        (child(module), child(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return {(a, b) for a, b in pairs if a is not None and b is not None and a != b}


def direct_only(edges: set[Edge]) -> set[Edge]:
    """The edges that no chain of other edges implies (the transitive reduction)."""
    onward: dict[str, set[str]] = {}
    for a, b in edges:
        onward.setdefault(a, set()).add(b)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        queue = [start]
        while queue:
            for room in onward.get(queue.pop(), set()) - found:
                found.add(room)
                queue.append(room)
        return found

    return {
        (a, b)
        for a, b in edges
        if not any(b in reached(other) for other in onward[a] if other != b)
    }


def summary(package: Path, room: str) -> str:
    """First sentence of a room's docstring, in plain text."""
    folder, file = package / room / "__init__.py", package / f"{room}.py"
    text = (folder if folder.exists() else file).read_text().split('"""')[1]
    return text.split("\n\n")[0].split(". ")[0].replace("``", "").replace("\n", " ").rstrip(".")


def _middle(box: Box) -> tuple[float, float]:
    left, top, width = box
    return left + width / 2, top


def _cross(one: Line, other: Line) -> bool:
    """Whether two arrows cross between the heights that both pass."""
    high, low = max(one[0][1], other[0][1]), min(one[1][1], other[1][1])
    if high >= low:
        return False

    def at(line: Line, y: float) -> float:
        (x1, y1), (x2, y2) = line
        return x1 + (x2 - x1) * (y - y1) / (y2 - y1)

    return (at(one, high) - at(other, high)) * (at(one, low) - at(other, low)) < 0.0


class Drawing:
    """Places the rooms and writes the SVG.

    Args:
        rooms: What to draw.
        inner: Layers within single rooms.
        edges: Who imports whom.
        folder: Of the package's code.
    """

    def __init__(
        self, rooms: Layers, inner: Iterable[Layers], edges: set[Edge], folder: Path
    ) -> None:
        self._rooms = rooms
        self._inner = {layers.container.split(".")[1]: layers.rows for layers in inner}
        self._folder = folder
        base = len(rooms.rows) - 2
        self._base = {room for layer in rooms.rows[base:] for room in layer}
        self._edges = {(a, b) for a, b in edges if b not in self._base}
        self._boxes = self._arrange(rooms.rows[:base])
        self._bottom = MARGIN + 40 + base * ROW - 34
        self._height = self._bottom + 2 * (SLAB + 14)

    def _arrange(self, layers: list[list[str]]) -> dict[str, Box]:
        """The boxes, in the order within each layer in which the arrows are easiest to follow."""
        best = [tuple(layer) for layer in layers]
        for _ in range(2):
            for row, layer in enumerate(layers):
                best[row] = min(
                    permutations(layer),
                    key=lambda order: self._tangle([*best[:row], order, *best[row + 1 :]]),
                )
        return dict(self._place(best))

    def _tangle(self, layers: Sequence[Sequence[str]]) -> float:
        """How hard the arrows are to follow: crossings, boxes in their way, length sideways."""
        boxes = dict(self._place(layers))
        lines = [(_middle(boxes[a]), _middle(boxes[b])) for a, b in direct_only(self._edges)]
        crossings = sum(_cross(one, other) for one, other in combinations(lines, 2))
        hidden = 0
        for (x1, y1), (x2, y2) in lines:
            for left, top, width in boxes.values():
                if y1 < top < y2:
                    x = x1 + (x2 - x1) * (top - y1) / (y2 - y1)
                    hidden += left < x < left + width
        sideways = sum(abs(x1 - x2) for (x1, _), (x2, _) in lines)
        return crossings + 0.7 * hidden + sideways / WIDTH

    def _place(self, layers: Sequence[Sequence[str]]) -> Iterator[tuple[str, Box]]:
        """Every room that has a box, with it."""
        for row, layer in enumerate(layers):
            width = min(300.0, (WIDTH - 2 * MARGIN - (len(layer) - 1) * GAP) / len(layer))
            if any(room in self._inner for room in layer):
                width = 460.0
            gap = GAP if len(layer) > 3 else 3 * GAP
            left = (WIDTH - len(layer) * width - (len(layer) - 1) * gap) / 2
            for index, room in enumerate(layer):
                yield room, (left + index * (width + gap), MARGIN + 40 + row * ROW, width)

    def svg(self) -> str:
        """The drawing."""
        name = self._rooms.container
        size = f'viewBox="0 0 {WIDTH} {self._height:.0f}" width="{WIDTH}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}">',
            f"<title>The rooms of {name}, and who imports whom</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            _text(MARGIN, MARGIN + 14, f"The rooms of {name}", 17, "bold"),
            _text(MARGIN + 260, MARGIN + 14, CAPTION, 12, "colour"),
            *self._arrows(),
        ]
        for room in self._boxes:
            lines += self._box(room)
        return "\n".join([*lines, *self._slabs(), "</svg>", ""])

    def _arrows(self) -> Iterator[str]:
        strong = direct_only(self._edges)
        sources = [room for room in self._boxes if any(a == room for a, _ in self._edges)]
        for a, b in sorted(self._edges, key=lambda edge: (edge in strong, edge)):
            colour = COLOURS[sources.index(a) % len(COLOURS)]
            pale = "" if (a, b) in strong else ' opacity="0.3"'
            x1, y1 = self._port(a, b, outgoing=True)
            x2, y2 = self._port(b, a, outgoing=False)
            bend = max(30.0, 0.45 * (y2 - y1))
            way = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} "
            way += f"{x2:.0f} {y2 - 8:.0f}"
            head = f"M{x2 - 4.5:.1f} {y2 - 10:.0f} h9 l-4.5 10 z"
            if self._rooms.level(a) == self._rooms.level(b):
                x1, x2, y = self._sideways(a, b)
                way, step = f"M{x1:.0f} {y:.0f} H{x2:.0f}", 10 if x2 < x1 else -10
                head = f"M{x2 + step:.0f} {y - 4.5:.1f} v9 l{-step} -4.5 z"
            yield (
                f'<g data-from="{a}" data-to="{b}"{pale}><path fill="none" stroke="{colour}" '
                f'stroke-width="1.8" d="{way}"/><path fill="{colour}" d="{head}"/></g>'
            )

    def _sideways(self, room: str, other: str) -> tuple[float, float, float]:
        """Start, end and height of an arrow within a layer."""
        (left, top, width), (left2, _, width2) = self._boxes[room], self._boxes[other]
        ends = (left, left2 + width2) if left2 < left else (left + width, left2)
        return (*ends, top + BOX / 2)

    def _port(self, room: str, other: str, *, outgoing: bool) -> tuple[float, float]:
        """Where an arrow touches a box: its arrows side by side, in the order of their ends."""
        left, top, width = self._boxes[room]
        down = [(a, b) for a, b in self._edges if self._rooms.level(a) < self._rooms.level(b)]
        ends = [b if outgoing else a for a, b in down if (a if outgoing else b) == room]
        if other not in ends:
            return left, top
        ends.sort(key=lambda end: self._boxes[end][0] + self._boxes[end][2] / 2)
        share = (ends.index(other) + 1) / (len(ends) + 1)
        return left + share * width, top + BOX if outgoing else top

    def _box(self, room: str) -> Iterator[str]:
        left, top, width = self._boxes[room]
        yield _rectangle((left, top, width), BOX, "#f7f9fc", "#8696ad")
        yield _text(left + 12, top + 22, room, 16, "bold")
        inner = self._inner.get(room)
        lines = _wrapped(summary(self._folder, room), width - 24, 6.6, 1 if inner else 3)
        for index, line in enumerate(lines):
            yield _text(left + 12, top + 40 + 15 * index, line, 12, "colour")
        if inner:
            chain = "  >  ".join(", ".join(layer) for layer in inner)
            yield _text(left + 12, top + 66, chain, 11, "italic")

    def _slabs(self) -> Iterator[str]:
        """The bottom rows, which everybody may import."""
        for row, layer in enumerate(self._rooms.rows[-2:]):
            top = self._bottom + row * (SLAB + 12)
            width = (WIDTH - 2 * MARGIN - (len(layer) - 1) * 12) / len(layer)
            for index, room in enumerate(layer):
                left = MARGIN + index * (width + 12)
                yield _rectangle((left, top, width), SLAB, "#eef1f5", "#c3ccd8")
                yield _text(left + 10, top + 18, room, 13, "bold")
                lines = _wrapped(summary(self._folder, room), width - 20, 6.1, 2)
                for place, line in enumerate(lines):
                    yield _text(left + 10, top + 33 + 14 * place, line, 11, "colour")


def _wrapped(text: str, width: float, letter: float, most: int) -> list[str]:
    """Lines of a text, cut off after ``most``."""
    letters = int(width / letter)
    return textwrap.wrap(text, letters, max_lines=most, placeholder=" ...")


def _text(x: float, y: float, text: str, size: int, look: str) -> str:
    looks = {
        "bold": 'font-weight="bold" fill="#1f2d3d"',
        "italic": 'font-style="italic" fill="#1f2d3d"',
        "colour": 'fill="#4a5a6e"',
    }
    place = f'x="{x:.0f}" y="{y:.0f}" font-size="{size}"'
    return f"<text {place} {looks[look]}>{escape(text)}</text>"


def _rectangle(box: Box, height: float, fill: str, stroke: str) -> str:
    x, y, width = box
    place = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="7"'
    return f'<rect {place} fill="{fill}" stroke="{stroke}"/>'


def main() -> int:
    """Check the imports; write the drawing, or compare it with the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--project", type=Path, default=Path(__file__).resolve().parents[1])
    asked = parser.parse_args()
    sys.path.insert(0, str(asked.project))
    rooms, *inner = read_layers(asked.project)
    graph = grimp.build_graph(rooms.container)
    wrong = [
        f"{layers.container}.{a} imports {layers.container}.{b}, which is not below it"
        for layers in (rooms, *inner)
        for a, b in layers.wrong(edges_of(graph, layers.container))
    ]
    if wrong:
        print("\n".join(wrong))
        return 1
    drawing = asked.project / "docs" / DRAWING
    edges = edges_of(graph, rooms.container)
    svg = Drawing(rooms, inner, edges, asked.project / rooms.container).svg()
    if not asked.check:
        drawing.write_text(svg, encoding="utf-8")
        print(f"wrote {drawing}")
        return 0
    drawn = drawing.read_text(encoding="utf-8") if drawing.exists() else ""
    if any(set(what.findall(drawn)) != set(what.findall(svg)) for what in (EDGE, ROOM)):
        print(f"{drawing} is out of date; run make rooms")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
