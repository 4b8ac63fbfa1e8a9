# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A forecast that a bad moment spoilt mends itself, though nobody is admitted under it."""

import threading
import time

from magma_ros.policy.runtime import StagedPolicy
from magma_ros.serving.engine import Engine
from magma_ros.serving.policy import ServedBundle
from magma_ros.share import find_bundle


def test_a_server_that_was_slow_for_a_moment_answers_again_soon(observation):
    folder = find_bundle("magma-nano")
    policy = ServedBundle(folder, StagedPolicy.load(folder, threads=1), "adaptive")
    engine = Engine(policy)
    engine.start(0.0)
    try:
        for _ in range(40):
            engine._forecast.observe(1, 60.0, 1)
        session, message = policy.session(), observation | {"request": {"time_left": 5.0}}

        def ask():
            told, came = [], threading.Event()
            engine.submit(
                session, message, time.monotonic(), lambda reply: (told.append(reply), came.set())
            )
            assert came.wait(20.0)
            return told[0]

        assert "busy" in ask().error
        end = time.monotonic() + 30.0
        while (refused := ask().error) and time.monotonic() < end:
            time.sleep(0.3)
        assert not refused
    finally:
        engine.close()


def test_an_engine_is_not_measured_anew_for_requests_that_no_server_could_answer(observation):
    folder = find_bundle("magma-nano")
    policy = ServedBundle(folder, StagedPolicy.load(folder, threads=1), "adaptive")
    engine, session = Engine(policy), policy.session()
    engine.start(0.0)
    measured = []
    policy.rehearse = lambda rehearse=policy.rehearse: measured.append(1) or rehearse()
    try:
        told = []
        terms = {"request": {"time_left": 0.0, "useful": 0.0}}
        for _ in range(50):
            engine.submit(session, observation | terms, time.monotonic(), told.append)
        time.sleep(0.1)
        assert all("no answer fits" in reply.error for reply in told)
        assert all(reply.busy for reply in told)
        assert len(told) == 50
        assert not measured
        late, came = [], threading.Event()
        engine.submit(
            session,
            observation | {"request": {"time_left": 0.0, "useful": 5.0}},
            time.monotonic(),
            lambda reply: (late.append(reply), came.set()),
        )
        assert came.wait(20.0)
        assert (late[0].exit, late[0].admitted, late[0].reason) == (1, False, "DEADLINE")
        assert (engine.counts.unadmitted, engine.counts.refused) == (1, 50)
        assert not measured
    finally:
        engine.close()
