# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All browsers on the motion link, and what of their messages reaches the robot.

The hub knows no sockets and reads no clock of its own, so that every order of messages, delays
and losses can be tried. It is used on one thread; :attr:`Hub.lease` is a value for any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from magma_ros.console.client import Client, CloseCode, Outbox
from magma_ros.console.config import ConsoleConfig
from magma_ros.console.drive import Drive
from magma_ros.console.frames import (
    PROTOCOL,
    AnyFrame,
    FrameError,
    Hello,
    JogNow,
    LeaseAsk,
    LetGo,
    Pong,
    RobotAsk,
    VerbAsk,
    one_line,
    read_frame,
)
from magma_ros.console.robot import JOG_LIFETIME, Robot, Verb
from magma_ros.types import Answer, Clock

PING_PERIOD = 0.25
"""Time between two pings [s]."""

STATE_PERIOD = 0.1
"""Time between two states [s]."""

HELLO_TIMEOUT = 3.0
"""Time within which a browser must say who is there [s]."""

GIVE_UP = 15.0
"""Time without a sign of life after which a connection is closed [s]."""

CLIENTS = 32
"""Most connections at a time."""

REQUESTS = 8
"""Most requests of one browser that wait for an answer at a time."""

TICK = 0.05
"""Longest time between two calls of :meth:`Hub.tick` [s]."""

FOR_ALL = (Verb.STOP, Verb.HOLD)
"""What everybody may ask for, with the lease or without."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """Who may move the robot.

    Attributes:
        holder: Their name, or empty if the lease is free.
        asking: Who asks for it, or empty.
        left: Time after which it passes to who asks [s], ``inf`` if nobody does.
        names: Everybody who is connected.
    """

    holder: str = ""
    asking: str = ""
    left: float = math.inf
    names: tuple[str, ...] = ()


class Hub:
    """Judges every message, and moves the robot on those that are good.

    Args:
        robot: What is moved.
        clock: The server's time.
        config: Holds the speeds of jogging.

    Attributes:
        lease: Who may move the robot.
    """

    def __init__(self, robot: Robot, clock: Clock, config: ConsoleConfig) -> None:
        self._clock, self._config = clock, config
        self._drive = Drive(robot, config.linear_speed, config.angular_speed)
        self._clients: list[Client] = []
        self._joined = 0
        self._closed = False
        self._ticked = self._pinged = self._told = -math.inf
        self.lease = LeaseView()

    def join(self, outbox: Outbox) -> Client:
        """Take in a connection."""
        self._joined += 1
        now = self._clock.now()
        client = Client(self._joined, joined=now, heard=now, outbox=outbox)
        if self._closed:
            client.close(CloseCode.GOING_AWAY, "the console is closing")
        elif len(self._clients) >= CLIENTS:
            client.close(CloseCode.TRY_AGAIN_LATER, f"{CLIENTS} browsers are connected already")
        else:
            self._clients.append(client)
        return client

    def leave(self, client: Client) -> None:
        """A connection is gone: what it held is let go of at once."""
        self._drive.drop(client, self._clock.now())
        if client in self._clients:
            self._clients.remove(client)
            self._publish()

    def shut(self) -> None:
        """Release, and never move again; may be called from any thread."""
        self._drive.shut()

    def close(self) -> None:
        """Release, and close every connection."""
        self._closed = True
        self.shut()
        for client in self._clients:
            client.close(CloseCode.GOING_AWAY, "the console is closing")

    def receive(self, client: Client, message: str | bytes) -> RobotAsk | None:
        """Take in a message.

        Args:
            client: Who sent it.
            message: Text, or bytes if it was binary.

        Returns:
            A request that may be put to the robot; :meth:`answer` it.
        """
        now = self._clock.now()
        if client.closing is not None:
            return None
        if client.floods(now):
            client.blame("there are too many messages", now)
            return None
        try:
            frame = read_frame(message)
        except FrameError as error:
            client.blame(f"{error}", now)
            return None
        client.heard = now
        if not client.name and not isinstance(frame, Hello):
            client.blame("the first frame must be hello", now)
            return None
        return self._on_frame(client, frame, now)

    def answer(self, client: Client, ask: RobotAsk, answer: Answer) -> None:
        """Tell a browser what became of its request."""
        client.requests -= 1
        _reply(client, ask.id, answer)

    def tick(self) -> float:
        """Do what is due; call it again after the time it returns [s], or earlier."""
        now = self._clock.now()
        self._forgive(now - self._ticked - TICK)
        self._ticked = now
        self._drive.expire(now)
        self._drive.lapse(now)
        self._drive.stand_by(now)
        for client in self._clients:
            if not client.name and now - client.joined > HELLO_TIMEOUT:
                client.close(CloseCode.POLICY_VIOLATION, "there was no hello")
            if now - client.heard > GIVE_UP:
                client.close(CloseCode.TRY_AGAIN_LATER, "there was no sign of life")
        if now - self._pinged >= PING_PERIOD:
            self._pinged = now
            for client in self._clients:
                if client.name:
                    client.ping(now)
        if now - self._told >= STATE_PERIOD:
            self._publish()
        expires = self._drive.expires
        return min(TICK, max(0.0, expires - now)) if expires > -math.inf else TICK

    def _forgive(self, late: float) -> None:
        """Count nobody as silent for time [s] in which this process did not listen itself."""
        if TICK < late < math.inf:
            for client in self._clients:
                client.heard += late

    def _on_frame(self, client: Client, frame: AnyFrame, now: float) -> RobotAsk | None:
        match frame:
            case Hello():
                self._welcome(client, frame, now)
            case Pong():
                if (sent := client.pings.pop(frame.id, None)) is not None:
                    client.clock.answered(sent, frame.at, now)
            case JogNow():
                self._drive.jog(client, frame, now)
            case LetGo():
                self._drive.let_go(client, frame, now)
            case LeaseAsk():
                _reply(client, frame.id, self._drive.wish(client, frame, now))
                self._publish()
            case _:
                return self._ask(client, frame, now)
        return None

    def _welcome(self, client: Client, hello: Hello, now: float) -> None:
        if client.name:
            return client.blame("hello was said already", now)
        if hello.protocol != PROTOCOL:
            sentence = f"this page speaks another version of the link, not {PROTOCOL}: reload it"
            return client.close(CloseCode.POLICY_VIOLATION, sentence)
        client.name = self._name(hello.name, client.number)
        client.send(
            {
                "type": "welcome",
                "name": client.name,
                "jog_lifetime": JOG_LIFETIME,
                "linear_speed": self._config.linear_speed,
                "angular_speed": self._config.angular_speed,
            }
        )
        client.ping(now)
        return self._publish()

    def _name(self, wished: str, number: int) -> str:
        """A name that is fit to be shown, and nobody else's here."""
        name = one_line(wished, 32) or f"operator {number}"
        taken = {client.name for client in self._clients}
        copies = (f"{name} ({n})" for n in range(2, CLIENTS + 2))
        return next(n for n in (name, *copies) if n not in taken)

    def _ask(self, client: Client, ask: RobotAsk, now: float) -> RobotAsk | None:
        """Let a request pass on, or answer it with why not."""
        verb = ask.verb if isinstance(ask, VerbAsk) else None
        if verb in FOR_ALL:
            self._drive.stop(now)  # at once, whatever the guard answers, and when
        elif wrong := self._drive.no_lease(client):
            _reply(client, ask.id, Answer(accepted=False, sentence=wrong))
            return None
        elif verb is not None:
            self._drive.stop(now)  # who drives changes hands at rest
        if client.requests >= REQUESTS and verb not in FOR_ALL:
            sentence = "too many requests wait for an answer; wait for one"
            _reply(client, ask.id, Answer(accepted=False, sentence=sentence))
            return None
        client.requests += 1
        return ask

    def _publish(self) -> None:
        """Tell everybody who holds the lease, and how their link is."""
        now = self._told = self._clock.now()
        lease = self._drive.lease
        self.lease = LeaseView(
            holder=lease.holder.name if lease.holder else "",
            asking=lease.asking.name if lease.asking else "",
            left=lease.left(now),
            names=tuple(client.name for client in self._clients if client.name),
        )
        shared = {
            "holder": self.lease.holder,
            "asking": self.lease.asking,
            "left": _or_null(self.lease.left),
            "names": self.lease.names,
        }
        for client in self._clients:
            if client.name:
                you = {
                    "holds": client is lease.holder,
                    "asks": client is lease.asking,
                    "round_trip": _or_null(client.clock.round_trip),
                    "moves": client.stream.expires > -math.inf,
                    "skipped": client.stream.skipped,
                }
                client.send_newest({"type": "state", "lease": shared, "you": you})


def _or_null(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _reply(client: Client, number: int, answer: Answer) -> None:
    accepted, sentence = answer
    frame = {"type": "answer", "id": number, "accepted": accepted, "sentence": sentence}
    client.send(frame)
