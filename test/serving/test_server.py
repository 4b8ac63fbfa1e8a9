# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server on a real socket: openpi's client is answered, everybody else gets a sentence."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from magma_ros.gate.baselines import FixedDepth
from magma_ros.listening import ListenError
from magma_ros.remote import fuzz
from magma_ros.remote.messages import Metadata, encode_picture, read_metadata, read_reply
from magma_ros.remote.wire import pack, unpack
from magma_ros.serving.config import ServingConfig
from magma_ros.serving.server import PolicyServer
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Confidence, ExitReading, Observation

from .conftest import TOKEN

CERTIFICATE = str(Path(__file__).parents[1] / "console" / "localhost.pem")


@pytest.fixture
def line():
    """Connections to servers, closed at the end of the test."""
    with ExitStack() as stack:

        def join(server, **options):
            address = f"ws://127.0.0.1:{server.port}"
            found = stack.enter_context(connect(address, compression=None, **options))
            found.metadata = read_metadata(unpack(found.recv(10)))
            return found

        yield join


def ask(found, message):
    found.send(pack(message))
    answer = found.recv(10)
    return answer if isinstance(answer, str) else read_reply(unpack(answer))


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager")
def test_openpi_client_is_answered_with_the_actions_of_the_policy(serve, nano, observation):
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    client = WebsocketClientPolicy("127.0.0.1", serve(gate="fixed").port)
    assert client.get_server_metadata()["policy"] == "magma-nano"
    answer = client.infer(observation)
    inference = nano.start(
        Observation(
            0.0,
            observation["images"],
            observation["state"],
            nano.manifest.observation.proprioception,
            observation["prompt"],
        )
    )
    readings = [reading for _ in range(5) if (reading := inference.advance())]
    assert answer["exit"] == readings[-1].depth == 3
    np.testing.assert_array_equal(answer["actions"], readings[-1].chunk.actions)
    assert answer["server_timing"]["infer_ms"] > 0.0
    assert len(answer["server_timing"]["stages_ms"]) == 5
    with pytest.raises(RuntimeError, match="there is no picture of camera front"):
        client.infer({"state": observation["state"]})
    assert client.infer(observation)["exit"] == 3


def test_openpis_usual_keys_are_understood(serve, observation, line):
    found = line(serve(gate="fixed"))
    usual = {
        "observation/image": observation["images"]["front"],
        "observation/wrist_image": np.moveaxis(observation["images"]["wrist"], 2, 0) / 255.0,
        "observation/state": list(map(float, observation["state"])),
        "prompt": observation["prompt"],
    }
    np.testing.assert_array_equal(ask(found, usual).actions, ask(found, observation).actions)


def test_pictures_may_come_as_jpeg(serve, observation, line):
    images = {name: encode_picture(i, 90) for name, i in observation["images"].items()}
    answer = ask(line(serve()), observation | {"images": images})
    assert answer.actions.shape == (8, 7)


def test_a_request_that_says_its_time_is_answered_in_it_late_or_refused(serve, observation, line):
    found = line(serve())
    answer = ask(found, observation | {"request": {"id": 4, "time_left": 2.0, "step": 17}})
    assert (answer.request.id, answer.request.step, answer.exits) == (4, 17, 6)
    assert answer.admitted
    late = ask(found, observation | {"request": {"id": 5, "time_left": 0.0}})
    assert (late.request.id, late.exit, late.admitted) == (5, 1, False)
    useless = ask(found, observation | {"request": {"id": 6, "time_left": 0.0, "useful": 0.0}})
    assert useless.actions is None
    assert useless.request.id == 6
    assert "no answer fits" in useless.error
    shallow = ask(found, observation | {"request": {"deepest": 1}})
    assert shallow.exit == 1


def test_answers_tell_how_busy_the_server_is(serve, observation, line):
    queue = ask(line(serve()), observation).queue
    assert queue.clients == 1
    assert list(queue.exits_ms) == sorted(queue.exits_ms)
    assert len(queue.exits_ms) == 6


def test_only_who_knows_the_token_gets_in_and_guessing_takes_ever_longer(serve, observation, line):
    server = serve(token=TOKEN)
    headers = {"additional_headers": {"Authorization": f"Api-Key {TOKEN}"}}
    assert ask(line(server, **headers), observation).exit
    for wrong in ({}, *[{"additional_headers": {"Authorization": "Api-Key x"}}] * 3):
        with pytest.raises(InvalidStatus) as refused:
            line(server, **wrong)
    assert refused.value.response.status_code == 429
    with pytest.raises(InvalidStatus):
        line(server, **headers)
    assert get(server, "healthz") == "OK\n"
    with pytest.raises(urllib.error.HTTPError):
        get(server, "status")


def get(server, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/{path}") as answer:
        return answer.read().decode()


def test_health_and_status_are_told(serve, observation, line):
    server = serve(gate="fixed")
    ask(line(server), observation)
    assert get(server, "healthz") == "OK\n"
    status = json.loads(get(server, "status"))
    assert (status["answered"], status["refused"], status["fairness"]) == ({"3": 1}, 0, 1.0)


def test_the_line_may_be_encrypted(serve, observation, line):
    server = serve(certificate=CERTIFICATE)
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    with connect(f"wss://localhost:{server.port}", ssl=trust, compression=None) as found:
        found.recv()
        assert ask(found, observation).exit
    with pytest.raises(InvalidMessage):
        line(server)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"host": "0.0.0.0"}, "demands a token"),
        ({"host": ""}, "all addresses"),
        ({"token": "short"}, "has 5 characters"),
        ({"key": CERTIFICATE}, "needs a certificate"),
        ({"port": 70000}, "port must be"),
        ({"clients": 0}, "clients must be"),
        ({"frame": 10}, "frames may have"),
        ({"time_limit": 0.0}, "time limit"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(ListenError, match=says):
        ServingConfig(**settings).check()


def test_an_address_of_the_network_may_be_open_if_that_is_said():
    ServingConfig(host="0.0.0.0", open=True).check()
    ServingConfig(host="0.0.0.0", token=TOKEN).check()


def test_a_taken_port_and_a_wrong_certificate_are_named(serve):
    server = serve()
    with pytest.raises(ListenError, match=f"port {server.port}"):
        asyncio.run(PolicyServer(server.engine, ServingConfig(port=server.port)).start())
    with pytest.raises(ListenError, match="cannot be used with its key"):
        serve(certificate=__file__)


def test_a_frame_that_is_too_large_ends_the_connection_and_nothing_else(serve, observation, line):
    server = serve(frame=100_000)
    found, other = line(server), line(server)
    found.send(pack(observation | {"more": np.zeros(200_000, np.uint8)}))
    with pytest.raises(ConnectionClosed) as closed:
        found.recv(5)
    assert closed.value.rcvd.code == 1009
    assert ask(other, observation).exit


def test_a_client_beyond_its_rate_is_told_and_then_disconnected(serve, observation, line):
    found = line(serve(rate=5.0))
    assert found.metadata.rate == 5.0
    answers = [ask(found, observation) for _ in range(8)]
    assert "more than 5 requests a second" in answers[-1]
    with pytest.raises(ConnectionClosed) as closed:
        ask_often(found, observation)
    assert closed.value.rcvd.code == 1008


def ask_often(found, observation):
    for _ in range(80):
        ask(found, observation)


def test_clients_beyond_the_limit_are_turned_away(serve, line):
    server = serve(clients=1)
    first = line(server)
    with pytest.raises(InvalidStatus) as refused:
        line(server)
    assert refused.value.response.status_code == 503
    first.close()


def test_malformed_frames_get_a_sentence_and_the_connection_stays(serve, observation, line):
    found = line(serve(rate=0.0))
    for number, frame in enumerate(fuzz.frames(pack(observation), 100, seed=5)):
        found.send(frame)
        answer = found.recv(10)
        if isinstance(answer, str):
            assert "\n" not in answer
            assert len(answer) > 10
        if number % 20 == 0:
            assert ask(found, observation).exit
    found.send("a text")
    assert "a text frame came" in found.recv(5)


def test_a_client_killed_in_the_middle_is_forgotten(serve, observation, line):
    server = serve(Slow())
    found, other = line(server), line(server)
    found.send(pack(observation))
    found.socket.close()
    assert ask(other, observation).exit == 2
    waited = time.monotonic() + 5.0
    while server.server._clients - {None} and len(server.server._clients) > 1:
        assert time.monotonic() < waited
        time.sleep(0.01)
    assert ask(other, observation).exit == 2


def test_who_waits_when_the_server_stops_is_told(serve, observation, line):
    server = serve(Slow(0.2), waiting=0)
    lines = [line(server) for _ in range(4)]
    for number, found in enumerate(lines):
        found.send(pack(observation | {"request": {"id": number, "time_left": 30.0}}))
    time.sleep(0.1)
    began = time.monotonic()
    threading.Thread(target=serve.stop, args=(server,)).start()
    errors = [read_reply(unpack(found.recv(5))).error for found in lines]
    assert errors == ["the server is being stopped; act on what is at hand"] * 4
    with pytest.raises(ConnectionClosed) as closed:
        lines[0].recv(5)
    assert closed.value.rcvd.code == 1001
    assert time.monotonic() - began < 5.0


def test_a_policy_that_fails_fails_for_one_alone(serve, observation, line):
    found = line(serve(Slow(0.0)))
    assert ask(found, {"break": True}) == "the policy failed: 'break'"
    assert ask(found, observation).exit == 2


def test_the_command_serves_until_it_is_told_to_end(observation, tmp_path, line):
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    command = [sys.executable, "-m", "magma_ros.cli", "serve", "--port", "0", "--gate", "fixed"]
    command += ["--depth", "2", "--token-file", str(token)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        headers = {"Authorization": f"Api-Key {TOKEN}"}
        found = line(SimpleNamespace(port=port), additional_headers=headers)
        assert ask(found, observation).exit == 2
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        with pytest.raises(ConnectionClosed):
            found.recv(5)


class Slow:
    """A policy of two exits that is no bundle, and takes its time."""

    metadata = Metadata(policy="slow", exits=2)

    class Part:
        name, flops, weight_bytes = "part", 1000, 1000

    ways = [[Part()], [Part()]]

    def __init__(self, seconds=0.02):
        self.seconds = seconds
        self.gate = FixedDepth(2)

    def session(self):
        return self

    def begin(self, message, terms):
        if "break" in message:
            raise KeyError("break")
        return Thought(self.seconds)

    def rehearse(self):
        return Thought(0.001)


class Thought:
    exits = 2

    def __init__(self, seconds):
        self.seconds, self.depth = seconds, 0

    @property
    def upcoming(self):
        return [Slow.Part()] * (self.depth < 2)

    def advance(self):
        time.sleep(self.seconds)
        self.depth += 1
        chunk = ActionChunk(0.0, 0.1, np.zeros((4, 7)), self.depth, MAGMA)
        return ExitReading(chunk, Confidence(0.0, 0.0, 1.0), self.depth, 1000, 1000)
