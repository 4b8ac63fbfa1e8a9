# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real server around a real bundle, on a socket of this machine."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from magma_ros.policy.runtime import StagedPolicy
from magma_ros.serving.config import ServingConfig
from magma_ros.serving.engine import Engine
from magma_ros.serving.policy import ServedBundle
from magma_ros.serving.server import PolicyServer
from magma_ros.share import find_bundle

TOKEN = "sixteen-characters-or-more"
FOLDER = find_bundle("magma-nano")


@pytest.fixture(scope="session")
def nano():
    return StagedPolicy.load(FOLDER, threads=1)


@pytest.fixture
def serve(nano):
    """Start servers; what is given back has their engine, server and port."""
    running = []

    def start(policy=None, gate="adaptive", time_limit=5.0, **settings):
        options = {"depth": 3} if gate == "fixed" else {}
        policy = policy or ServedBundle(FOLDER, nano, gate, **options)
        engine = Engine(policy, time_limit=time_limit)
        engine.start(0.0)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        found = SimpleNamespace(engine=engine, loop=loop, thread=thread, server=None)
        running.append(found)
        server = PolicyServer(engine, ServingConfig(port=0, time_limit=time_limit, **settings))
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        found.server, found.port = server, server.port
        return found

    def stop(found):
        found.engine.close()
        if found.server is not None:
            asyncio.run_coroutine_threadsafe(found.server.stop(), found.loop).result(10)
            found.server = None
        found.loop.call_soon_threadsafe(found.loop.stop)
        found.thread.join(10)

    start.stop = stop
    yield start
    for found in running:
        if found.thread.is_alive():
            stop(found)


@pytest.fixture
def observation():
    chance = np.random.default_rng(1)
    return {
        "images": {
            "front": chance.integers(0, 255, (96, 96, 3), np.uint8),
            "wrist": chance.integers(0, 255, (64, 64, 3), np.uint8),
        },
        "state": np.array([0.4, 0.0, 0.3, 0.0, 1.0, 1.0], np.float32),
        "prompt": "push the red cube to the goal",
    }
