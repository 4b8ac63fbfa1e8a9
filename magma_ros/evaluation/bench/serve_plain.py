# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plain policy server, to measure others against: first come, first served, one at a time.

It is built as openpi's is: one process, one event loop, and inference within it, so that whoever
comes meanwhile waits. Every answer is of the same exit.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from magma_ros.policy.runtime import StagedPolicy
from magma_ros.remote import wire
from magma_ros.types import FloatArray, Observation

MODULE = "magma_ros.evaluation.bench.serve_plain"
"""Of the program."""


class PlainServer:
    """Answers every observation with the plan of one exit.

    Args:
        policy: Warm.
        depth: The exit.
    """

    def __init__(self, policy: StagedPolicy, depth: int) -> None:
        self._policy = policy
        self._depth = depth

    async def answer(self, connection: ServerConnection) -> None:
        """Serve one client until it leaves."""
        try:
            await connection.send(wire.pack({"policy": self._policy.manifest.name}))
            async for frame in connection:
                await connection.send(self._think(frame))
        except ConnectionClosed:
            pass

    def _think(self, frame: str | bytes) -> bytes | str:
        began = time.perf_counter()
        if isinstance(frame, str):
            return "send observations as msgpack"
        asked = wire.unpack(frame)
        fields = self._policy.manifest.observation.proprioception
        observation = Observation(0.0, asked["images"], asked["state"], fields, asked["prompt"])
        actions = deep_plan(self._policy, observation, self._depth)
        timing = {"infer_ms": 1e3 * (time.perf_counter() - began)}
        return wire.pack({"actions": actions, "exit": self._depth, "server_timing": timing})


def deep_plan(
    policy: StagedPolicy, observation: Observation, depth: int | None = None
) -> FloatArray:
    """The (K, D) actions of an exit of a policy; of its deepest by default."""
    inference = policy.start(observation)
    last = inference.exits if depth is None else depth
    while (reading := inference.advance()) is None or reading.depth < last:
        pass
    return reading.chunk.actions


async def run(bundle: Path, depth: int, port: int) -> None:
    """Serve on loopback until the process is terminated."""
    policy = StagedPolicy.load(bundle, threads=1)  # with two it is slower on two cores
    policy.warm_up()
    over = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, over.set)
    answer = PlainServer(policy, depth or policy.manifest.exits).answer
    async with serve(answer, "127.0.0.1", port, compression=None, max_size=wire.MAX_FRAME):
        await over.wait()


def main() -> None:
    """Run as a program: ``python -m ... BUNDLE DEPTH PORT``; depth 0 is full depth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("depth", type=int)
    parser.add_argument("port", type=int)
    asked = parser.parse_args()
    asyncio.run(run(asked.bundle, asked.depth, asked.port))


if __name__ == "__main__":
    main()
