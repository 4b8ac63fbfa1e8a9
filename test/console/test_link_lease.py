# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One operator at a time; who asks is heard, and nobody can keep the robot by being absent."""

import pytest


def test_a_free_lease_goes_to_who_asks(browser, hub):
    assert browser("Ann").lease()["accepted"]
    assert hub.lease.holder == "Ann"


def test_a_holder_is_asked_and_may_grant_or_keep(browser, hub):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    assert "Ann has 10 s to answer" in bob.lease()["sentence"]
    assert (hub.lease.holder, hub.lease.asking) == ("Ann", "Bob")
    assert ann.lease("keep")["accepted"]
    assert (hub.lease.holder, hub.lease.asking) == ("Ann", "")
    bob.lease()
    assert ann.lease("grant")["accepted"]
    assert (hub.lease.holder, hub.lease.asking) == ("Bob", "")


def test_a_holder_who_does_not_answer_loses_the_lease_after_ten_seconds(
    browser, hub, pass_time, robot
):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    bob.lease()
    pass_time(9.8, ann, bob)
    assert hub.lease.holder == "Ann"
    pass_time(0.3, ann, bob)
    assert hub.lease.holder == "Bob"


def test_a_third_who_asks_is_told_to_wait(browser):
    ann, bob, eve = browser("Ann"), browser("Bob"), browser("Eve")
    ann.lease()
    bob.lease()
    said = eve.lease()
    assert not said["accepted"]
    assert "somebody else asks" in said["sentence"]


def test_only_the_holder_grants(browser, hub):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    bob.lease()
    assert not bob.lease("grant")["accepted"]
    assert hub.lease.holder == "Ann"


def test_who_waits_gets_what_is_dropped_and_who_left_gets_nothing(browser, hub):
    ann, bob, eve = browser("Ann"), browser("Bob"), browser("Eve")
    ann.lease()
    bob.lease()
    ann.lease("drop")
    assert hub.lease.holder == "Bob"
    eve.lease()
    hub.leave(eve.client)
    bob.lease("drop")
    assert hub.lease.holder == ""


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "verb", "verb": "take_over"},
        {"type": "verb", "verb": "hand_back"},
        {"type": "verb", "verb": "reset"},
        {"type": "instruct", "text": "push"},
        {"type": "record", "on": True},
        {"type": "label", "verdict": "good"},
    ],
    ids=lambda frame: frame.get("verb", frame["type"]),
)
def test_what_changes_the_robots_task_needs_the_lease(browser, frame):
    ann, bob = browser("Ann"), browser("Bob")
    assert "nobody holds the lease" in bob.say(id=1, **frame)["sentence"]
    ann.lease()
    said = bob.say(id=2, **frame)
    assert said == {
        "type": "answer",
        "id": 2,
        "accepted": False,
        "sentence": "Ann holds the lease; ask for it, or watch",
    }
    assert not bob.requests
    ann.say(id=3, **frame)
    assert [ask.id for ask in ann.requests] == [3]


def test_everybody_sees_who_holds_and_who_asks(browser, pass_time):
    ann, bob = browser("Ann"), browser("Bob")
    ann.lease()
    bob.lease()
    pass_time(0.2, ann, bob)
    state = ann.told("state")[-1]
    assert state["lease"] | {"left": 0} == {
        "holder": "Ann",
        "asking": "Bob",
        "left": 0,
        "names": ["Ann", "Bob"],
    }
    assert 9.0 < state["lease"]["left"] < 10.0
    assert (state["you"]["holds"], state["you"]["asks"]) == (True, False)
    assert bob.told("state")[-1]["you"]["asks"]


@pytest.mark.parametrize(
    ("wished", "shown"),
    [
        ("Ann", "Ann"),
        ("  Ann \t of\nOps ", "Ann of Ops"),
        ("\x1b[2J\u202eAnn\u0000", "[2J Ann"),
        ("<b>Ann</b>", "<b>Ann</b>"),
        ("x" * 100, "x" * 32),
        ("", "operator 1"),
        ("\u200b", "operator 1"),
    ],
)
def test_names_are_one_short_line_without_control_characters(browser, hub, wished, shown):
    browser(wished).lease()
    assert hub.lease.holder == shown


def test_no_two_names_are_alike(browser, hub):
    for _ in range(3):
        browser("Ann")
    assert hub.lease.names == ("Ann", "Ann (2)", "Ann (3)")
