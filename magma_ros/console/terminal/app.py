# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The terminal console.

A terminal tells of keys that are pressed, never of keys that are let go. So a press moves the arm
for :data:`~magma_ros.console.robot.JOG_LIFETIME` and no longer; the repetition of a held key
carries on, after the pause that the terminal makes before it begins to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static

from magma_ros.console.robot import JOG_LIFETIME, Diagnostic, JogFrame, Robot, RobotView, Verb
from magma_ros.console.terminal import keys, text
from magma_ros.types import Answer, Mode

REFRESH = 0.2
"""Time between two looks at the robot [s]."""

TEXTS = ("mode", "sentence", "figures", "details", "answer")
"""What is written anew; also the names by which the style sheet knows them."""

LEVEL_COLOURS = {"OK": "green", "WARN": "yellow", "ERROR": "red", "STALE": "magenta"}


class TerminalConsole(App[None]):
    """Shows a robot and asks it for what keys say.

    Args:
        robot: The robot.
        linear_speed: Greatest speed of jogging [m/s].
        angular_speed: Greatest angular speed of jogging [rad/s].
    """

    CSS = """
    #mode { height: 3; content-align: center middle; text-style: bold; }
    #sentence { height: 2; padding: 0 1; }
    #middle { height: 1fr; }
    #figures { width: 1fr; padding: 0 1; }
    #health { width: 1fr; }
    #diagnostics { height: 1fr; }
    #details { height: auto; max-height: 12; padding: 0 1; }
    #answer { height: 2; padding: 0 1; }
    #line { display: none; }
    #line.asked { display: block; }
    #help { height: 3; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", priority=True, show=False),
        Binding("ctrl+q", "quit", "Quit", priority=True, show=False),
    ]
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None

    def __init__(
        self, robot: Robot, linear_speed: float = 0.25, angular_speed: float = 0.6
    ) -> None:
        super().__init__()
        self._robot = robot
        self._speeds = linear_speed, angular_speed
        self._level = keys.LEVELS["2"]
        self._frame = JogFrame.BASE
        self._jogged = 0.0
        self._asking = ""  # what the line is for: instruction or note
        self._history: list[str] = []
        self._back = 0
        self._entries: dict[str, Diagnostic] = {}
        self._rows: list[tuple[str, str, str]] = []
        self._shown: dict[str, str] = {}
        # Held here: what answers late would not find them on a screen that is being taken down.
        self._texts = {name: Static(id=name, markup=False) for name in TEXTS}
        self._table = DataTable[Text](id="diagnostics", cursor_type="row", show_header=False)
        self._line = Input(id="line", max_length=400)

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self._texts["mode"]
        yield self._texts["sentence"]
        with Horizontal(id="middle"):
            yield self._texts["figures"]
            with Vertical(id="health"):
                yield self._table
                with VerticalScroll():
                    yield self._texts["details"]
        yield self._texts["answer"]
        yield self._line
        yield Static(keys.HELP, id="help", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self._table.add_columns("level", "name", "message")
        self.look()
        self.set_interval(REFRESH, self.look)

    # What is seen

    def look(self) -> None:
        """Show how the robot is now, until the screen is taken down."""
        if not self.is_running:
            return  # timers outlive the screen, and nobody is there any more
        view = self._robot.view()
        words, (colour, ground) = text.mode_words(view.guard)
        styles = self._texts["mode"].styles
        styles.color, styles.background = colour, ground
        self._show("mode", words)
        self._show("sentence", text.sentence(view))
        self._show("figures", self._figures(view))
        self._list(view.diagnostics)
        if view.guard.mode is Mode.TELEOP and time.monotonic() - self._jogged > JOG_LIFETIME:
            self._robot.release()  # the operator is there and presses nothing

    def _show(self, name: str, words: str) -> None:
        """Write again only what has changed: an SSH connection may be slow."""
        if self._shown.get(name) != words:
            self._shown[name] = words
            self._texts[name].update(words)

    def _figures(self, view: RobotView) -> str:
        if self._frame not in view.jog_frames:
            self._frame = JogFrame.BASE
        speed = self._level * self._speeds[0]
        jog = ("jog", f"{self._frame.value} frame, {speed:.3f} m/s")
        told = ("told to", view.instruction or "-")
        lines = [told, *text.figures(view), jog]
        return "\n".join(f"{name:<12} {value}" for name, value in lines)

    def _list(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Show the entries, with the cursor left where it was."""
        self._entries = {entry.name: entry for entry in diagnostics}
        rows = [(entry.level, entry.name, entry.message) for entry in diagnostics]
        if rows == self._rows:
            return
        self._rows = rows
        table = self._table
        row = table.cursor_row
        table.clear()
        for level, name, message in rows:
            told = Text(level, style=LEVEL_COLOURS[level])
            table.add_row(told, Text(name), Text(message), key=name)
        if table.row_count:
            table.move_cursor(row=min(row, table.row_count - 1))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open an entry of the diagnostics."""
        entry = self._entries.get(str(event.row_key.value))
        if entry is not None:
            self._texts["details"].update(text.diagnostic_details(entry))

    # What is asked

    def on_key(self, event: events.Key) -> None:
        """Do what a key says, unless it is being written with."""
        if self._asking:
            self._recall(event.key)
            return
        key = event.character if event.character and event.character.isprintable() else event.key
        key = "space" if key == " " else key
        jog = keys.jog_of(key, self._frame, *self._speeds, self._level)
        if jog is not None:
            self._jogged = time.monotonic()
            self._robot.jog(jog)
        elif key in keys.VERB_KEYS:
            self._ask_for(keys.VERB_KEYS[key])
        elif key in keys.LEVELS:
            self._level = keys.LEVELS[key]
        elif key in (acts := self._acts()):
            acts[key]()
        else:
            return
        event.stop()
        event.prevent_default()

    def action_stop(self) -> None:
        """Stop, also from within the line."""
        self._close_line()
        self._ask_for(Verb.STOP)

    def _acts(self) -> dict[str, Callable[[], object]]:
        return {
            "i": lambda: self._open_line("instruction"),
            "n": lambda: self._open_line("note"),
            "m": self._next_frame,
            "P": self._toggle_recording,
            "+": lambda: self._do(lambda: self._robot.label("good")),
            "-": lambda: self._do(lambda: self._robot.label("bad")),
        }

    def _ask_for(self, verb: Verb) -> None:
        if verb is not Verb.TAKE_OVER:
            self._robot.release()
        self._do(lambda: self._robot.request(verb))

    def _next_frame(self) -> None:
        frames = self._robot.view().jog_frames
        here = frames.index(self._frame) if self._frame in frames else -1
        self._frame = frames[(here + 1) % len(frames)]

    def _toggle_recording(self) -> None:
        on = not self._robot.view().recorder.recording
        self._do(lambda: self._robot.record(on=on))

    @work(thread=True)
    def _do(self, act: Callable[[], Answer]) -> None:
        """Ask, beside the drawing: an answer may take a second."""
        answer = act()
        self.call_from_thread(self._say, answer)

    def _say(self, answer: Answer) -> None:
        style = "" if answer.accepted else "bold red"
        self._texts["answer"].update(Text(answer.sentence, style=style))

    # The line for words

    def _open_line(self, purpose: str) -> None:
        self._asking, self._back = purpose, 0
        line = self._line
        line.placeholder = f"{purpose}, then enter; escape stops the robot"
        line.value = ""
        line.add_class("asked")
        line.focus()

    def _close_line(self) -> None:
        self._asking = ""
        self._line.remove_class("asked")
        self.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Say what was written."""
        purpose, words = self._asking, event.value
        self._close_line()
        if purpose == "note":
            self._do(lambda: self._robot.label("", words))
            return
        if words.strip():
            self._history.append(words)
        self._do(lambda: self._robot.instruct(words))

    def _recall(self, key: str) -> None:
        """Go through the instructions given before."""
        step = {"up": 1, "down": -1}.get(key)
        if step is None or self._asking != "instruction" or not self._history:
            return
        self._back = min(max(self._back + step, 0), len(self._history))
        line = self._line
        line.value = self._history[-self._back] if self._back else ""
        line.cursor_position = len(line.value)
