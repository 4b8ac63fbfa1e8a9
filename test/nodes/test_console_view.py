# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator is shown is what was said last, with its age, and nothing that is not true."""

import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Point
from sensor_msgs.msg import JointState, Range
from std_msgs.msg import Header, String
from visualization_msgs.msg import ImageMarker, Marker, MarkerArray

from magma_ros.nodes import convert
from magma_ros.nodes.console_view import ConsoleView, plain
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.types import Mode, Pose, StopReason


@pytest.fixture
def view(clock):
    return ConsoleView(GripperJoint("finger", 0.04, 0.0, 20.0), 0.35, clock.now)


def status(text="", name="", level=DiagnosticStatus.OK, **values):
    return convert.status_message(level, name, text, values)


def mode(mode=Mode.AUTO, reason=None, **values):
    text = (reason or mode).sentence
    given = {"mode": mode.name, "reason": reason.name if reason else "", "scale": 1.0}
    return status(text, "guard", **(given | values))


def plan(slack_ms=5.0, **values):
    given = {"reason": "CONFIDENT", "depth": 2, "exits": 3, "probability": 0.9}
    return status("", "policy", slack_ms=slack_ms, **(given | values))


def twist(speed):
    stamp = convert.to_stamp(1.0)
    return convert.twist_to_message(np.array([0, speed, 0, 0, 0, 1.0]), "base", stamp)


def test_nothing_was_heard_of_what_is_not_there(view):
    now = view.now()
    assert now.guard.mode is None
    for age in (now.guard.age, now.policy.age, now.policy.plan_age, now.recorder.age):
        assert math.isinf(age)
    assert math.isnan(now.clearance)
    assert math.isnan(now.opening)
    assert now.position is None


def test_mode_is_shown_with_reason_sentence_and_age(view, clock):
    view.on_mode(mode(Mode.HOLD, StopReason.STATE_SILENT, detail="for 0.4 s", scale=0.5))
    clock.time += 2.0
    guard = view.now().guard
    assert (guard.mode, guard.reason) == (Mode.HOLD, "STATE_SILENT")
    assert guard.sentence == StopReason.STATE_SILENT.sentence
    assert (guard.detail, guard.scale, guard.speed_limit) == ("for 0.4 s", 0.5, 0.35)
    assert guard.age == pytest.approx(2.0)


def test_speed_is_that_of_the_commands_and_zero_once_there_are_none(view, clock):
    view.on_twist(twist(0.2))
    assert view.now().guard.speed == pytest.approx(0.2)
    clock.time += 0.5
    assert view.now().guard.speed == 0.0


def test_plans_and_those_that_were_late_are_counted(view):
    for slack in (5.0, -1.0, 3.0):
        view.on_plan(plan(slack))
    policy = view.now().policy
    assert (policy.plans, policy.late, policy.depth, policy.exits) == (3, 1, 2, 3)
    assert policy.slack == pytest.approx(0.003)
    assert policy.doubt == pytest.approx(0.1)


def test_plan_grows_older_while_the_policy_is_silent(view, clock):
    view.on_health(status(plan_age_s=0.2, waiting_for="a picture", fault=""))
    clock.time += 1.0
    policy = view.now().policy
    assert policy.plan_age == pytest.approx(1.2)
    assert policy.waiting_for == "a picture"


def test_help_is_shown_only_while_the_guard_holds_for_it(view):
    view.on_help(String(data="The deepest exit disagrees."))
    view.on_mode(mode(Mode.AUTO))
    assert view.now().policy.help == ""
    view.on_mode(mode(Mode.HOLD, StopReason.HELP_REQUESTED))
    assert view.now().policy.help == "The deepest exit disagrees."
    view.on_mode(mode(Mode.TELEOP))
    assert view.now().policy.help == ""


def test_intention_lies_across_the_picture_it_was_made_for(view, clock):
    marker = ImageMarker(
        header=Header(frame_id="front_camera_optical"),
        ns=convert.TRACE_NAMESPACE,
        id=0,
        points=[Point(x=32.0, y=12.0), Point(x=64.0, y=48.0)],
    )
    view.on_trace(marker)
    clock.time += 0.5
    paths, age = view.intended("front_camera_optical", 64, 48)
    assert paths == {"gripper": ((0.5, 0.25), (1.0, 1.0))}
    assert age == pytest.approx(0.5)
    assert view.intended("wrist_camera_optical", 64, 48) == ({}, math.inf)


def test_marks_and_clearance_are_forgotten_when_nobody_says_them_any_more(view, clock):
    mark = Marker(ns="front", id=3, points=[Point(x=1.0, y=2.0)])
    mark.pose.position.x, mark.pose.position.y = 80.0, 170.0
    broken = Marker(ns="front", id=4)
    broken.pose.position.x = math.nan
    view.on_marks(MarkerArray(markers=[mark, broken]))
    view.on_clearance(Range(range=0.4, min_range=0.0, max_range=3.0))
    (shown,) = view.now().marks
    assert (shown.number, shown.camera, shown.point) == (3, "front", (80.0, 170.0))
    assert view.now().clearance == pytest.approx(0.4)
    clock.time += 5.0
    assert view.now().marks == ()
    assert math.isnan(view.now().clearance)


def test_diagnostics_come_worst_first_grow_stale_and_are_dropped(view, clock):
    told = [
        status("fine", "a: ok", rate_hz=50.0),
        status("bad", "b: bad", DiagnosticStatus.ERROR),
        status("so so", "c: odd", DiagnosticStatus.WARN),
    ]
    view.on_diagnostics(DiagnosticArray(status=told))
    assert [entry.level for entry in view.now().diagnostics] == ["ERROR", "WARN", "OK"]
    assert view.now().diagnostics[-1].values == {"rate_hz": "50"}
    clock.time += 10.0
    assert {entry.level for entry in view.now().diagnostics} == {"STALE"}
    clock.time += 60.0
    view.on_diagnostics(DiagnosticArray(status=told[:1]))
    assert [entry.name for entry in view.now().diagnostics] == ["a: ok"]


def test_flood_of_names_leaves_no_more_than_can_be_shown(view):
    for batch in range(10):
        flood = [status("", f"{batch}-{number}") for number in range(100)]
        view.on_diagnostics(DiagnosticArray(status=flood))
    assert len(view.now().diagnostics) <= 200


def test_state_of_the_arm_is_shown(view):
    view.on_pose(Pose(1.0, np.array([0.1, 0.2, 0.3])))
    view.on_joints(JointState(name=["finger"], position=[0.01]))
    view.on_joints(JointState(name=["elbow"], position=[1.0]))
    now = view.now()
    assert now.position == (0.1, 0.2, 0.3)
    assert now.opening == pytest.approx(0.25)


def test_text_from_outside_is_one_line_of_printable_characters():
    assert plain("a\x1b[2J\r\n\u202e b\x00") == "a [2J b"
    assert len(plain("x" * 10_000)) == 500


@pytest.mark.parametrize("name", ["", "auto", "NONSENSE"])
def test_unknown_mode_is_refused_and_the_last_one_stays(view, name):
    view.on_mode(mode(Mode.AUTO))
    with pytest.raises(convert.MessageError):
        view.on_mode(status(mode=name, scale=1.0))
    assert view.now().guard.mode is Mode.AUTO
