# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server over real sockets: who gets in, what they get, and how it begins and ends."""

import json
import logging
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from magma_ros.console.config import ConsoleConfig, ConsoleError
from magma_ros.console.robot import Verb
from magma_ros.console.server import ConsoleServer

TOKEN = "correct horse battery"
SOCKETS = ExitStack()
WEB = httpx.Client(verify=False)  # one for all, as making one takes long
CERTIFICATE = str(Path(__file__).with_name("localhost.pem"))


def no_page(app, robot) -> None:
    """These tests start many servers, and NiceGUI takes long to start."""

    @app.get("/")
    def root() -> dict:
        return {"page": True}


@pytest.fixture
def robot(robot):
    robot.now = time.monotonic
    return robot


@pytest.fixture
def serve(robot):
    """Start servers that end with the test."""
    started = []

    def start(**settings) -> ConsoleServer:
        server = ConsoleServer(robot, ConsoleConfig(**{"port": 0, **settings}), no_page)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def sockets(serve):
    """Sockets are closed with the test, before the servers."""
    yield
    SOCKETS.close()


def link(server, origin=None, path="link", **kwargs):
    url = server.url.replace("http", "ws", 1) + path
    return SOCKETS.enter_context(connect(url, origin=origin or server.url.rstrip("/"), **kwargs))


def enter(server, name="Ann", **kwargs):
    """A socket that has said hello, and whose clock is known."""
    socket = link(server, **kwargs)
    say(socket, type="hello", protocol=1, name=name)
    answer_ping(socket)
    return socket


def say(socket, **frame) -> None:
    socket.send(json.dumps(frame))


def hear(socket, kind) -> dict:
    for _ in range(200):
        frame = json.loads(socket.recv(timeout=30))
        if frame["type"] == kind:
            return frame
    raise AssertionError(f"no {kind} frame came")


def send_often(socket, message) -> None:
    for _ in range(30):
        socket.send(message)
    hear(socket, "an end")


def answer_ping(socket) -> None:
    say(socket, type="pong", id=hear(socket, "ping")["id"], at=time.monotonic())


def jog(socket, seq) -> None:
    at = time.monotonic()
    frame = {"type": "jog", "seq": seq, "at": at, "hold": 1, "frame": "base"}
    say(socket, **frame, twist=[1, 0, 0, 0, 0, 0])


def drive(server, **kwargs) -> object:
    """A socket that moves the robot right now."""
    socket = enter(server, **kwargs)
    say(socket, type="lease", id=1, wish="ask")
    assert hear(socket, "answer")["accepted"]
    jog(socket, 1)
    return socket


def wait_for(condition, what) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


# Beginning and ending


def test_a_taken_port_is_named(serve):
    taken = serve().port
    with pytest.raises(ConsoleError, match=f"cannot listen on 127.0.0.1, port {taken}"):
        serve(port=taken)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"host": "0.0.0.0"}, "demands a token"),
        ({"host": ""}, "demands a token"),
        ({"host": "192.0.2.1"}, "demands a token"),
        ({"host": "::"}, "demands a token"),
        ({"token": "short"}, "has 5 characters; it needs 16"),
        ({"port": 70000}, "port must be 0 to 65535"),
        ({"tls_certificate": "/nowhere.pem"}, "there is no file /nowhere.pem"),
        ({"tls_key": CERTIFICATE}, "tls_key needs a tls_certificate"),
        ({"tls_certificate": __file__}, "cannot be used with its key"),
        ({"host": "no such host.invalid", "token": TOKEN}, "cannot listen on no such host"),
        ({"linear_speed": float("nan")}, "linear_speed must be above 0"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_one_sentence(serve, settings, sentence):
    with pytest.raises(ConsoleError, match=sentence) as caught:
        serve(**settings)
    assert "\n" not in str(caught.value)


def test_who_starts_it_reads_where_it_is_and_what_is_at_risk(serve):
    server = serve(host="0.0.0.0", token="auto")
    address, token, warning = server.notes
    assert address.endswith(f":{server.port}/")
    assert len(token.removeprefix("Its token is ")) >= 32
    assert "without encryption" in warning
    assert len(serve(token=TOKEN, tls_certificate=CERTIFICATE).notes) == 1


def test_it_ends_within_a_second_and_releases_with_browsers_connected(serve, robot):
    server = serve()
    driver, watcher = drive(server), enter(server, "Bob")
    silent = socket.create_connection(("127.0.0.1", server.port))  # says nothing at all
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 10.0  # a second, and what a busy machine adds
    assert robot.releases[-1] > robot.jogs[-1][0]
    for each in (driver, watcher):
        with pytest.raises(ConnectionClosed) as caught:
            hear(each, "never")
        assert caught.value.rcvd.code == 1001
    silent.close()
    wait_for(
        lambda: not [t for t in threading.enumerate() if t.name == "console"], "the thread's end"
    )


def test_the_whole_console_can_be_started_again(robot):
    """As a node is that is deactivated and activated again."""
    for _ in range(2):
        server = ConsoleServer(robot, ConsoleConfig(port=0))
        server.start()
        page = WEB.get(server.url)
        server.stop()
        assert page.status_code == 200
        assert "/static/console.js" in page.text
        assert page.headers["cache-control"] == "no-store"


# The link


def test_a_driver_who_is_cut_off_releases_at_once(serve, robot):
    server = serve()
    driver = drive(server)
    wait_for(lambda: robot.jogs, "a jog")
    robot.releases.clear()
    driver.socket.close()  # as when the browser's process is killed
    wait_for(lambda: robot.departures, "the operator's departure")
    wait_for(lambda: server.hub.lease.holder == "", "the lease to be free")


def test_silence_releases_when_the_frame_expires(serve, robot):
    drive(serve())
    wait_for(lambda: robot.jogs, "a jog")
    heard, _ = robot.jogs[-1]
    wait_for(lambda: robot.departures, "the operator's departure")
    assert 0.1 < robot.departures[0] - heard < 5.0  # test_link_motion bounds it, by its own clock


def test_a_stop_does_not_wait_for_what_else_was_asked(serve, robot):
    free = threading.Event()
    slow = robot.request

    def request(verb):
        if verb is not Verb.STOP:
            free.wait(10)
        return slow(verb)

    robot.request = request
    server = serve()
    driver, other = drive(server), enter(server, "Bob")
    for number in range(8):
        say(driver, type="verb", id=number + 10, verb="reset")
    for number in range(3):
        say(other, type="verb", id=number + 20, verb="stop")
        assert hear(other, "answer")["id"] == number + 20
    assert robot.asked[0] == (Verb.STOP,)
    free.set()
    assert hear(driver, "answer")["accepted"]


def test_a_request_that_breaks_is_answered(serve, robot, caplog):
    def request(verb):
        raise RuntimeError("broken on purpose")

    robot.request = request
    socket = enter(serve())
    say(socket, type="verb", id=1, verb="stop")
    assert "the request failed" in hear(socket, "answer")["sentence"]
    say(socket, type="verb", id=2, verb="stop")
    assert hear(socket, "answer")["id"] == 2


def test_every_request_reaches_the_robot(serve, robot):
    socket = drive(serve())
    say(socket, type="instruct", id=2, text="push\nthe <b>red</b> block")
    say(socket, type="record", id=3, on=True)
    say(socket, type="label", id=4, verdict="good", note="neat")
    say(socket, type="verb", id=5, verb="hand_back")
    assert {hear(socket, "answer")["id"] for _ in range(4)} == {2, 3, 4, 5}
    assert set(robot.asked) == {
        ("instruct", "push the <b>red</b> block"),
        ("record", True),
        ("label", "good", "neat"),
        (Verb.HAND_BACK,),
    }


@pytest.mark.parametrize(
    "rubbish",
    ["{", "[" * 4000, b"\x00\xff", "x" * 5000, "x" * 300_000],
    ids=["half", "deep", "binary", "long", "huge"],
)
def test_rubbish_ends_in_a_closed_socket_and_no_traceback(serve, caplog, rubbish):
    server = serve()
    socket = enter(server)
    with pytest.raises(ConnectionClosed):
        send_often(socket, rubbish)
    assert enter(server, "Bob")
    # The client of this test may log of its own socket that was closed on it.
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert not [record for record in ours if record.exc_info]


def test_invalid_utf8_ends_the_socket_and_no_more(serve, caplog):
    server = serve()
    socket = enter(server)
    socket.socket.sendall(b"\x81\x82\x00\x00\x00\x00\xff\xfe")  # a masked text frame
    with pytest.raises(ConnectionClosed):
        hear(socket, "never")
    assert enter(server, "Bob")
    assert not [r for r in caplog.records if r.exc_info and r.levelno >= logging.WARNING]


# Who gets in


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:{port}.evil.example",
        "file://",
    ],
)
def test_a_page_of_another_site_reaches_nothing(serve, origin):
    server = serve()
    origin = origin.format(port=server.port)
    with pytest.raises(InvalidStatus) as caught:
        link(server, origin=origin)
    assert caught.value.response.status_code == 403
    for method, path in (("GET", ""), ("POST", "login"), ("GET", "_nicegui_ws/socket.io/")):
        response = WEB.request(method, server.url + path, headers={"origin": origin})
        assert response.status_code == 403


def test_a_socket_or_a_post_without_origin_is_refused(serve):
    server = serve()
    with pytest.raises(InvalidStatus) as caught:
        connect(server.url.replace("http", "ws") + "link", origin=None).__enter__()
    assert caught.value.response.status_code == 403
    assert WEB.post(server.url + "login").status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1:{port}", 200),
        ("[::1]:9", 200),
        ("robot.example", 200),
        ("evil.example:{port}", 421),
        ("192.0.2.1", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_name_that_was_made_to_point_here_is_none_of_ours(serve, host, status):
    server = serve(allowed_hosts=("robot.example",))
    headers = {"host": host.format(port=server.port)}
    assert WEB.get(server.url, headers=headers).status_code == status


@pytest.fixture
def locked(serve):
    server = serve(token=TOKEN)
    origin = server.url.rstrip("/")
    with httpx.Client(base_url=origin, headers={"origin": origin}, verify=False) as client:
        yield server, client


def test_without_login_there_is_the_login_page_and_nothing_else(locked):
    server, client = locked
    page = client.get("/", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert client.get("/login").status_code == 200
    assert client.get("/static/login.css").status_code == 200
    for path in ("/", "/session", "/static/link.js", "/_nicegui_ws/socket.io/", "/watch", "/docs"):
        assert client.get(path).status_code == 401
    assert client.get(f"/?token={TOKEN}").status_code == 401
    for path in ("link", "watch", "_nicegui_ws/socket.io/"):
        with pytest.raises(InvalidStatus) as caught:
            link(server, path=path)
        assert caught.value.response.status_code == 401


def test_the_token_opens_a_session_that_scripts_and_other_sites_cannot_read(locked):
    server, client = locked
    response = client.post("/login", data={"token": TOKEN})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert TOKEN not in cookie
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word.lower() in cookie.lower()
    assert client.get("/session").json() == {"open": True}
    pair = cookie.split(";")[0]
    enter(server, additional_headers={"cookie": pair})
    assert client.post("/logout").headers["location"] == "/login"
    with pytest.raises(InvalidStatus):
        link(server, additional_headers={"cookie": pair})


def test_logging_out_closes_every_socket_of_the_login_and_releases_at_once(locked, robot):
    server, client = locked
    driver, other = (
        client.post("/login", data={"token": TOKEN}).headers["set-cookie"].split(";")[0]
        for _ in range(2)
    )
    driving = drive(server, additional_headers={"cookie": driver})
    beside = enter(server, "Bob", additional_headers={"cookie": driver})
    staying = enter(server, "Cy", additional_headers={"cookie": other})
    wait_for(lambda: robot.jogs, "a jog")
    out = httpx.post(
        f"{server.url}logout", headers={"origin": server.url.rstrip("/"), "cookie": driver}
    )
    assert out.headers["location"] == "/login"
    wait_for(lambda: robot.departures and not robot.moves, "the operator's departure")
    wait_for(lambda: server.hub.lease.holder == "", "the lease to be free")
    for closed in (driving, beside):
        with pytest.raises(ConnectionClosed) as caught:
            send_often(closed, json.dumps({"type": "pong", "id": 0, "at": 0.0}))
        assert caught.value.rcvd.code == 1008
    assert hear(staying, "state")["you"]["holds"] is False


def test_guessing_is_locked_out_in_words(locked):
    _, client = locked
    answers = [client.post("/login", data={"token": f"guess {n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert "Too many wrong tokens: wait 1 s" in answers[-1].text
    assert answers[-1].headers["retry-after"] == "1"
    assert client.post("/login", data={"token": TOKEN}).status_code == 429


def test_a_form_that_is_too_long_or_no_form_is_refused(locked):
    _, client = locked
    assert client.post("/login", data={"token": "x" * 10_000}).status_code == 413
    assert client.post("/login", content=b"\xff\xfe&&==").status_code == 401


def test_every_answer_carries_the_headers_that_keep_others_out(locked):
    _, client = locked
    for path in ("/login", "/", "/static/login.css"):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
    assert "script" not in client.get("/login").headers["content-security-policy"]


def test_with_a_certificate_everything_is_encrypted(serve):
    server = serve(token=TOKEN, tls_certificate=CERTIFICATE)
    assert server.url.startswith("https://")
    trusted = ssl.create_default_context(cafile=CERTIFICATE)
    origin = {"origin": server.url.rstrip("/")}
    response = httpx.post(
        server.url + "login", data={"token": TOKEN}, verify=trusted, headers=origin
    )
    cookie = response.headers["set-cookie"]
    assert "Secure" in cookie
    headers = {"cookie": cookie.split(";")[0]}
    assert enter(server, ssl=trusted, additional_headers=headers)
