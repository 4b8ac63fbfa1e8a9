# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that notes what it is told, and browsers on the motion link without sockets."""

import json
import time
from collections import deque
from dataclasses import dataclass, field

import pytest

from magma_ros.console.client import Outbox
from magma_ros.console.config import ConsoleConfig
from magma_ros.console.hub import Hub
from magma_ros.console.robot import GuardView, RobotView
from magma_ros.types import Answer, Mode


@dataclass
class NotedRobot:
    """Implements :class:`magma_ros.console.robot.Robot`; keeps the dead-man as the node does."""

    now: callable = time.monotonic
    jogs: list = field(default_factory=list)  # (time, jog)
    releases: list = field(default_factory=list)  # times
    departures: list = field(default_factory=list)  # times
    asked: list = field(default_factory=list)
    answer_after: float = 0.0
    moves_until: float = -1.0

    def view(self) -> RobotView:
        return RobotView(guard=GuardView(mode=Mode.HOLD, sentence=Mode.HOLD.sentence))

    def picture(self, camera, after=0.0):
        return None

    def _answer(self, *what) -> Answer:
        self.asked.append(what)
        time.sleep(self.answer_after)
        return Answer(accepted=True, sentence=f"done: {what}")

    def request(self, verb) -> Answer:
        return self._answer(verb)

    def instruct(self, instruction) -> Answer:
        return self._answer("instruct", instruction)

    def record(self, *, on) -> Answer:
        return self._answer("record", on)

    def label(self, verdict, note="") -> Answer:
        return self._answer("label", verdict, note)

    def jog(self, jog) -> None:
        self.jogs.append((self.now(), jog))
        self.moves_until = self.now() + jog.lifetime

    def release(self) -> None:
        self.releases.append(self.now())
        self.moves_until = -1.0

    def leave(self) -> None:
        self.departures.append(self.now())
        self.moves_until = -1.0

    @property
    def moves(self) -> bool:
        return self.now() < self.moves_until


class Browser:
    """One browser, its clock, and the way to the hub and back, which delivers in order."""

    def __init__(self, hub, clock, offset=1234.5, rate=0.0) -> None:
        self.hub, self.clock, self.offset, self.rate = hub, clock, offset, rate
        self.client = hub.join(Outbox())
        self.on_its_way: deque[str | bytes] = deque()
        self.heard: list[dict] = []
        self.requests: list = []
        self.seq = self.hold = 0

    @property
    def time(self) -> float:
        return self.clock.now() * (1.0 + self.rate) + self.offset

    def utter(self, **frame) -> None:
        """Send a frame that does not arrive yet."""
        self.on_its_way.append(json.dumps(frame))

    def utter_jog(self, twist=(1, 0, 0, 0, 0, 0), **changes) -> None:
        self.seq += 1
        frame = {"type": "jog", "seq": self.seq, "at": self.time, "hold": self.hold}
        self.utter(**frame | {"frame": "base", "twist": list(twist)} | changes)

    def utter_release(self) -> None:
        self.seq += 1
        self.utter(type="release", seq=self.seq, at=self.time)

    def arrive(self, most: int = 10**6) -> None:
        """Let what is on its way arrive."""
        for _ in range(min(most, len(self.on_its_way))):
            ask = self.hub.receive(self.client, self.on_its_way.popleft())
            if ask is not None:
                self.requests.append(ask)

    def read(self, most: int = 10**6) -> None:
        """Read what the hub has sent; answers to pings go on their way."""
        while most > 0 and (text := self.client.outbox.take()) is not None:
            most -= 1
            frame = json.loads(text)
            self.heard.append(frame)
            if frame["type"] == "ping":
                self.utter(type="pong", id=frame["id"], at=self.time)

    def told(self, kind: str) -> list[dict]:
        return [frame for frame in self.heard if frame["type"] == kind]

    def enter(self, name="Ann") -> "Browser":
        """Say hello and let both sides learn each other's time."""
        self.utter(type="hello", protocol=1, name=name)
        for _ in range(2):
            self.arrive()
            self.read()
        self.arrive()
        return self

    def say(self, **frame) -> dict:
        """Send a request at once; the last frame that answers or refuses it."""
        self.utter(**frame)
        self.arrive()
        self.read()
        return next((f for f in reversed(self.heard) if f["type"] in ("answer", "refused")), {})

    def lease(self, wish="ask") -> dict:
        return self.say(type="lease", id=1, wish=wish)

    def press(self, **changes) -> None:
        """Press a key: the first frame of a new hold arrives."""
        self.hold += 1
        self.jog(**changes)

    def jog(self, **changes) -> None:
        self.utter_jog(**changes)
        self.arrive()
        self.read()


@pytest.fixture
def robot(clock) -> NotedRobot:
    return NotedRobot(now=clock.now)


@pytest.fixture
def hub(robot, clock) -> Hub:
    return Hub(robot, clock, ConsoleConfig())


@pytest.fixture
def browser(hub, clock):
    """Make browsers that have said hello."""
    return lambda name="Ann", **kwargs: Browser(hub, clock, **kwargs).enter(name)


@pytest.fixture
def pass_time(hub, clock):
    """Let time pass as the server would, its clock ticking; browsers answer pings at once."""

    def wait(seconds, *browsers):
        end = clock.time + seconds
        while clock.time < end:
            clock.time = min(end, clock.time + max(hub.tick(), 1e-3))
            for each in browsers:
                each.read()
                each.arrive()
        hub.tick()
        for each in browsers:
            each.read()

    return wait


@pytest.fixture(scope="session")
def make_clock(make_scripted):
    """A fresh clock, as often as a property test needs one."""
    return lambda: make_scripted()[1]


@pytest.fixture(scope="session")
def make_world():
    """A fresh robot and hub, as often as a property test needs them."""

    def make(clock):
        robot = NotedRobot(now=clock.now)
        return robot, Hub(robot, clock, ConsoleConfig())

    make.browser = Browser
    return make
