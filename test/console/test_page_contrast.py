# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contrast of the page's colours, by WCAG 2.2: 4.5 for text (1.4.3), 3 for edges (1.4.11)."""

import itertools
import re

import pytest

from magma_ros.console.page import layout
from magma_ros.console.server import STATIC

STYLES = {name: (STATIC / f"{name}.css").read_text() for name in layout.STYLES}
GROUNDS = ("ground", "surface", "raised")
COLOURED = ("muted", "accent", "auto", "teleop", "hold", "stopped", "unknown")
TEXT = [
    *itertools.product(("text", "muted"), GROUNDS),
    *itertools.product(COLOURED, ("ground", "surface")),
    *(("on-mode", mode) for mode in ("auto", "teleop", "hold", "stopped", "unknown")),
    ("on-accent", "accent"),
    ("on-stop", "stop"),
    ("on-stop", "stop-pressed"),
    ("on-alarm", "alarm"),
    ("on-call", "call"),
]
EDGES = [
    *itertools.product(("edge", "accent", "plot", "plot-limit"), ("ground", "surface")),
    *itertools.product(("stop",), ("surface",)),
]


def colours(theme):
    rules = re.findall(r":root(\[[^]]*\])? \{(.*?)\}", STYLES["theme"], re.DOTALL)
    names = {}
    for selector, body in rules:
        if not selector or theme in selector:
            names |= dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", body))
    return names


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("000000", "ffffff") == pytest.approx(21.0)
    assert contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("on", "ground"), TEXT)
def test_text_can_be_read(theme, on, ground):
    palette = colours(theme)
    assert contrast(palette[on], palette[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_what_can_be_pressed_can_be_seen(theme, edge, ground):
    palette = colours(theme)
    assert contrast(palette[edge], palette[ground]) >= 3.0


def test_every_colour_of_text_comes_from_the_theme():
    """But on pictures, whose marks bring their own ground."""
    for name, text in STYLES.items():
        if name != "theme":
            outside = re.sub(r"(\.mark|\.picture)[^{]*\{[^}]*\}", "", text)
            assert not re.search(r"(?<![-\w])color: (?!var\(|inherit)", outside)


def test_nothing_is_fetched_from_elsewhere():
    for file in STATIC.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text)
        assert "innerHTML" not in text
