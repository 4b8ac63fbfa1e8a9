# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
from dataclasses import replace

import pytest

from magma_ros.console.page.telemetry import (
    LONGEST_TEXT,
    Telemetry,
    describe,
    pack,
    plain,
    refusals,
    visible,
)
from magma_ros.console.robot import RobotView, Verb
from magma_ros.guard.modes import ModeSwitch, Request
from magma_ros.types import Mode


def test_a_view_of_nothing_heard_is_json_with_null_for_every_age():
    told = json.loads(json.dumps(describe(RobotView()), allow_nan=False))
    assert told["guard"]["mode"] is None
    assert told["guard"]["age"] is None
    assert told["policy"]["slack"] is None
    assert told["position"] is None


def test_a_view_says_by_name_what_the_page_looks_up(stand_in):
    told = describe(stand_in.a_view())
    assert told["guard"]["mode"] == "AUTO"
    assert told["jog_frames"] == ["BASE", "TOOL", "CAMERA"]
    assert told["cameras"][0]["paths"]["gripper"][0] == [0.4, 0.3]


@pytest.mark.parametrize("mode", Mode)
def test_the_page_refuses_what_the_guard_would_refuse(mode):
    told = refusals(mode)
    for verb in Verb:
        switch = ModeSwitch()
        switch.mode = mode
        answer = switch.request(Request[verb.name])
        assert told.get(verb.value) == (None if answer.accepted else answer.sentence)


def test_only_a_stop_can_be_asked_of_a_guard_not_heard_yet():
    assert refusals(None).keys() == {verb.value for verb in Verb} - {"stop"}


def test_every_character_shows_and_none_hides_or_turns_the_others():
    assert visible("a\x00b\nc\x1b[31m") == "a␀b␊c␛[31m"
    assert visible("\u202egnp.exe\u200b\x7f\x9b\ud800") == "�gnp.exe����"
    assert visible("<script>alert(1)</script>") == "<script>alert(1)</script>"
    assert visible("Größe 位置 ✓") == "Größe 位置 ✓"


def test_a_long_text_is_cut_and_says_so():
    assert visible("x" * (LONGEST_TEXT + 1)) == "x" * LONGEST_TEXT + "…"


def test_text_of_the_robot_is_made_visible_wherever_it_stands(stand_in):
    view = stand_in.a_view(instruction="go\x07", diagnostics=())
    view = replace(view, policy=replace(view.policy, help="\x00"))
    told = describe(view)
    assert told["instruction"] == "go␇"
    assert told["policy"]["help"] == "␀"
    assert plain({"a\n": ("b\n",)}) == {"a␊": ["b␊"]}


def test_what_is_no_part_of_a_view_is_an_error():
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_many_pages_ask_the_robot_once(stand_in, clock):
    robot = stand_in.RobotStandIn()
    telemetry = Telemetry(robot, clock)
    first = telemetry.view()
    robot.shown = stand_in.a_view(instruction="something else")
    assert telemetry.view() == first
    clock.time += 0.06
    assert json.loads(telemetry.view())["instruction"] == "something else"


def test_a_picture_is_told_once_and_with_its_time(stand_in, clock):
    telemetry = Telemetry(stand_in.RobotStandIn(frozen={"front": 12.5}), clock)
    assert telemetry.picture("front", -math.inf) is None  # no view has named it yet
    telemetry.view()
    message = telemetry.picture("front", -math.inf)
    assert message == pack("front", message[14:], 12.5)
    assert message[14:16] == b"\xff\xd8"  # a JPEG
    assert telemetry.picture("front", 12.5) is None
    assert telemetry.picture("../../etc/passwd", -math.inf) is None
