# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The line to a server: nobody who asks waits, and whatever the server does is named."""

import threading
import time

import numpy as np
import pytest
from stranger import StrangerServer

from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.remote.address import Address, read_address
from magma_ros.remote.client import FarClient
from magma_ros.remote.error import RemoteError
from magma_ros.remote.ledger import LineRules, LineState
from magma_ros.remote.plans import Expected
from magma_ros.remote.remote_file import FarContract, Keys
from magma_ros.types import MonotonicClock, Observation

ACTION = ActionContract(
    chunk_length=8,
    step_period=0.1,
    q01=(-0.02,) * 6 + (0.0,),
    q99=(0.02,) * 6 + (1.0,),
    mask=(True,) * 6 + (False,),
)
TAKEN = ObservationContract(
    cameras=(CameraContract(name="front", height=32, width=48),),
    proprioception=("ee_x", "ee_y"),
    max_tokens=12,
)
KEYS = Keys(images={"front": "observation/image"})
STEPS = {"actions": np.full((8, 7), 0.01, np.float32)}
CLOCK = MonotonicClock()


def seen(stamp):
    picture = np.full((64, 96, 3), 200, np.uint8)
    return Observation(stamp, {"front": picture}, np.array([0.1, 0.2]), ("ee_x", "ee_y"), "push it")


def until(condition, seconds=8.0):
    end = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.005)
    return held


@pytest.fixture
def opened():
    """Serve an answer and open a line to it; both are closed after the test."""
    made = []

    def open_line(answer=lambda _: STEPS, *, patience=5.0, encoding=None, token="", **server):
        stranger = StrangerServer(answer, **server)
        contract = FarContract(TAKEN, Expected(ACTION, 9), KEYS, encoding)
        told = []
        line = FarClient(
            Address(stranger.address, token),
            contract,
            LineRules(patience=patience),
            quality=lambda: 60,
            log=lambda state, sentence: told.append(sentence),
        )
        line.told = told
        made.extend([line.close, stranger.kill])
        return line, stranger

    yield open_line
    for close in made:
        close()


def asked(line, stamp, allowance=2.0):
    """Ask, and return the newest answer once this question has one, or counts as lost.

    The line's own wait is no longer than the answers before took, which on a busy machine may be
    too short.
    """
    assert until(lambda: line.ledger().connected)
    now = CLOCK.now()
    line.ask(seen(stamp), now, now + allowance)
    assert until(lambda: line.ledger().pending is None)
    return line.newest


def test_a_plain_openpi_server_is_asked_and_answers(opened):
    line, stranger = opened()
    plan = asked(line, 5.0)
    assert plan.chunk.stamp == 5.0
    question = stranger.questions[0]
    assert question["observation/image"].shape == (32, 48, 3)
    np.testing.assert_allclose(question["observation/state"], [0.1, 0.2])
    assert question["prompt"] == "push it"
    assert set(question) == {"observation/image", "observation/state", "prompt"}
    ledger = line.ledger()
    assert ledger.state is LineState.OPEN
    assert 0.0 < ledger.trips.typical() < 2.0


def test_pictures_travel_as_jpeg_where_that_is_said(opened):
    line, stranger = opened(encoding="jpeg")
    asked(line, 1.0)
    assert stranger.questions[0]["observation/image"][:2] == b"\xff\xd8"


def test_asking_returns_at_once_whatever_the_server_does(opened):
    hold = threading.Event()
    line, _ = opened(lambda _: hold.wait(5.0) and None)
    assert until(lambda: line.ledger().connected)
    began = time.monotonic()
    for tick in range(100):
        line.ask(seen(float(tick)), CLOCK.now(), CLOCK.now() + 0.08)
    assert time.monotonic() - began < 1.0
    hold.set()


def test_a_slow_answer_is_not_waited_for_past_the_deadline_and_kept(opened):
    line, _ = opened(lambda _: time.sleep(0.2) or STEPS)
    assert until(lambda: line.ledger().connected)
    deadline = CLOCK.now() + 0.05
    line.ask(seen(1.0), CLOCK.now(), deadline)
    line.wait(1.0, deadline)
    assert line.newest is None
    assert until(lambda: line.newest)
    assert line.newest.chunk.stamp == 1.0


@pytest.mark.parametrize("killed", [False, True])
def test_waiting_ends_with_the_answer_or_with_the_line(opened, killed):
    hold = threading.Event()
    line, stranger = opened(lambda _: hold.wait(60.0) and STEPS, patience=60.0)
    assert until(lambda: line.ledger().connected)
    now = CLOCK.now()
    line.ask(seen(1.0), now, now + 50.0)
    assert until(lambda: stranger.questions)
    end = threading.Timer(0.3, stranger.kill if killed else hold.set)
    end.start()
    line.wait(1.0, now + 50.0)  # on a line that nothing is known of, an answer may be hoped for
    assert 0.3 <= CLOCK.now() - now < 25.0
    assert (line.newest is None) == killed
    hold.set()
    end.join()


def test_a_silent_server_is_named_and_asked_again(opened):
    silent = [True]
    line, _ = opened(lambda _: None if silent[0] else STEPS, patience=1.0)
    assert asked(line, 1.0) is None
    assert until(lambda: line.ledger().state is LineState.SILENT)
    assert "has not answered for 1 s" in line.ledger().sentence
    silent[0] = False
    assert until(lambda: asked(line, 2.0) is not None)
    assert line.ledger().state is LineState.OPEN
    assert line.ledger().counts.lost == 1


def test_a_server_that_is_killed_in_the_middle_is_found_again(opened):
    hold = threading.Event()
    line, stranger = opened(lambda _: hold.wait(5.0) and STEPS, patience=10.0)
    assert until(lambda: line.ledger().connected)
    line.ask(seen(1.0), CLOCK.now(), CLOCK.now() + 5.0)
    assert until(lambda: stranger.questions)
    hold.set()
    stranger.kill()
    assert until(lambda: line.ledger().pending is None)  # cut off, or answered just before
    assert line.hope(1.0) < CLOCK.now()
    stranger.start()
    assert until(lambda: asked(line, 2.0) is not None)
    assert any("cut" in sentence for sentence in line.told)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"\xc1garbage", "msgpack type 0xc1"),
        ({"actions": np.zeros((8, 8))}, "plans 8 x 8"),
        ({"actions": np.full((8, 7), np.inf)}, "must be finite"),
        ({"error": "tired"}, "failed: tired"),
        ({"plan": 1}, "answers without 'actions'"),
    ],
)
def test_an_answer_that_is_no_plan_is_refused_and_the_line_goes_on(opened, answer, says):
    answers = [answer, STEPS]
    line, _ = opened(lambda _: answers.pop(0))
    assert asked(line, 1.0) is None
    ledger = line.ledger()
    assert says in ledger.sentence
    assert ledger.counts.refused == 1
    assert asked(line, 2.0).chunk.stamp == 2.0


def test_a_server_that_has_no_time_is_told_from_one_that_fails(opened):
    answers = [{"error": "no plan would be ready in time", "busy": True}, STEPS]
    line, _ = opened(lambda _: answers.pop(0))
    assert asked(line, 1.0) is None
    ledger = line.ledger()
    assert ledger.state is LineState.BUSY
    assert "no plan would be ready in time" in ledger.sentence
    assert asked(line, 2.0).chunk.stamp == 2.0
    assert line.ledger().state is LineState.OPEN


def test_a_server_that_fails_is_quoted_in_one_line(opened):
    answers = [0, 1]
    line, _ = opened(lambda _: 1 / answers.pop(0) and STEPS)
    assert asked(line, 1.0) is None
    assert "failed: ZeroDivisionError: division by zero" in line.ledger().sentence


def test_a_token_is_sent_and_never_told(opened):
    line, _ = opened(token="s3cret")
    assert "s3cret" not in repr(line._address)
    line, stranger = opened(token="wrong-s3cret")
    stranger.token = "right"
    stranger.kill()
    stranger.start()
    assert until(lambda: "HTTP 401" in line.ledger().sentence)
    assert "remote.token_file" in line.ledger().sentence
    assert not any("s3cret" in sentence for sentence in line.told)


def test_answers_to_what_was_asked_before_are_dropped(opened):
    line, _ = opened(lambda _: time.sleep(0.05) or STEPS, patience=2.0)
    assert asked(line, 1.0)
    line.ask(seen(2.0), CLOCK.now(), CLOCK.now() + 1.0)
    line.forget()
    assert line.newest is None
    assert until(lambda: line.ledger().pending is None)
    assert line.newest is None


def metadata(**changed):
    action = ACTION.model_dump(mode="json", by_alias=True) | changed.pop("action", {})
    taken = TAKEN.model_dump(mode="json") | changed.pop("observation", {})
    return {"server": "magma_ros", "policy": "far", "action": action, "observation": taken}


def test_magma_serve_is_asked_in_its_own_words(opened):
    line, stranger = opened(metadata=metadata(observation={"proprioception": ["ee_y", "ee_x"]}))
    assert asked(line, 3.0).chunk.stamp == 3.0
    question = stranger.questions[0]
    assert question["images"]["front"][:2] == b"\xff\xd8"
    np.testing.assert_allclose(question["state"], [0.2, 0.1])
    assert question["request"]["stamp"] == 3.0
    assert 0.0 < question["request"]["time_left"] <= 2.0


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (metadata(action={"step_period": 0.2}), "steps [s] of 0.2, but this robot takes 0.1"),
        (metadata(action={"frame": "tool0"}), "the frame tool0"),
        (metadata(action={"kind": "ee_dance"}), "action in the server's metadata"),
        (metadata(observation={"proprioception": ["joint_9"]}), "measured value joint_9"),
        ({"server": "magma_ros", "exits": "many"}, "the server's metadata is not understood"),
    ],
)
def test_a_policy_for_another_robot_is_refused_when_the_line_is_opened(opened, told, says):
    line, stranger = opened(metadata=told)
    assert until(lambda: line.ledger().state is LineState.REFUSED)
    assert says in line.ledger().sentence
    line.ask(seen(1.0), CLOCK.now(), CLOCK.now() + 0.1)
    assert not stranger.questions


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("10.0.0.3:9000", "ws://10.0.0.3:9000"),
        ("far.example", "ws://far.example:8000"),
        ("wss://far.example/policy", "wss://far.example/policy"),
    ],
)
def test_addresses_are_read_as_people_write_them(address, uri):
    assert read_address(address).uri == uri


@pytest.mark.parametrize("address", ["http://x", "ws://", "ws://x:port", "ws://u:p@x:1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(RemoteError, match="must be ws://HOST:PORT"):
        read_address(address)


def test_a_token_never_travels_in_clear_to_another_machine(tmp_path):
    file = tmp_path / "token"
    file.write_text("abcdef0123456789\n")
    assert read_address("ws://127.0.0.1:8000", str(file)).headers == {
        "Authorization": "Api-Key abcdef0123456789"
    }
    with pytest.raises(RemoteError, match="in clear"):
        read_address("ws://10.0.0.3:8000", str(file))
    assert read_address("wss://10.0.0.3:8000", str(file)).token


@pytest.mark.parametrize("content", ["", "two words", "a\nb", "\x00"])
def test_a_file_that_holds_no_token_is_refused(tmp_path, content):
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(RemoteError, match="must hold one token"):
        read_address("127.0.0.1:8000", str(file))
