# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated robots that ask a policy server for plans at a steady rate, in one process.

A robot shows a recorded observation every period, if its last question has been answered, and needs
the plan within its deadline. It tells the server what time there is as the robot's own line does
(:meth:`magma_ros.remote.forecast.RoundTrips.grant`), and asks about every observation. Where it
begins, in which phase and in which scene, follows from a seed; so do bursts, in which some of the
robots ask at the same moment.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from magma_ros.evaluation.bench.serve_recording import Recording, read_recording
from magma_ros.evaluation.computers.processor_time import processor_time
from magma_ros.files import read_json, whole
from magma_ros.remote import wire
from magma_ros.remote.forecast import RoundTrips, Told
from magma_ros.remote.ledger import LineRules
from magma_ros.types import FloatArray, MagmaError

MODULE = "magma_ros.evaluation.bench.serve_robots"
"""Of the program."""

BURST_EVERY = 2.0
"""Mean time from one burst to the next [s]."""

BURST = 0.5
"""Duration of a burst [s]."""

BURST_SHARE = 0.5
"""Share of the robots that take part in a burst."""

RETRY = 0.1
"""Time until a robot that lost its connection tries again [s]."""

LONGEST_AGE = LineRules().longest_age
"""Until a plan is of no use for any observation [s]."""

PATIENCE = 90.0
"""Longest wait for the server at the beginning [s]."""

GRACE = 2.0
"""Time after the end in which answers are still awaited [s]."""


class Plan(BaseModel):
    """What the robots do.

    Attributes:
        port: Of the server, on loopback.
        recording: File of the observations.
        spans: Of each robot, when it begins and ends [s].
        period: Time between two observations of a robot [s].
        deadline: Time from an observation to its plan [s].
        seed: Of phases, scenes and bursts.
        server: Its process, whose processor time is measured; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    recording: Path
    spans: tuple[tuple[float, float], ...]
    period: float
    deadline: float
    seed: int = 0
    server: int = 0

    def phases(self) -> FloatArray:
        """Of each robot, the time from the beginning of a period to its observation [s]."""
        rng = np.random.default_rng((self.seed, 0))
        return rng.uniform(0.0, self.period, len(self.spans))

    def due(self, robot: int) -> tuple[float, ...]:
        """When a robot shows its observations [s]."""
        begin, end = self.spans[robot]
        bursts = self._bursts(robot)
        phase = float(self.phases()[robot])
        found = []
        for tick in range(round((end - begin) / self.period)):
            when = begin + tick * self.period
            in_burst = any(burst <= when < burst + BURST for burst in bursts)
            found.append(when + (0.0 if in_burst else phase))
        return tuple(found)

    def _bursts(self, robot: int) -> list[float]:
        """When the bursts begin in which a robot takes part [s]."""
        rng = np.random.default_rng((self.seed, 1))
        last = max(end for _, end in self.spans)
        when, found = float(rng.exponential(BURST_EVERY)), []
        while when < last:
            joins = rng.random(len(self.spans)) < BURST_SHARE
            if joins[robot]:
                found.append(when)
            when += BURST + float(rng.exponential(BURST_EVERY))
        return found


@dataclass(slots=True)
class Asked:
    """What became of the observations of all robots; NaN, 0 and empty where there was no answer.

    Attributes:
        robots: (N,) whose each was.
        due: (N,) when it was shown, or was to be [s] since the beginning.
        waited: (N,) time from then to its plan [s].
        depths: (N,) exit of the plan.
        admitted: (N,) 1 where the server meant it to be in time; of others it said that it could
            not be.
        refused: (N,) 1 where there was an error instead.
        deviations: (N,) from the plan of full depth.
        reconnected: How often a robot lost its connection.
        cpu: Processor time of the robots [s].
        server_cpu: Processor time of the server and its children meanwhile [s].
        wall: How long all took [s].
    """

    robots: FloatArray = field(default_factory=lambda: np.empty(0))
    due: FloatArray = field(default_factory=lambda: np.empty(0))
    waited: FloatArray = field(default_factory=lambda: np.empty(0))
    depths: FloatArray = field(default_factory=lambda: np.empty(0))
    deviations: FloatArray = field(default_factory=lambda: np.empty(0))
    admitted: FloatArray = field(default_factory=lambda: np.empty(0))
    refused: FloatArray = field(default_factory=lambda: np.empty(0))
    reconnected: int = 0
    cpu: float = 0.0
    server_cpu: float = 0.0
    wall: float = 0.0

    def write(self, path: Path) -> None:
        """Into a file."""
        with whole(path) as draft, draft.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file."""
        with np.load(path, allow_pickle=False) as found:
            return cls(**{n: found[n] if found[n].ndim else found[n].item() for n in found})


@dataclass(slots=True)
class _Tick:
    robot: int
    due: float
    waited: float = np.nan
    depth: int = 0
    deviation: float = np.nan
    admitted: bool = False
    refused: bool = False


class _Robot:
    """One robot: a connection, a place in the recording, what it asked."""

    def __init__(self, number: int, plan: Plan, recording: Recording) -> None:
        self._number = number
        self._plan = plan
        self._recording = recording
        self._began = 0.0
        rng = np.random.default_rng((plan.seed, 2, number))
        self._place = int(rng.integers(len(recording)))
        self._trips = RoundTrips()
        self._connection: ClientConnection | None = None
        self.ticks = [_Tick(number, due) for due in plan.due(number)]
        self.reconnected = 0

    async def open(self) -> None:
        """Connect.

        Raises:
            MagmaError: Nobody answers.
        """
        end = time.monotonic() + PATIENCE
        while not await self._connected():
            if time.monotonic() > end:
                raise MagmaError(f"no server answers at port {self._plan.port}; does it run?")
            await asyncio.sleep(RETRY)

    async def run(self, began: float) -> None:
        """Ask until all is over; a tick that passes while an answer is awaited is left out.

        Args:
            began: When the plan's times are 0, on the monotonic clock [s].
        """
        self._began = began
        last = self.ticks[-1].due + self._plan.period + GRACE
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._began + last):
                for tick in self.ticks:
                    left = self._began + tick.due - time.monotonic()
                    if left < -self._plan.deadline:
                        continue  # it is too late for this one
                    await asyncio.sleep(max(0.0, left))
                    await self._ask(tick)
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> bool:
        if self._connection is not None:
            return True
        try:
            self._connection = await connect(
                f"ws://127.0.0.1:{self._plan.port}",
                compression=None,
                max_size=wire.MAX_FRAME,
                ping_interval=None,
            )
            await self._connection.recv()
        except (OSError, TimeoutError, WebSocketException):
            self._connection = None
        return self._connection is not None

    async def _ask(self, tick: _Tick) -> None:
        if not await self._connected() or self._connection is None:
            await asyncio.sleep(RETRY)
            return
        index = self._place = (self._place + 1) % len(self._recording)
        shown = time.monotonic()
        left = self._plan.deadline - max(0.0, shown - self._began - tick.due)
        grant = self._trips.grant(left, LONGEST_AGE)
        terms = {"id": index, "robot": str(self._number)} | grant._asdict()
        frame = wire.pack(self._recording.message(index) | {"request": terms})
        try:
            await self._connection.send(frame)
            answer = await self._connection.recv()
        except (OSError, WebSocketException):
            self._connection = None
            self.reconnected += 1
            return
        now = time.monotonic()
        found = wire.unpack(answer) if isinstance(answer, bytes) else {}
        self._settle(tick, index, found, now)
        self._trips.observe(now - shown, len(frame), Told.by(found))

    def _settle(self, tick: _Tick, index: int, answer: Mapping[str, Any], now: float) -> None:
        actions = answer.get("actions")
        if actions is None:
            tick.refused = True
            return
        tick.waited = now - self._began - tick.due
        tick.depth = answer.get("exit", 0)
        tick.admitted = answer.get("admitted", True)
        tick.deviation = self._recording.deviation(index, actions)


async def play(plan: Plan) -> Asked:
    """Let the robots of a plan ask.

    Raises:
        MagmaError: Nobody answers at the port.
    """
    recording = read_recording(plan.recording)
    robots = [_Robot(n, plan, recording) for n in range(len(plan.spans))]
    await robots[0].open()  # so that not all of them try while the server starts
    await asyncio.gather(*(robot.open() for robot in robots))
    began = time.monotonic() + 0.2
    before, server_before = _own_time(), processor_time(plan.server)
    await asyncio.gather(*(robot.run(began) for robot in robots))
    cpu, server_cpu = _own_time() - before, processor_time(plan.server) - server_before
    ticks = [tick for robot in robots for tick in robot.ticks]
    return Asked(
        robots=np.array([tick.robot for tick in ticks]),
        due=np.array([tick.due for tick in ticks]),
        waited=np.array([tick.waited for tick in ticks]),
        depths=np.array([tick.depth for tick in ticks]),
        deviations=np.array([tick.deviation for tick in ticks]),
        admitted=np.array([float(tick.admitted) for tick in ticks]),
        refused=np.array([float(tick.refused) for tick in ticks]),
        reconnected=sum(robot.reconnected for robot in robots),
        cpu=cpu,
        server_cpu=server_cpu,
        wall=time.monotonic() - began,
    )


def _own_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run as a program: ``python -m ... PLAN.json ASKED.npz``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("asked", type=Path)
    given = parser.parse_args()
    asyncio.run(play(read_json(given.plan, Plan))).write(given.asked)


if __name__ == "__main__":
    main()
