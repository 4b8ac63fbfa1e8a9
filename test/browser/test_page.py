# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page as an operator meets it, with a robot that shows what the test wants."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from magma_ros.console.config import ConsoleConfig
from magma_ros.console.robot import RobotView, Verb
from magma_ros.console.server import ConsoleServer
from magma_ros.types import Answer, Mode

pytestmark = pytest.mark.browser

SIZES = {
    "laptop": {"width": 1280, "height": 800},
    "tablet": {"width": 820, "height": 1180},
    "phone": {"width": 390, "height": 844},
}
ATTACK = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
FOCUSED = """() => {
  const {dataset, id} = document.activeElement;
  const name = dataset.verb ?? dataset.axis ?? dataset.do ?? dataset.number ?? id;
  const outline = getComputedStyle(document.activeElement).outlineStyle;
  return name ? {[name]: outline !== "none" || Boolean(dataset.number)} : {};
}"""
"""What has the focus, and whether that shows; a mark is filled instead of outlined."""


@pytest.fixture(scope="module")
def served(stand_in):
    robot = stand_in.RobotStandIn()
    server = ConsoleServer(robot, ConsoleConfig(port=0))
    server.start()
    yield robot, server
    server.stop()


@pytest.fixture
def robot(served, stand_in):
    robot, _ = served
    fresh = stand_in.RobotStandIn()
    robot.shown, robot.switch, robot.asked, robot.frozen = (
        fresh.shown,
        fresh.switch,
        [],
        {},
    )
    return robot


@pytest.fixture
def url(served):
    return served[1].url


@pytest.fixture(scope="module")
def shared(make_pages, served):
    """One page for all tests that do not need a fresh one, as opening one takes seconds."""
    pages = make_pages()
    yield pages, pages(served[1].url)
    pages.close()


@pytest.fixture
def page(shared, robot) -> Iterator[Page]:
    pages, page = shared
    page.evaluate("localStorage.clear(); sessionStorage.clear(); scrollTo(0, 0)")
    yield page
    page.mouse.up()
    if part(page, "lease-button").inner_text() == "Give up":
        part(page, "lease-button").click()
    page.locator("#instruction").fill("")
    pages.check()


def part(page: Page, name: str):
    return page.locator(f'[data-part="{name}"]')


def verb(page: Page, name: str):
    return page.locator(f'.verbs [data-verb="{name}"]')


def change(robot, group: str, **values) -> None:
    robot.shown = replace(robot.shown, **{group: replace(getattr(robot.shown, group), **values)})


def first_age(page: Page, selector: str) -> float:
    """The age [s] that a place shows when it first shows one, by the page's own clock."""
    shown = f"() => document.querySelector('{selector}')?.textContent"
    return float(page.wait_for_function(shown).json_value().split("\u202f")[0])


def wait_until(happened) -> None:
    deadline = time.monotonic() + 20.0
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_page_shows_who_drives_and_live_pictures(page, robot):
    expect(part(page, "mode-name")).to_have_text("AUTO")
    expect(part(page, "mode-sentence")).to_have_text("The policy drives.")
    front = page.locator(".camera canvas").first
    seen = int(front.get_attribute("data-pictures"))
    page.wait_for_function(
        "seen => document.querySelector('.camera canvas').dataset.pictures > seen + 3", arg=seen
    )
    expect(page.locator(".camera.stale")).to_have_count(0)
    expect(page.locator(".path-end.path-gripper")).to_have_count(2)


def test_buttons_are_enabled_as_the_mode_table_says_and_refuse_in_words(page, robot):
    expect(verb(page, "take_over")).to_have_attribute("aria-disabled", "false")
    expect(verb(page, "hand_back")).to_have_attribute("aria-disabled", "true")
    verb(page, "hand_back").click(force=True)
    expect(part(page, "verbs-said")).to_have_text("The policy drives already.")
    assert Verb.HAND_BACK not in robot.asked


def test_an_operator_takes_over_jogs_by_a_pad_and_hands_back(page, robot):
    verb(page, "take_over").click()
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    pad = page.locator('[data-axis="+x"]')
    pad.hover()
    page.mouse.down()
    expect(pad).to_have_class("pad held")
    page.wait_for_timeout(300)
    page.mouse.up()
    expect(pad).to_have_class("pad")
    wait_until(lambda: robot.asked[-1] == "release")
    jogs = [jog for jog in robot.asked if hasattr(jog, "twist")]
    assert len(jogs) > 3
    assert all(jog.twist[0] > 0.0 and not jog.twist[1:].any() for jog in jogs)
    verb(page, "hand_back").click()
    expect(part(page, "mode-name")).to_have_text("AUTO")


def test_what_a_key_holds_is_lit_on_its_pad(page, robot):
    verb(page, "take_over").click()
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    page.keyboard.down("w")
    expect(page.locator('[data-axis="+x"]')).to_have_class("pad held")
    page.keyboard.up("w")
    expect(page.locator('[data-axis="+x"]')).to_have_class("pad")


def test_a_finger_on_a_pad_moves_the_arm_until_it_is_lifted(pages, url, robot):
    page = pages(url, viewport=SIZES["phone"], has_touch=True, is_mobile=True)
    verb(page, "take_over").tap()
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    pad = page.locator('[data-axis="-z"]')
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    finger = page.context.new_cdp_session(page)
    at = [{"x": box["x"] + 20, "y": box["y"] + 20}]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at})
    expect(pad).to_have_class("pad held")
    wait_until(lambda: any(getattr(jog, "twist", [0] * 3)[2] < 0.0 for jog in robot.asked))
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(pad).to_have_class("pad")
    wait_until(lambda: robot.asked[-1] == "release")


def test_an_operator_has_a_name_that_others_see(pages, url, robot, page):
    part(page, "name").click()
    page.locator("#name").fill("Ada <b>")
    page.get_by_role("button", name="Save name").click()
    expect(part(page, "name")).to_have_text("Ada <b>")
    part(page, "lease-button").click()
    expect(part(page, "lease-words")).to_have_text("You have control")
    expect(part(pages(url), "lease-words")).to_have_text("Ada <b> has control")


def test_a_pad_says_why_it_does_not_move_the_arm(page, robot):
    page.locator('[data-axis="+z"]').click()
    expect(part(page, "jog-said")).to_have_text("Take over before you jog.")
    assert not any(hasattr(asked, "twist") for asked in robot.asked)


def test_stop_and_hold_work_with_or_without_control(pages, url, robot, page):
    verb(page, "take_over").click()
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    watcher = pages(url)
    expect(part(watcher, "lease-button")).to_have_text("Ask for control")
    expect(verb(watcher, "hand_back")).to_have_attribute("aria-disabled", "true")
    verb(watcher, "hold").click()
    expect(part(page, "mode-name")).to_have_text("HOLD")
    part(watcher, "stop").click()
    expect(part(page, "mode-name")).to_have_text("STOPPED")
    expect(verb(page, "reset")).to_have_attribute("aria-disabled", "false")


def test_control_is_asked_for_and_given(pages, url, robot, page):
    part(page, "lease-button").click()
    expect(part(page, "lease-words")).to_have_text("You have control")
    other = pages(url)
    verb(other, "take_over").click(force=True)
    expect(part(other, "verbs-said")).to_contain_text("has control; ask for it first.")
    part(other, "lease-button").click()
    expect(part(page, "asked")).to_be_visible()
    page.locator('[data-do="grant"]').click()
    expect(part(other, "lease-words")).to_have_text("You have control")
    expect(part(page, "lease-words")).to_contain_text("has control")


def test_a_call_for_help_is_shown_heard_and_answered(page, robot):
    page.mouse.click(5, 795)  # browsers play no sound before that
    change(robot, "policy", help="The policy has been unsure for 2.0 s.")
    banner = part(page, "help")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("unsure for 2.0 s")
    page.wait_for_function("document.querySelector('[data-part=sound]').dataset.beeps > 0")
    banner.get_by_role("button", name="Take over").click()
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    expect(banner).to_be_hidden()


def test_a_hidden_page_calls_for_help_too(page, robot):
    page.mouse.click(5, 795)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    change(robot, "policy", help="Help.")
    expect(part(page, "help")).to_be_visible()
    page.wait_for_function("document.title.startsWith('Help!')")
    page.evaluate("delete document.hidden")


def test_a_stop_that_fails_says_so_on_the_button(page, robot, monkeypatch):
    sentence = "The guard does not answer; use the robot's own emergency stop."
    monkeypatch.setattr(robot, "request", lambda verb: Answer(accepted=False, sentence=sentence))
    part(page, "stop").click()
    expect(part(page, "stop-said")).to_have_text(sentence)
    expect(part(page, "top-said")).to_have_text(sentence)
    monkeypatch.undo()
    part(page, "stop").click()
    expect(part(page, "stop-said")).to_have_text("")


def test_a_muted_page_keeps_quiet_after_a_reload_too(page, robot):
    part(page, "sound").click()
    expect(part(page, "sound")).to_have_text("Sound off")
    page.reload()
    expect(part(page, "sound")).to_have_text("Sound off")
    page.mouse.click(5, 795)
    change(robot, "policy", help="Help.")
    expect(part(page, "help")).to_be_visible()
    page.wait_for_timeout(200)
    assert part(page, "sound").get_attribute("data-beeps") is None


def test_html_and_control_characters_are_text_everywhere(page, robot):
    text = f"{ATTACK}\x07\u202e"
    shown = f"{ATTACK}␇�"
    change(robot, "guard", detail=text)
    change(robot, "policy", help=text, fault=text)
    change(robot, "recorder", problem=text, path=f"/{text}")
    camera = replace(robot.shown.cameras[0], name=ATTACK)
    diagnostic = replace(
        robot.shown.diagnostics[0], name=text, message=text, values={text: text}, level="ERROR"
    )
    robot.shown = replace(
        robot.shown, instruction=text, cameras=(camera,), diagnostics=(diagnostic,)
    )
    expect(part(page, "instruction-now")).to_have_text(f"Now: {shown}")
    expect(part(page, "mode-detail")).to_have_text(shown)
    expect(part(page, "help-why")).to_have_text(shown)
    expect(part(page, "fault")).to_have_text(shown)
    expect(part(page, "episode-problem")).to_have_text(shown)
    expect(page.locator(".picture-name")).to_have_text(ATTACK)
    page.locator("details").click()
    expect(page.locator("dt").first).to_have_text(shown)
    expect(page.locator(".diagnostic-name")).to_have_text(shown)
    assert page.evaluate("document.title") == "Help! AUTO · magma console"
    assert page.locator("[data-part=console] img").count() == 0


def test_an_instruction_is_sent_by_enter_kept_and_leafed_back_to(page, robot):
    box = page.locator("#instruction")
    box.fill(ATTACK)
    box.press("Enter")
    wait_until(lambda: ATTACK in robot.asked)
    expect(part(page, "instruction-now")).to_have_text(f"Now: {ATTACK}")
    expect(box).to_have_value("")
    page.reload()
    box.press("ArrowUp")
    expect(box).to_have_value(ATTACK)
    expect(part(page, "recent").locator("button")).to_have_text([ATTACK])


def test_a_mark_that_is_clicked_is_named_and_outlined(page, robot):
    page.locator("#instruction").fill("pick up")
    page.locator('.mark[data-number="1"] circle').click()
    expect(page.locator("#instruction")).to_have_value("pick up the one marked 1")
    expect(page.locator('.mark[data-number="1"]')).to_have_attribute("aria-pressed", "true")
    page.locator('.mark[data-number="2"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator("#instruction")).to_have_value("pick up the one marked 2")
    expect(page.locator('.mark[data-number="1"]')).to_have_attribute("aria-pressed", "false")


def test_a_camera_that_stopped_is_grey_with_its_age_within_a_second(page, robot):
    expect(page.locator(".camera.stale")).to_have_count(0)
    robot.frozen["front"] = time.monotonic()
    assert first_age(page, ".camera.stale .picture-age") <= 1.0
    expect(page.locator(".camera.stale")).to_have_count(1)
    del robot.frozen["front"]
    expect(page.locator(".camera.stale")).to_have_count(0)


@pytest.mark.parametrize("size", ["laptop", "phone"])
def test_a_page_that_hears_nothing_is_grey_and_says_so_within_a_second(
    pages, url, robot, monkeypatch, size
):
    page = pages(url, viewport=SIZES[size])
    page.evaluate("scrollTo(0, 400)")
    monkeypatch.setattr(robot, "view", lambda: time.sleep(1.5) or RobotView())
    assert first_age(page, "[data-part=lost]:not([hidden]) [data-part=lost-age]") <= 1.0
    expect(part(page, "lost")).to_be_in_viewport()
    expect(part(page, "lost-title")).to_have_text("DISCONNECTED")
    for panel in page.locator(".panel, .cameras, .plots").all():
        expect(panel).to_have_css("filter", "grayscale(1)")
    expect(page.locator(".camera:not(.stale)")).to_have_count(0)
    expect(part(page, "connection")).to_have_text("Disconnected")
    verb(page, "hold").click(force=True)
    expect(part(page, "verbs-said")).to_contain_text("Not connected")
    assert page.evaluate("document.title") == "Disconnected · magma console"
    monkeypatch.undo()
    expect(part(page, "lost")).to_be_hidden()


def test_an_episode_is_recorded_and_labelled(page, robot):
    expect(part(page, "episode-state")).to_contain_text("4\u202f321 messages")
    part(page, "record").click()
    expect(part(page, "episode-state")).to_have_text("Not recording")
    page.locator('[data-do="good"]').click()
    expect(page.locator('[data-do="good"]')).to_have_attribute("aria-pressed", "true")
    page.locator('[data-do="note"]').click()
    page.locator("#note").fill("missed <b>twice</b>")
    page.get_by_role("button", name="Save note").click()
    wait_until(lambda: ("", "missed <b>twice</b>") in robot.asked)
    assert ("record", False) in robot.asked
    assert ("good", "") in robot.asked


def test_diagnostics_stand_worst_first_and_stay_open(page, robot):
    names = page.locator(".diagnostic-name")
    expect(names).to_have_text(["policy: gate", "guard: commands"])
    page.locator("details").nth(1).click()
    expect(page.locator("details").nth(1).locator("dd").first).to_have_text("50.0")
    worse = replace(robot.shown.diagnostics[1], level="ERROR", message="no commands")
    robot.shown = replace(robot.shown, diagnostics=(robot.shown.diagnostics[0], worse))
    expect(names).to_have_text(["guard: commands", "policy: gate"])
    expect(page.locator("details").first).to_have_attribute("open", "")


@pytest.mark.parametrize("size", SIZES)
def test_everything_fits_and_stop_is_always_in_view(pages, url, robot, size):
    page = pages(url, viewport=SIZES[size], has_touch=size != "laptop")
    change(robot, "guard", detail="x" * 300)
    change(robot, "policy", help="y" * 300)
    robot.shown = replace(robot.shown, instruction="z" * 300)
    expect(part(page, "help")).to_be_visible()
    expect(part(page, "instruction-now")).to_contain_text("zzz")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for share in (0, 0.5, 1):
        page.evaluate(f"scrollTo(0, {share} * document.documentElement.scrollHeight)")
        box = part(page, "stop").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= SIZES[size]["height"]
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        hit = "([x, y]) => document.elementFromPoint(x, y).closest('[data-part=stop]') !== null"
        assert page.evaluate(hit, list(middle))
    small = page.locator("button:visible").evaluate_all(
        "all => all.filter((b) => b.offsetHeight < 30 || b.scrollWidth > b.offsetWidth + 1)"
        ".map((b) => b.textContent)"
    )
    assert small == []


def test_everything_can_be_reached_and_used_by_keys_alone(page, robot):
    reached = {}
    for _ in range(80):
        page.keyboard.press("Tab")
        reached |= page.evaluate(FOCUSED)
    wanted = {"stop", "take_over", "hand_back", "hold", "reset", "+x", "-yaw", "open", "frame"}
    wanted |= {"record", "good", "note", "instruction", "1", "2", "sound", "theme", "lease", "name"}
    assert wanted <= reached.keys()
    assert [name for name, seen in reached.items() if not seen] == []
    verb(page, "take_over").focus()
    page.keyboard.press("Enter")
    expect(part(page, "mode-name")).to_have_text("TELEOP")
    page.locator('[data-axis="-y"]').focus()
    page.keyboard.down("Enter")
    expect(page.locator('[data-axis="-y"]')).to_have_class("pad held")
    page.keyboard.up("Enter")
    page.keyboard.press("Space")
    expect(part(page, "mode-name")).to_have_text("STOPPED")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_page_is_dark_or_light_as_the_system_or_the_operator_wants(pages, url, robot, theme):
    page = pages(url, color_scheme=theme)
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", theme)
    part(page, "theme").click()
    other = {"dark": "light", "light": "dark"}[theme]
    expect(root).to_have_attribute("data-theme", other)
    page.reload()
    expect(root).to_have_attribute("data-theme", other)


def test_a_change_of_mode_is_read_out(page, robot):
    words = page.locator(".mode-words")
    expect(words).to_have_attribute("aria-live", "assertive")
    part(page, "stop").click()
    expect(words).to_contain_text("Stopped")
    assert robot.switch.mode is Mode.STOPPED


def test_the_page_comes_back_when_the_console_is_started_anew(make_pages, robot, served):
    _, server = served
    opened = make_pages()  # whose errors, of connections refused meanwhile, are no matter
    page = opened(server.url)
    server.stop()
    expect(part(page, "lost")).to_be_visible()
    again = ConsoleServer(robot, ConsoleConfig(port=server.port))
    again.start()
    expect(part(page, "lost")).to_be_hidden()
    expect(part(page, "mode-name")).to_have_text("AUTO")
    opened.close()
    again.stop()
