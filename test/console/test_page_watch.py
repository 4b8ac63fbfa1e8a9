# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from magma_ros.console.page.telemetry import Telemetry
from magma_ros.console.page.watch import MOST_PICTURES, VIEW_PERIOD, Watcher, serve
from magma_ros.types import MagmaError

BOTH = '{"view": true, "pictures": {"front": -1}}'


@pytest.fixture
def watcher(stand_in, clock):
    return Watcher(Telemetry(stand_in.RobotStandIn(frozen={"front": 5.0}), clock))


def test_nothing_is_told_that_was_not_asked_for(watcher):
    assert list(watcher.answers(0.0)) == []


def test_a_page_that_reads_slowly_is_owed_one_view_and_one_picture_a_camera(watcher):
    for _ in range(100):
        watcher.ask(BOTH)
    view, picture = watcher.answers(0.0)
    assert json.loads(view)["guard"]["mode"] == "AUTO"
    assert picture.endswith(b"\xff\xd9")
    assert list(watcher.answers(10.0)) == []


def test_views_come_no_faster_than_ten_a_second(watcher):
    watcher.ask('{"view": true, "pictures": {}}')
    assert len(list(watcher.answers(1.0))) == 1
    watcher.ask('{"view": true, "pictures": {}}')
    assert list(watcher.answers(1.0 + VIEW_PERIOD / 2)) == []
    assert len(list(watcher.answers(1.0 + 1.01 * VIEW_PERIOD))) == 1


def test_a_picture_waits_until_there_is_a_newer_one(watcher):
    watcher.ask('{"view": true, "pictures": {"front": 5.0}}')
    assert len(list(watcher.answers(0.0))) == 1  # the view alone
    watcher._telemetry._robot.frozen["front"] = 5.1
    assert len(list(watcher.answers(0.01))) == 1


@pytest.mark.parametrize(
    "question",
    [
        "",
        "[]",
        "null",
        '{"view": true}',
        '{"view": 1, "pictures": {}}',
        '{"view": true, "pictures": {"front": "now"}}',
        '{"view": true, "pictures": [["front", 1]]}',
        '{"view": true, "pictures": {}, "more": 1}',
        '{"view": true, "pictures": {}}' + "[" * 100_000,
    ],
)
def test_a_question_that_is_none_is_refused_in_one_sentence(watcher, question):
    with pytest.raises(MagmaError, match="ask with"):
        watcher.ask(question)


def test_a_page_cannot_wait_for_any_number_of_cameras(watcher):
    for n in range(MOST_PICTURES):
        watcher.ask(json.dumps({"view": False, "pictures": {f"camera{n}": -1}}))
    with pytest.raises(MagmaError, match=str(MOST_PICTURES)):
        watcher.ask('{"view": false, "pictures": {"one more": -1}}')


@pytest.fixture
def socket(stand_in):
    app = FastAPI()
    serve(app, Telemetry(stand_in.RobotStandIn()))
    with TestClient(app) as client, client.websocket_connect("/watch") as socket:
        yield socket


def test_view_and_picture_come_over_one_socket(socket):
    socket.send_text(BOTH)
    assert json.loads(socket.receive_text())["cameras"][0]["name"] == "front"
    assert b"front\xff\xd8" in socket.receive_bytes()


@pytest.mark.parametrize("send", ["send_text", "send_bytes"])
def test_a_socket_that_talks_nonsense_is_closed(socket, send):
    getattr(socket, send)({"send_text": "nonsense", "send_bytes": b"\x00"}[send])
    with pytest.raises(WebSocketDisconnect):
        socket.receive_text()
