# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The terminal console: keys move and ask, and what comes from outside is shown as plain text."""

import asyncio
import math
import os
import pty
import threading
from dataclasses import replace

import numpy as np
import pytest
from textual.widgets import DataTable, Input, Static

from magma_ros.console.robot import Diagnostic, Jog, JogFrame, RobotView, Verb
from magma_ros.console.terminal import text
from magma_ros.console.terminal.app import TerminalConsole
from magma_ros.console.terminal.hang_up import on_hang_up, require_terminal
from magma_ros.types import Answer, MagmaError, Mode


@pytest.fixture
def operate():
    """Run an operator's acts on a terminal console."""

    def run(robot, acts, size=(100, 36)):
        app = TerminalConsole(robot, linear_speed=0.2, angular_speed=0.6)

        async def main():
            async with app.run_test(size=size) as pilot:
                await acts(app, pilot)
                await app.workers.wait_for_complete()
                await pilot.pause()

        asyncio.run(main())

    return run


def shown(app, name):
    return str(app.query_one(f"#{name}", Static).content)


def asked(robot):
    return [what for what in robot.asked if isinstance(what, Verb)]


def jogs(robot):
    return [what for what in robot.asked if isinstance(what, Jog)]


def test_each_press_of_a_jog_key_moves_once_and_its_way(operate, stand_in):
    robot = stand_in.RobotStandIn()
    expected = {"w": (0, 0.1), "d": (1, -0.1), "r": (2, 0.1), "z": (3, 0.3), "e": (5, -0.3)}

    async def acts(app, pilot):
        await pilot.press(*expected)

    operate(robot, acts)
    moved = jogs(robot)
    assert len(moved) == len(expected)
    for jog, (component, speed) in zip(moved, expected.values(), strict=True):
        np.testing.assert_allclose(jog.twist, speed * np.eye(6)[component])
        assert jog.lifetime <= 0.2  # nothing tells of the key's release
        assert jog.frame is JogFrame.BASE


def test_frame_speed_and_gripper_are_chosen_by_keys(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        await pilot.press("3", "m", "w", "c")

    operate(robot, acts)
    moved, closed = jogs(robot)
    assert (moved.frame, moved.twist[0]) == (JogFrame.TOOL, 0.2)
    assert closed.gripper == 0.0
    assert not closed.twist.any()


def test_each_verb_has_a_key(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        for key in ("T", "B", "H", "R", "space", "escape"):
            await pilot.press(key)
            await app.workers.wait_for_complete()

    operate(robot, acts)
    assert asked(robot) == [
        *(Verb.TAKE_OVER, Verb.HAND_BACK, Verb.HOLD, Verb.RESET, Verb.STOP, Verb.STOP)
    ]


def test_keys_move_and_stop_wherever_the_focus_is(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        for _ in range(3):
            await pilot.press("tab", "w", "space")

    operate(robot, acts)
    assert len(jogs(robot)) == 3
    assert asked(robot) == [Verb.STOP] * 3


def test_words_are_written_without_moving_and_the_stop_key_works_meanwhile(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        await pilot.press("i", *"wax T", "enter")
        await app.workers.wait_for_complete()
        await pilot.press("i", *"fads", "up")
        assert app.query_one(Input).value == "wax T"  # the one before
        await pilot.press("escape")
        assert not app.query_one(Input).has_class("asked")
        await pilot.press("w")

    operate(robot, acts)
    assert "wax T" in robot.asked
    assert "fads" not in robot.asked
    assert asked(robot) == [Verb.STOP]
    assert len(jogs(robot)) == 1  # the last key


def test_episodes_are_recorded_and_labelled_by_keys(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        await pilot.press("P", "+")
        await app.workers.wait_for_complete()
        await pilot.press("n", *"slipped", "enter")

    operate(robot, acts)
    assert {("record", False), ("good", ""), ("", "slipped")} <= {
        what for what in robot.asked if isinstance(what, tuple)
    }


def test_what_comes_while_the_screen_is_taken_down_ends_nothing(stand_in):
    """On a slow machine: a look by the clock, an answer, and keys that had been pressed."""
    robot = stand_in.RobotStandIn()
    app = TerminalConsole(robot)

    async def main():
        async with app.run_test():
            await app.screen.remove_children()
            robot.shown = stand_in.a_view(instruction="else", diagnostics=())
            app.look()
            app._say(Answer(accepted=False, sentence="too late"))
            app._open_line("note")
            app._close_line()
        robot.switch.mode = Mode.TELEOP
        app.look()

    asyncio.run(main())
    assert robot.asked == []  # the operator has left: nothing tells the guard otherwise


def test_operator_who_presses_nothing_in_teleop_is_there(operate, stand_in):
    robot = stand_in.RobotStandIn()
    robot.switch.mode = Mode.TELEOP

    async def acts(app, pilot):
        await pilot.pause(0.5)

    operate(robot, acts)
    assert "release" in robot.asked


def test_mode_figures_and_diagnostics_are_shown_and_markup_is_only_text(operate, stand_in):
    view = stand_in.a_view(
        instruction="[red]push[/red] <b>it</b>",
        diagnostics=(Diagnostic("arm: [bold]x", "ERROR", "[/]", {"a": "[link=x]"}, 0.1),),
    )
    robot = stand_in.RobotStandIn(shown=view)

    async def acts(app, pilot):
        await pilot.pause(0.3)
        assert shown(app, "mode") == "A U T O"
        assert Mode.AUTO.sentence in shown(app, "sentence")
        told = shown(app, "figures")
        assert "[red]push[/red] <b>it</b>" in told
        assert "3 of 5 CONFIDENT" in told
        assert "0.120 m/s of 0.25 m/s" in told
        table = app.query_one(DataTable)
        table.focus()
        await pilot.press("enter")
        await pilot.pause()
        assert "a: [link=x]" in shown(app, "details")

    operate(robot, acts)


def test_every_mode_has_its_colour_with_enough_contrast(operate, stand_in):
    robot = stand_in.RobotStandIn()
    view = stand_in.a_view()

    async def acts(app, pilot):
        for mode in (None, *Mode):
            robot.view = lambda mode=mode: replace(view, guard=replace(view.guard, mode=mode))
            app.look()
            widget = app.query_one("#mode", Static)
            colour, ground = widget.styles.color, widget.styles.background
            light, dark = sorted((_luminance(colour), _luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5

    operate(robot, acts)


def _luminance(colour):
    """Relative luminance, by WCAG 2.2."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


def test_small_terminal_shows_the_mode_and_stops(operate, stand_in):
    robot = stand_in.RobotStandIn()

    async def acts(app, pilot):
        await pilot.press("space")

    operate(robot, acts, size=(40, 12))
    assert Verb.STOP in robot.asked


def test_robot_that_is_not_heard_is_not_shown_as_if_it_were(stand_in):
    assert text.mode_words(RobotView().guard)[0] == "N O   G U A R D"
    guard = replace(stand_in.a_view().guard, age=7.0)
    assert "7 s old" in text.mode_words(guard)[0]
    names = dict(text.figures(RobotView()))
    assert names["slack"] == names["doubt"] == names["clearance"] == "-"
    assert text.number(math.inf, "m", 1) == "-"


def test_terminal_that_hangs_up_is_noticed_once_and_one_that_is_left_is_not():
    terminal, inside = pty.openpty()
    told, lost = threading.Event(), []
    with on_hang_up(inside, lambda: lost.append("left")):
        os.write(terminal, b"w")
    with on_hang_up(inside, lambda: (lost.append("hung up"), told.set())):
        os.close(terminal)
        assert told.wait(30.0)
    os.close(inside)
    assert lost == ["hung up"]


def test_console_without_a_terminal_is_refused_in_a_sentence(monkeypatch):
    with open(os.devnull) as nothing:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.__stdin__", nothing)
        with pytest.raises(MagmaError, match=r"needs a terminal .* ssh -t"):
            require_terminal()
