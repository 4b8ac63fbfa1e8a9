# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bad line does what it says, by seed, and leaves nothing behind."""

import socket
import subprocess
import threading
import time

import numpy as np
import pytest

from magma_ros.evaluation.computers.line_proxy import SEGMENT, Flow
from magma_ros.evaluation.computers.lines import LineError, LineSpec, cutting, line

BAD = LineSpec(delay=0.04, jitter=0.02, loss=0.01, cut=2.0, seed=3)


def flow(spec):
    return Flow(spec, np.random.default_rng(0))


def namespaces():
    found = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    return [each for each in found.stdout.split() if each.startswith("magma-line")]


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def connected(made, port):
    return socket.create_connection(("127.0.0.1", made.reach(port)), timeout=10.0)


def round_trip(connection, data=b"x"):
    began = time.monotonic()
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        got += connection.recv(1 << 16)
    assert got == data
    return time.monotonic() - began


def test_cuts_repeat_by_seed_and_do_not_overlap():
    cuts = BAD.cuts(120.0)
    assert cuts == BAD.cuts(120.0) != LineSpec(cut=2.0, seed=4).cuts(120.0)
    assert len(cuts) > 5
    assert (np.diff(cuts) > BAD.cut).all()
    assert LineSpec(delay=0.04).cuts(120.0) == ()


@pytest.mark.parametrize(
    "wrong", [{"delay": -1.0}, {"delay": 0.01, "jitter": 0.02}, {"loss": 1.0}, {"cut": -1.0}]
)
def test_a_line_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(LineError):
        LineSpec(**wrong)


def test_bytes_keep_their_order_and_take_half_a_round_trip():
    line = flow(LineSpec(delay=0.04, jitter=0.02))
    arrivals = [line.arrival(100, 0.1 * tick) - 0.1 * tick for tick in range(2000)]
    assert 0.01 <= min(arrivals) <= max(arrivals) <= 0.03
    assert np.mean(arrivals) == pytest.approx(0.02, rel=0.05)
    line = flow(BAD)
    arrivals = [line.arrival(100, 0.001 * tick) for tick in range(2000)]
    assert (np.diff(arrivals) >= 0.0).all()


def test_a_lost_packet_costs_a_round_trip_and_at_the_end_of_a_burst_more():
    spec = LineSpec(delay=0.04, loss=0.01)
    large, small = flow(spec), flow(spec)
    of_large = [large.arrival(30 * SEGMENT, 10.0 * i) - 10.0 * i for i in range(3000)]
    of_small = [small.arrival(10, 10.0 * i) - 10.0 * i for i in range(3000)]
    held = np.array(of_large) > 0.021
    assert held.mean() == pytest.approx(1.0 - 0.99**30, abs=0.03)
    assert np.median(np.array(of_large)[held]) == pytest.approx(0.06, abs=0.001)
    late = np.array(of_small)[np.array(of_small) > 0.021]
    assert np.median(late) == pytest.approx(0.14, abs=0.001)


def test_after_a_cut_the_line_comes_back_when_tcp_tries_again():
    assert Flow.resumption(10.0, 10.1) == pytest.approx(10.2)
    assert Flow.resumption(10.0, 12.0) == pytest.approx(13.0)


def test_a_proxy_holds_real_bytes_up_and_loses_none(echo):
    spec = LineSpec(delay=0.04, jitter=0.01)
    with line(spec, kind="proxy") as made, connected(made, echo) as client:
        took = [round_trip(client, bytes(200_000)) for _ in range(5)]
    assert min(took) >= 0.029
    assert made.kind == "proxy"


def test_nothing_passes_while_a_line_is_cut_and_then_everything_does(echo):
    spec = LineSpec(delay=0.001, cut=0.3)
    with line(spec, kind="proxy") as made, connected(made, echo) as client:
        round_trip(client)
        made.cut()
        threading.Timer(0.3, made.mend).start()
        assert round_trip(client) >= 0.3
        round_trip(client)


def test_whoever_leaves_amid_a_cut_leaves_a_whole_line(echo):
    spec = LineSpec(delay=0.001, cut=30.0)
    with line(spec, kind="proxy") as made:
        with cutting(made, spec, 60.0):
            made.cut()
        with connected(made, echo) as client:
            round_trip(client)


def test_netem_works_here_or_a_sentence_says_why_and_no_namespace_is_left(echo):
    told = []
    with line(BAD, tell=told.append) as made:
        assert made.kind == ("proxy" if told else "netem")
        assert len(namespaces()) == (not told)
        made.cut()
        made.mend()
    assert namespaces() == []
    if told:
        with pytest.raises(LineError, match=r"sch_netem|root|apt-get"), line(BAD, kind="netem"):
            pass
        assert "stands in" in told[0]
        assert namespaces() == []
