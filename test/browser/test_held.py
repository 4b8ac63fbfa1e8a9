# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What keys, pads and gamepads come to at the robot, and what they must not."""

import time

import numpy as np
import pytest
from playwright.sync_api import expect
from starlette.responses import HTMLResponse

from magma_ros.console.config import ConsoleConfig
from magma_ros.console.robot import Jog, JogFrame, Verb
from magma_ros.console.server import ConsoleServer
from magma_ros.types import Mode

from .conftest import wait_for_link

pytestmark = pytest.mark.browser

SLOW = np.array([0.25] * 3 + [0.6] * 3) * 0.2
"""The speeds of a page that was just opened."""

GAMEPAD = """([axes, pressed]) => {
  const buttons = Array.from({length: 17}, (_, i) => ({pressed: pressed.includes(i), value: 0}));
  const pad = {id: "a pad", connected: true, mapping: "standard", axes, buttons};
  navigator.getGamepads = () => [null, pad];
}"""
"""The browser's view of a gamepad in some state."""


@pytest.fixture(scope="module")
def served(stand_in):
    robot = stand_in.RobotStandIn()
    robot.switch.mode = Mode.TELEOP
    server = ConsoleServer(robot, ConsoleConfig(port=0))
    server.start()
    yield robot, server
    server.stop()


@pytest.fixture
def robot(served):
    served[0].switch.mode = Mode.TELEOP
    served[0].asked.clear()
    return served[0]


@pytest.fixture(scope="module")
def opened(served, make_pages):
    pages = make_pages()
    yield pages(served[1].url)
    pages.close()
    pages.check()


@pytest.fixture
def page(opened, robot):
    """A page that holds the lease, as it was when it was opened."""
    opened.evaluate(
        """import('/static/link.js').then(({link}) => {
          navigator.getGamepads = () => [null];
          document.activeElement?.blur();
          document.getElementById('instruction').value = '';
          link.setFrame('base');
          link.setSpeed('slow');
          return link.ask();
        })"""
    )
    expect(opened.locator("[data-part=lease-words]")).to_have_text("You have control")
    robot.asked.clear()
    return opened


def link(what) -> str:
    """JavaScript about the link."""
    return f"import('/static/link.js').then(({{link}}) => {what})"


def press(page, keys) -> None:
    """Press keys; anew if the link expires, as it may while a busy machine opens a page."""
    for _ in range(5):
        for key in keys:
            page.keyboard.down(key)
        time.sleep(0.1)
        if not page.evaluate(link("link.state.over")):
            return
        let_go(page, keys)
    raise AssertionError("every hold ended by itself")


def stick(page, axes, pressed) -> None:
    """Hold a gamepad so; anew if the link expires."""
    for _ in range(5):
        page.evaluate(GAMEPAD, [axes, pressed])
        time.sleep(0.1)
        if not page.evaluate(link("link.state.over")):
            return
        page.evaluate(GAMEPAD, [axes, []])
        time.sleep(0.1)
    raise AssertionError("every hold ended by itself")


def let_go(page, keys) -> None:
    for key in keys:
        page.keyboard.up(key)


def wait_for(condition, what) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def newest(robot) -> Jog | None:
    """What the robot was told last: a jog, or None for a release."""
    told = [each for each in robot.asked if isinstance(each, Jog) or each == "release"]
    return told[-1] if told and isinstance(told[-1], Jog) else None


def moves(robot, twist) -> None:
    """Wait until the robot moves so, as a share of the speeds of slow."""
    expected = SLOW * np.array(twist)
    wait_for(lambda: (jog := newest(robot)) and np.allclose(jog.twist, expected), f"{twist}")


def rests(robot) -> None:
    wait_for(lambda: newest(robot) is None, "a release")


@pytest.mark.parametrize(
    ("keys", "twist"),
    [
        ("w", (1, 0, 0, 0, 0, 0)),
        ("d", (0, -1, 0, 0, 0, 0)),
        ("f", (0, 0, -1, 0, 0, 0)),
        ("q", (0, 0, 0, 0, 0, 1)),
        ("wa", (0.5**0.5, 0.5**0.5, 0, 0, 0, 0)),
        ("we", (1, 0, 0, 0, 0, -1)),
        ("ws", (0, 0, 0, 0, 0, 0)),
    ],
)
def test_keys_add_up_and_are_no_faster_together(page, robot, keys, twist):
    press(page, keys)
    moves(robot, twist)
    let_go(page, keys)
    rests(robot)


def test_letting_one_of_two_keys_go_leaves_the_other(page, robot):
    press(page, "wr")
    page.keyboard.up("w")
    moves(robot, (0, 0, 1, 0, 0, 0))
    page.keyboard.up("r")
    rests(robot)


def test_speed_frame_and_gripper_are_as_chosen(page, robot):
    page.keyboard.press("3")
    page.click("[data-do=frame][data-value=tool]")
    press(page, "wc")
    moves(robot, (5, 0, 0, 0, 0, 0))
    jog = newest(robot)
    assert (jog.frame, jog.gripper) == (JogFrame.TOOL, 0.0)
    page.click("[data-do=frame][data-value=base]")  # it would change its direction in motion
    rests(robot)
    let_go(page, "wc")


def test_what_is_typed_moves_nothing(page, robot):
    page.click("#instruction")
    page.keyboard.type("wasd rf 3")
    assert page.input_value("#instruction") == "wasd rf 3"
    page.keyboard.press("Control+w")
    page.locator("body").click(position={"x": 1, "y": 1})
    page.keyboard.down("Control")
    page.keyboard.down("r")
    time.sleep(0.2)
    let_go(page, ["r", "Control"])
    assert newest(robot) is None
    assert Verb.STOP not in robot.asked


def test_escape_and_space_stop_wherever_the_focus_is(page, robot):
    page.focus("#instruction")
    page.keyboard.press("Escape")
    wait_for(lambda: Verb.STOP in robot.asked, "a stop")
    robot.asked.clear()
    page.focus("[data-verb=hold]")
    page.keyboard.press("Space")
    wait_for(lambda: Verb.STOP in robot.asked, "a stop")
    time.sleep(0.1)
    assert Verb.HOLD not in robot.asked, "Space is no click"


def test_a_gamepad_moves_only_while_its_dead_man_is_held(page, robot):
    stick(page, [0.0, -1.0, 0.0, 0.0], [])
    time.sleep(0.2)
    assert newest(robot) is None
    stick(page, [0.0, -1.0, 0.1, 0.0], [5])
    moves(robot, (1, 0, 0, 0, 0, 0))
    stick(page, [0.0, 0.0, 1.0, 1.0], [4, 0])
    moves(robot, (0, 0, -1, 0, 0, -1))
    assert newest(robot).gripper == 0.0
    expect(page.locator("[data-part=gamepad]")).to_contain_text("a pad")
    stick(page, [0.0, 0.0, 1.0, 1.0], [])
    rests(robot)
    stick(page, [0.0] * 4, [8])
    wait_for(lambda: Verb.STOP in robot.asked, "a stop")


def test_a_gamepad_that_is_unplugged_lets_go(page, robot):
    stick(page, [0.0, -1.0, 0.0, 0.0], [5])
    moves(robot, (1, 0, 0, 0, 0, 0))
    page.evaluate("navigator.getGamepads = () => [null, null]")
    rests(robot)


def test_a_key_that_is_held_while_control_comes_must_be_pressed_anew(page, robot):
    page.evaluate(link("link.giveUp()"))
    page.keyboard.down("w")
    expect(page.locator("[data-part=jog-said]")).to_contain_text("ask for it first")
    page.evaluate(link("link.ask()"))
    expect(page.locator("[data-part=lease-words]")).to_have_text("You have control")
    time.sleep(0.2)
    assert newest(robot) is None
    page.keyboard.up("w")
    press(page, "w")
    moves(robot, (1, 0, 0, 0, 0, 0))
    page.keyboard.up("w")
    rests(robot)


def test_a_console_that_comes_back_is_found_again_and_nothing_held_goes_on(stand_in, chromium):
    def only_the_link(app, robot) -> None:
        @app.get("/")
        def root() -> HTMLResponse:
            return HTMLResponse("<script type=module src=/static/link.js></script>")

    def serve(port=0) -> ConsoleServer:
        server = ConsoleServer(robot, ConsoleConfig(port=port), only_the_link)
        server.start()
        return server

    robot, page = stand_in.RobotStandIn(), chromium.new_page()
    server = serve()
    page.goto(server.url)
    wait_for_link(page, "link.state.connected")
    page.evaluate(link("link.ask()"))
    press(page, "w")
    moves(robot, (1, 0, 0, 0, 0, 0))
    server.stop()
    assert newest(robot) is None
    wait_for_link(page, "!link.state.connected")
    server = serve(server.port)
    try:
        wait_for_link(page, "link.state.mine")
        time.sleep(0.2)
        assert newest(robot) is None
        page.keyboard.up("w")
        press(page, "w")
        moves(robot, (1, 0, 0, 0, 0, 0))
    finally:
        page.close()
        server.stop()
