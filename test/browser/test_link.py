# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An operator at a real browser drives a real (simulated) robot; whatever is lost, it stops."""

import os
import re
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from .conftest import wait_for_link

pytestmark = [pytest.mark.browser, pytest.mark.graph, pytest.mark.timeout(120)]

RELEASED = 0.25
"""Longest time from a key's release to a command of zero [s]."""

LOST = 0.3
"""Longest time from the loss of page or network to a command of zero [s]."""

REPEATS = int(os.environ.get("MAGMA_REPEATS", "3"))
"""How often a time is measured; the figures of docs/console.md have 20."""


@pytest.fixture(autouse=True)
def whole_stack(needs) -> None:
    """These tests start the simulated robot, and Cyclone DDS even beside a real ROS 2."""
    needs("console", "embedded", "sim")


@pytest.fixture
def ears(stack):
    """The robot, back in HOLD or STOPPED after every test."""
    yield stack.ears
    stack.ears.wait(lambda: not stack.ears.moving, "rest", 5.0)


def press(page, verb, mode, ears) -> None:
    """Press a button until the guard is in a mode, as it may refuse at first (a moving arm)."""
    before = len(ears.modes)
    for _ in range(5):
        page.click(f"[data-verb={verb}] >> nth=-1")
        deadline = time.monotonic() + 2.0
        while mode not in ears.modes[before:] and time.monotonic() < deadline:
            time.sleep(0.02)
        if mode in ears.modes[before:]:
            return
    raise AssertionError(f"{verb} in {ears.mode}: {page.inner_text('[data-part=verbs-said]')}")


def take_over(page, ears) -> None:
    """Into TELEOP, from whatever the last test has left."""
    page.evaluate("document.activeElement?.blur()")
    if ears.mode == "STOPPED":
        press(page, "reset", "HOLD", ears)
    elif ears.mode == "TELEOP":
        press(page, "hold", "HOLD", ears)
    press(page, "take_over", "TELEOP", ears)


def shown_position(page) -> np.ndarray:
    """What the page says about where the arm is [m]."""
    text = page.inner_text("[data-part=pose]").replace("\u2212", "-")
    numbers = re.findall(r"-?\d+", text.split("mm")[0])
    return np.array([float(number) for number in numbers[:3]]) / 1000


def over(page) -> str:
    """Why the present hold has ended by itself, or empty."""
    return page.evaluate("import('/static/link.js').then(({link}) => link.state.over)")


class Key:
    """A key that can be held."""

    def __init__(self, page, key) -> None:
        self.page = page
        self.down = lambda: page.keyboard.down(key)
        self.up = lambda: page.keyboard.up(key)


class Pad:
    """A pad on the screen that can be held."""

    def __init__(self, page, axis) -> None:
        self.page, self._pad = page, page.locator(f"[data-axis='{axis}']")
        self.up = page.mouse.up

    def down(self) -> None:
        self._pad.hover()
        self.page.mouse.down()


def hold(held, ears, seconds=0.0) -> None:
    """Hold a key or a pad until the arm moves and so many seconds have passed.

    On a machine that is too busy the link may expire meanwhile, or the guard miss the robot's
    pose; then the arm is taken over and the key pressed anew.
    """
    end = time.monotonic() + 45.0
    while time.monotonic() < end:
        if ears.mode != "TELEOP":
            take_over(held.page, ears)
        held.down()
        begun = time.monotonic()
        while ears.mode == "TELEOP" and not over(held.page):
            lasted = time.monotonic() - begun
            if ears.moving and lasted >= seconds:
                return
            if lasted > seconds + 5.0:
                break
            time.sleep(0.02)
        held.up()
    raise AssertionError(f"no hold lasted: {ears.mode} {ears.reason} {over(held.page)}")


def let_go(held, ears) -> float:
    """Time from letting go to zero [s]."""
    moment = time.monotonic()
    held.up()
    return ears.rest_after(moment)


def check(times, limit) -> None:
    """Say how long the arm went on, and hold that to a limit."""
    print(f"until zero, n = {len(times)}: median {np.median(times):.3f}, max {max(times):.3f} s")
    assert max(times) <= limit


@pytest.mark.parametrize(("key", "axis", "sign"), [("f", 2, -1), ("a", 1, 1), ("s", 0, -1)])
def test_held_key_moves_the_arm_the_right_way_and_as_far_as_shown(
    stack, pages, ears, key, axis, sign
):
    page = pages(stack.url)
    take_over(page, ears)
    start, seen = ears.position, shown_position(page)
    held = Key(page, key)
    hold(held, ears, seconds=2.0)
    held.up()
    ears.wait(lambda: not ears.moving, "rest")

    def shown_is_true() -> bool:  # what is shown comes ten times a second
        page.wait_for_timeout(50)
        return np.allclose(shown_position(page) - seen, ears.position - start, atol=0.004)

    ears.wait(shown_is_true, "the page to show where the arm is")
    moved = ears.position - start
    assert sign * moved[axis] > 0.07  # 0.05 m/s for two seconds, less what it takes to begin
    assert np.abs(np.delete(moved, axis)).max() < 0.01


def test_pads_on_the_screen_move_the_arm_while_they_are_touched(stack, pages, ears):
    page = pages(stack.url, has_touch=True)
    take_over(page, ears)
    start, pad = ears.position, Pad(page, "-z")
    hold(pad, ears, seconds=1.0)
    assert let_go(pad, ears) <= RELEASED
    assert ears.position[2] < start[2] - 0.02


def test_release_is_zero_within_a_quarter_of_a_second(stack, pages, ears):
    page = pages(stack.url)
    take_over(page, ears)
    times = []
    for number in range(REPEATS):
        key = Key(page, "rf"[number % 2])
        hold(key, ears, seconds=0.3)
        times.append(let_go(key, ears))
    check(times, RELEASED)


def test_stop_reset_and_hand_back(stack, pages, ears):
    page = pages(stack.url)
    take_over(page, ears)
    hold(Key(page, "r"), ears)
    moment = time.monotonic()
    page.keyboard.press("Escape")
    ears.wait(lambda: ears.mode == "STOPPED", "STOPPED")
    assert ears.rest_after(moment) <= RELEASED
    page.keyboard.up("r")
    assert ears.reason == "OPERATOR_STOP"
    press(page, "reset", "HOLD", ears)
    press(page, "hand_back", "AUTO", ears)
    press(page, "stop", "STOPPED", ears)
    ears.wait(lambda: not ears.moving, "rest")


@pytest.mark.parametrize("repeat", range(-(-REPEATS // 3)))
def test_killed_page_is_zero(stack, ears, doomed, repeat):
    page = doomed.open(stack.url)
    take_over(page, ears)
    hold(Key(page, "rf"[repeat % 2]), ears, seconds=0.3)
    moment = time.monotonic()
    doomed.kill()
    check([ears.rest_after(moment)], LOST)


def test_cut_network_is_zero_and_what_was_held_up_moves_nothing(stack, network, pages, ears):
    page = pages(network.url)
    times, tails = [], []
    for number in range(REPEATS):
        take_over(page, ears)
        key = Key(page, "rf"[number % 2])
        hold(key, ears, seconds=0.3)
        moment = time.monotonic()
        network.cut()
        times.append(ears.rest_after(moment))
        mended = time.monotonic()
        network.mend()  # everything that was said meanwhile arrives at once
        time.sleep(0.5)
        tails += [size for heard, size in list(ears.twists) if heard > mended]
        key.up()
        page.wait_for_selector("html:not(.disconnected)")
    check(times, LOST)
    assert max(tails) == 0.0


def test_long_cut_is_shown_at_once_and_leaves_the_robot_to_others(stack, network, pages, ears):
    page, other = pages(network.url), pages(stack.url)
    take_over(page, ears)
    network.cut()
    expect(page.locator("html")).to_have_class(re.compile("disconnected"), timeout=3000)
    expect(other.locator("[data-part=lease-words]")).to_have_text("Nobody has control")
    take_over(other, ears)
    network.mend()
    expect(page.locator("html")).not_to_have_class(re.compile("disconnected"))
    expect(page.locator("[data-part=lease-words]")).to_have_text(re.compile("has control"))
    pages.errors.clear()  # the sockets that were given up


def test_second_operator_is_refused_and_told_who_drives(stack, pages, ears):
    first, second = pages(stack.url), pages(stack.url)
    take_over(first, ears)
    name = first.evaluate("import('/static/link.js').then(({link}) => link.state.name)")
    second.keyboard.down("r")
    # Read at once: a page that loses the focus lets go.
    said = wait_for_link(second, "link.state.over.includes('holds the lease') && link.state.over")
    assert name in said
    second.keyboard.up("r")
    assert not ears.moving
    second.eval_on_selector("[data-verb=hand_back]", "button => button.click()")
    expect(second.locator("[data-part=verbs-said]")).to_contain_text(name)
    assert ears.mode == "TELEOP"
    second.click("[data-part=lease-button]")
    first.click("[data-do=grant]")
    expect(second.locator("[data-part=lease-words]")).to_have_text("You have control")
    second.keyboard.press("Escape")
    ears.wait(lambda: ears.mode == "STOPPED", "STOPPED")


def test_reload_goes_on_where_the_operator_was(stack, pages, ears):
    page = pages(stack.url)
    take_over(page, ears)
    key = Key(page, "r")
    hold(key, ears)
    page.reload()  # returns once the new page is there
    assert ears.rest_after(time.monotonic()) <= RELEASED
    key.up()
    expect(page.locator("[data-part=lease-words]")).to_have_text("You have control")
    if ears.mode != "TELEOP":  # the guard waits two seconds for an operator
        take_over(page, ears)
    again = Key(page, "f")
    hold(again, ears)
    again.up()


def test_another_tab_in_front_is_zero(stack, ears, doomed):
    page = doomed.open(stack.url)
    take_over(page, ears)
    page.context.new_cdp_session(page).send(
        "Emulation.setFocusEmulationEnabled", {"enabled": False}
    )
    hold(Key(page, "r"), ears, seconds=0.3)
    moment = time.monotonic()
    page.context.new_page().bring_to_front()
    assert ears.rest_after(moment) <= LOST
    assert not over(page), "it was let go of, and did not expire"


@pytest.mark.parametrize("event", ["visibilitychange", "freeze"])
def test_hidden_page_is_zero(stack, pages, ears, event):
    """A browser without a window hides no page, so the page is told what it would be told."""
    page = pages(stack.url)
    take_over(page, ears)
    hold(Key(page, "r"), ears, seconds=0.3)
    moment = time.monotonic()
    page.evaluate(
        """event => {
            Object.defineProperty(document, "hidden", {get: () => true, configurable: true});
            document.dispatchEvent(new Event(event));
        }""",
        event,
    )
    assert ears.rest_after(moment) <= RELEASED
    assert not over(page), "it was let go of, and did not expire"
