# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replicas on a Ray cluster answer like one process, and one that is killed loses no request."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from magma_ros.remote.messages import Terms
from magma_ros.serving.replicas import (
    EngineRecipe,
    ReplicasError,
    _later,
    start_replicas,
    stop_replicas,
)
from magma_ros.share import find_bundle

pytest.importorskip("ray")

RECIPE = EngineRecipe(str(find_bundle("magma-nano")), threads=1)


def replicas_that_run():
    """Processes of replicas."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"ServeReplica" in each.read_bytes():
                found.append(int(each.parent.name))
    return found


async def ask(front, session, message):
    told = asyncio.get_running_loop().create_future()
    front.submit(session, message, time.monotonic(), told.set_result)
    return await told


async def play(front, observation):
    session = front.policy.session()
    message = observation | {"request": {"id": 1, "time_left": 20.0}}
    first = await ask(front, session, message)
    asked = [asyncio.ensure_future(ask(front, front.policy.session(), message)) for _ in range(8)]
    await asyncio.sleep(0)
    os.kill(replicas_that_run()[0], signal.SIGKILL)
    return [first, *await asyncio.gather(*asked), await ask(front, session, message)]


@pytest.mark.timeout(240)
def test_a_killed_replica_loses_no_request(observation):
    before = replicas_that_run()
    front = start_replicas(RECIPE, "2", "local")
    try:
        assert front.policy.metadata.exits == 6
        replies = asyncio.run(play(front, observation))
    finally:
        stop_replicas()
    assert [reply.error for reply in replies] == [""] * 10
    assert all(reply.actions.shape == (8, 7) for reply in replies)
    assert before == []
    assert front.fairness() is None  # nobody counts the robots of all replicas


@pytest.mark.parametrize("count", ["0", "many", "-1"])
def test_a_number_of_replicas_that_is_none_is_refused(count):
    with pytest.raises(ReplicasError, match="1 to 1000, or auto"):
        start_replicas(RECIPE, count, "local")


@pytest.mark.parametrize("left", [{"time_left": 0.08}, {"time_left": 0.08, "useful": 0.2}])
def test_another_replica_is_told_of_the_time_that_the_first_one_spent(left):
    message = {"prompt": "push", "request": {"id": 3} | left}
    later = _later(message, Terms(**message["request"]), 0.05)
    assert later["request"] == {"id": 3} | {n: pytest.approx(v - 0.05) for n, v in left.items()}
    assert _later({"prompt": "push"}, None, 0.05) == {"prompt": "push"}
