# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bad messages get one sentence each, then silence, then a closed socket; never motion."""

import json

import pytest

from magma_ros.console.client import QUEUE, Allowance, CloseCode, Outbox
from magma_ros.console.hub import CLIENTS, GIVE_UP, HELLO_TIMEOUT

JOG = {"type": "jog", "seq": 5, "hold": 1, "at": 1.0, "frame": "base", "twist": [0.0] * 6}


def jog(**changes):
    return json.dumps(JOG | changes)


BAD = {
    "oversized": ("x" * 5000, "at most 4096 bytes"),
    "oversized in bytes": ("ä" * 3000, "at most 4096 bytes"),
    "binary": (b"{}", "text messages only"),
    "empty": ("", "not valid JSON"),
    "truncated": (jog()[:-3], "not valid JSON"),
    "deep": ("[" * 4000, "not valid JSON"),
    "deep value": (jog()[:-1] + ',"x":' + "[" * 900 + "]" * 900 + "}", "not valid JSON"),
    "no object": ("[1, 2]", "JSON object with a 'type'"),
    "no type": ("{}", "JSON object with a 'type'"),
    "unknown type": ('{"type": "<b>fly"}', "of no known type"),
    "unknown verb": ('{"type": "verb", "id": 1, "verb": "<b>fly"}', "bad 'verb'"),
    "unknown field": (jog(sudo=True), "holds something unknown"),
    "NaN": (jog(twist=[float("nan")] + [0] * 5), "bad 'twist.0'"),
    "infinity": (jog(at=float("inf")), "bad 'at'"),
    "overflow": (jog().replace("1.0", "1e999"), "bad 'at'"),
    "huge": (jog(twist=[1e300] + [0] * 5), "bad 'twist.0'"),
    "string": (jog(twist=["1"] + [0] * 5), "bad 'twist.0'"),
    "boolean": (jog(seq=True), "bad 'seq'"),
    "negative": (jog(seq=-1), "bad 'seq'"),
    "fraction": (jog(hold=1.5), "bad 'hold'"),
    "too few": (jog(twist=[0, 0]), "bad 'twist'"),
    "gripper beyond open": (jog(gripper=1.1), "bad 'gripper'"),
    "no such frame": (jog(frame="moon"), "bad 'frame'"),
}


@pytest.mark.parametrize(("message", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_bad_message_is_refused_in_a_sentence_that_repeats_nothing_of_it(
    browser, robot, message, sentence
):
    ann = browser()
    ann.lease()
    ann.on_its_way.append(message)
    ann.arrive()
    ann.read()
    refused = ann.told("refused")
    assert len(refused) == 1
    assert sentence in refused[0]["sentence"]
    assert "<b>" not in refused[0]["sentence"]
    assert not robot.jogs
    assert ann.client.closing is None


def test_sentences_are_few_and_the_socket_is_closed_after_twenty(browser, clock):
    ann = browser()
    for number in range(1, 22):
        assert ann.client.closing is None
        ann.on_its_way.append("{")
        ann.arrive()
        ann.read()
        clock.time += 0.01
        assert len(ann.told("refused")) <= 6, f"after {number}"
    assert ann.client.closing.code is CloseCode.POLICY_VIOLATION


def test_an_occasional_bad_message_is_forgiven(browser, clock):
    ann = browser()
    for _ in range(60):
        ann.on_its_way.append("{")
        ann.arrive()
        ann.read()
        clock.time += 6.0
    assert ann.client.closing is None


def test_a_flood_of_good_messages_is_refused_and_ends(browser, robot):
    ann = browser()
    ann.lease()
    ann.hold = 1
    for _ in range(1100):
        ann.utter_jog()
    ann.arrive()
    assert len(robot.jogs) < 1000
    assert ann.client.closing.sentence == "too many messages were wrong"


def test_the_tail_of_a_long_stall_is_no_flood(browser, clock, hub):
    ann = browser()
    ann.lease()
    ann.hold = 1
    for _ in range(25 * 10):
        ann.utter_jog()
        clock.time += 0.04
        hub.tick()
    ann.arrive()
    assert ann.client.closing is None


def test_hello_comes_first_and_once_and_soon(hub, clock, make_world):
    early, twice, late = (make_world.browser(hub, clock) for _ in range(3))
    assert "must be hello" in early.lease()["sentence"]
    twice.enter()
    twice.utter(type="hello", protocol=1, name="Eve")
    twice.arrive()
    twice.read()
    assert "hello was said already" in twice.told("refused")[-1]["sentence"]
    hub.tick()
    for _ in range(int(HELLO_TIMEOUT / 0.05) + 2):
        clock.time += 0.05
        hub.tick()
    assert late.client.closing.sentence == "there was no hello"
    assert twice.client.closing is None


def test_a_page_of_another_version_is_told_to_reload(hub, clock, make_world):
    old = make_world.browser(hub, clock)
    old.utter(type="hello", protocol=0, name="Ann")
    old.arrive()
    assert "reload" in old.client.closing.sentence


def test_a_silent_connection_is_closed(browser, pass_time):
    ann = browser()
    pass_time(GIVE_UP + 0.2)
    assert ann.client.closing.sentence == "there was no sign of life"


def test_one_browser_too_many_is_turned_away(browser, hub):
    for number in range(CLIENTS):
        browser(f"{number}")
    assert "connected already" in hub.join(Outbox()).closing.sentence
    assert len(hub.lease.names) == CLIENTS


def test_a_browser_that_reads_nothing_keeps_the_newest_state_and_is_closed(browser, pass_time):
    ann, bob = browser("Ann"), browser("Bob")
    pass_time(5.0, ann)  # Bob is told of 50 states and 20 pings
    waiting = [json.loads(text)["type"] for text in iter(bob.client.outbox.take, None)]
    assert sorted(waiting) == ["ping", "state"]
    for number in range(QUEUE + 1):
        bob.utter(type="instruct", id=number, text="push")
    bob.arrive()
    assert bob.client.closing == (CloseCode.TRY_AGAIN_LATER, "the browser reads too slowly")
    assert ann.client.closing is None


def test_requests_wait_for_answers_but_a_stop_does_not(browser):
    ann = browser()
    ann.lease()
    for number in range(20):
        ann.say(type="instruct", id=number, text="push")
    assert len(ann.requests) == 8
    assert "too many requests" in ann.told("answer")[-1]["sentence"]
    ann.say(type="verb", id=99, verb="stop")
    assert ann.requests[-1].id == 99


def test_an_allowance_never_grows_beyond_its_burst():
    allowance = Allowance(burst=3, rate=1)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(1.0)
    assert not allowance.take(1.5)
    assert [allowance.take(1e6) for _ in range(4)] == [True, True, True, False]
