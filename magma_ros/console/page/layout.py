# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page's parts, from top to bottom; the scripts find them by their ``data-`` attributes.

Attributes used: ``data-part`` (a place that a script fills), ``data-verb`` (a request to the
guard), ``data-axis`` (a pad that moves the arm while it is held), ``data-do`` (anything else that
can be pressed).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from magma_ros.console.robot import JogFrame, Verb

STYLES = ("theme", "layout", "parts", "pictures", "drive")
"""Style sheets, in ``static/``."""

VERBS = {
    Verb.TAKE_OVER: ("Take over", "You drive"),
    Verb.HAND_BACK: ("Hand back", "The policy drives"),
    Verb.HOLD: ("Hold", "The arm keeps still"),
    Verb.RESET: ("Reset", "Clears the reason"),
}
"""What the buttons say: the verb, and what comes of it. STOP has a place of its own."""

SPEEDS = ("slow", "medium", "fast")

PADS = {
    "plane": ("+x", "+y", "-y", "-x"),
    "height": ("+z", "-z"),
    "turn": ("+roll", "-roll", "+pitch", "-pitch", "+yaw", "-yaw"),
}
"""Pads by group: what each moves the arm along, or turns it about."""

PAD_SIGNS = {
    "+x": ("↑", "forward"),
    "-x": ("↓", "back"),
    "+y": ("←", "left"),
    "-y": ("→", "right"),
    "+z": ("↑", "up"),
    "-z": ("↓", "down"),
    "+roll": ("↻", "roll"),
    "-roll": ("↺", "roll"),
    "+pitch": ("⤵", "pitch"),
    "-pitch": ("⤴", "pitch"),
    "+yaw": ("↺", "yaw"),
    "-yaw": ("↻", "yaw"),
}
"""Arrow and word of each pad, by the right-hand rule about REP 103's axes."""

PLOTS = {
    "depth": "Depth",
    "slack": "Slack",
    "late": "Late plans",
    "doubt": "Doubt",
    "speed": "Speed and limit",
}
"""What is plotted over the last half minute, and its title."""


def page() -> None:
    """Lay the page out, for one browser."""
    ui.add_head_html('<script src="/static/theme.js"></script>')
    for name in STYLES:
        ui.add_head_html(f'<link rel="stylesheet" href="/static/{name}.css">')
    ui.add_body_html('<script type="module" src="/static/console.js"></script>')
    with _part("div", "console", part="console"):
        with _part("div", "top"):
            _header()
            _alarms()
        with _part("main", "grid"):
            with _part("div", "watching"):
                _part("section", "cameras", part="cameras", label="Cameras")
                with _part("div", "told"):
                    _instruction()
                    _episode_panel()
                _plots()
            with _part("div", "driving"):
                _mode_panel()
                _jog_panel()
                _diagnostics_panel()
    _dialogs()


def _header() -> None:
    with _part("header", "bar"):
        with _part("div", "mode", part="mode"):
            _text("span", "—", "mode-name", part="mode-name")
            with _part("div", "mode-words", role="status", aria_live="assertive"):
                _text("p", "Waiting for the robot.", "mode-sentence", part="mode-sentence")
                _text("p", "", "mode-detail", part="mode-detail")
        with _part("div", "tools"):
            with _part("div", "lease"):
                _button("", "icon", do="name", part="name", title="Your name, as others see it")
                _text("span", "", "lease-words", part="lease-words")
                _button("Ask for control", "small", do="lease", part="lease-button")
            with _part("div", "switches"):
                _text("span", "Connecting", "connection", part="connection")
                _button("Sound", "icon", do="sound", part="sound", aria_pressed="false")
                _button("Theme", "icon", do="theme", part="theme")
        with _button("", "stop", verb=Verb.STOP.value, part="stop"):
            _text("b", "STOP")
            _text("small", "Space or Esc", "key-hint")
            _text("small", "", part="stop-said", role="alert")


def _alarms() -> None:
    with _part("div", "alarms"):
        with _part("div", "alarm lost", part="lost", role="alert", hidden=True):
            _text("strong", "DISCONNECTED", part="lost-title")
            _text("span", "", "age", part="lost-age")
            _text("span", "Nothing below is true any more. Use the robot's own emergency stop.")
        with _part("div", "alarm help", part="help", role="alert", hidden=True):
            _text("strong", "The policy asks for help")
            _text("span", "", part="help-why")
            _button("Take over", "primary", verb=Verb.TAKE_OVER.value)
        with _part("div", "alarm asked", part="asked", role="alert", hidden=True):
            _text("span", "", part="asked-who")
            _button("Give control", "small", do="grant")
            _button("Keep it", "small", do="refuse")
        _text("div", "", "alarm fault", part="fault", role="alert", hidden=True)
        _said("top-said")


def _instruction() -> None:
    with (
        _part("section", "panel instruct", label="Instruction"),
        _part("form", "instruct-form", part="instruct", autocomplete="off"),
    ):
        _text("label", "Instruction", for_="instruction")
        _text("p", "", "current", part="instruction-now")
        with _part("div", "instruct-row"):
            _part(
                "input",
                id="instruction",
                type="text",
                maxlength=500,
                list="history",
                spellcheck="false",
                placeholder="put the red block in the bowl",
            )
            _button("Send", "primary", type="submit")
        _part("datalist", id="history", part="history")
        _part("div", "recent", part="recent", role="group", aria_label="Recent instructions")
        _said("instruct-said")


def _plots() -> None:
    with _part("section", "plots", label="The last 30 seconds"):
        for name, title in PLOTS.items():
            with _part("figure", "plot"):
                with _part("figcaption"):
                    _text("span", title)
                    _text("output", "", part=f"figure-{name}")
                _part("canvas", part=f"plot-{name}", role="img", aria_label=title)


def _mode_panel() -> None:
    with _panel("Who drives", "verbs"):
        with _part("div", "verb-buttons"):
            for verb, (words, meaning) in VERBS.items():
                with _button("", "verb", verb=verb.value):
                    _text("b", words)
                    _text("small", meaning)
        _said("verbs-said")


def _jog_panel() -> None:
    with _panel("Jog", "jog", part="jog"):
        with _part("div", "jog-settings"):
            _choice("Frame", "frame", [frame.value for frame in JogFrame])
            _choice("Speed", "speed", SPEEDS)
        with _part("div", "pads"):
            for group, axes in PADS.items():
                with _part("div", f"pad-group {group}", role="group", aria_label=group):
                    for axis in axes:
                        _pad(axis)
        with _part("div", "jog-foot"):
            for name in ("open", "close"):
                with _button(name.capitalize(), "pad grip", axis=name):
                    _text("kbd", "", part=f"key-{name}", aria_hidden="true")
            _text("output", "", "pose", part="pose")
        _text("p", "", "gamepad", part="gamepad")
        _said("jog-said")


def _pad(axis: str) -> None:
    sign, words = PAD_SIGNS[axis]
    with _button("", "pad", axis=axis, aria_label=f"{words}, {axis}: hold to move"):
        _text("b", sign, aria_hidden="true")
        _text("small", words, aria_hidden="true")
        _text("kbd", "", part=f"key-{axis}", aria_hidden="true")


def _episode_panel() -> None:
    with _panel("Episode", "episode"):
        with _part("div", "episode-row"):
            _button("Record", "record", do="record", part="record", aria_pressed="false")
            with _part("div", "episode-words"):
                _text("p", "", "episode-state", part="episode-state")
                _text("p", "", "episode-path", part="episode-path")
        _text("p", "", "problem", part="episode-problem", role="alert")
        with _part("div", "labels", role="group", aria_label="Label of the episode"):
            _button("Good", "label good", do="good", aria_pressed="false")
            _button("Bad", "label bad", do="bad", aria_pressed="false")
            _button("Note …", "label", do="note")
        _said("episode-said")


def _diagnostics_panel() -> None:
    with _panel("Diagnostics", "diagnostics"):
        _part("div", "diagnostic-list", part="diagnostics")


def _dialogs() -> None:
    with _dialog("note", "Note on the episode", "Save note"):
        _part("textarea", id="note", rows=4, maxlength=500)
    with _dialog("name", "Your name, as others see it", "Save name"):
        _part("input", id="name", type="text", maxlength=32, autocomplete="name")


@contextmanager
def _dialog(name: str, title: str, words: str) -> Iterator[None]:
    with (
        _part("dialog", part=f"{name}-dialog", label=title),
        _part("form", part=f"{name}-form", method="dialog"),
    ):
        _text("label", title, for_=name)
        yield
        with _part("div", "dialog-buttons"):
            _button("Cancel", do="cancel")
            _button(words, "primary", type="submit")


def _panel(title: str, name: str, **attributes: object) -> Element:
    panel = _part("section", f"panel {name}", label=title, **attributes)
    with panel:
        _text("h2", title)
    return panel


def _choice(title: str, name: str, values: Iterable[str]) -> None:
    with _part("div", "choice", role="radiogroup", aria_label=title, part=name):
        for value in values:
            _button(value.capitalize(), do=name, value=value, role="radio", aria_checked="false")


def _said(part: str) -> None:
    """A place for the answer to what was asked beside it."""
    _text("p", "", "said", part=part, role="status", aria_live="polite")


def _button(words: str, classes: str = "", **attributes: object) -> Element:
    return _text("button", words, classes, **{"type": "button", **attributes})


def _text(tag: str, words: str, classes: str = "", **attributes: object) -> Element:
    return _attach(TextElement(tag=tag, text=words), classes, attributes)


def _part(tag: str, classes: str = "", **attributes: object) -> Element:
    return _attach(ui.element(tag), classes, attributes)


def _attach(element: Element, classes: str, attributes: Mapping[str, object]) -> Element:
    """Give an element its attributes.

    ``part``, ``verb``, ``axis``, ``do`` and ``value`` become ``data-`` attributes; ``label`` names
    the element for screen readers; otherwise a trailing underscore is dropped and others become
    hyphens.
    """
    element.classes(classes)
    for key, value in attributes.items():
        name = key.rstrip("_").replace("_", "-")
        if key in ("part", "verb", "axis", "do", "value"):
            name = f"data-{name}"
        elif key == "label":
            name = "aria-label"
        element.props[name] = value
    return element
