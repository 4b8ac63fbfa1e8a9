# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of thinking, deadline timer, wake-ups and time passing, one after another.

The thinking side is a row of atomic steps: it leaves an answer, and tells if it must. Between two
rows of them a stage runs, for as long as it likes. The acting side looks when the timer has fired
and when it was told. The explorer goes through all reachable states of both together. Wherever an
answer is due and nobody has taken it, somebody must be on the way to take it: a timer still to
fire, a wake-up on its way, or a thinking side that has yet to tell. It must not take a stage's end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from magma_ros.gate.handover import Handover
from magma_ros.types import Reason, Verdict

LEAD = 1.0
PERIOD = 4.0
"""Between two deadlines; time passes in steps of 1."""


def verdict(name: str, reason: Reason, slack: float) -> Verdict:
    return Verdict(chunk=None, reason=reason, depth=1, stage_times=(), slack=slack, detail=name)


class Now:
    """The protocol in use."""

    def __init__(self) -> None:
        self.handover = Handover(LEAD)
        self.take = self.handover.take
        self.begin = self.handover.begin

    def steps(self, world, answers):
        """What the thinking side does about one observation; yields before each atomic step."""
        *held, last = answers
        for name in held:
            yield "stage"
            must_tell = self.handover.provide(verdict(name, Reason.OVERRUN, 0.0))
            if must_tell:
                yield "tell"
                world.told = True
        yield "stage"
        self.handover.finish(verdict(last, Reason.DEEPEST, 0.0))
        yield "tell"
        world.told = True


class Before:
    """A protocol with a blind moment: the slack is measured, then the answer left."""

    def __init__(self) -> None:
        self.deadline, self.in_hand, self.busy, self.served = 0.0, None, False, True

    def begin(self, deadline):
        self.deadline, self.in_hand, self.busy, self.served = deadline, None, True, False

    def take(self, now):
        if self.served or self.in_hand is None or (self.busy and now < self.deadline - LEAD):
            return None
        self.served = True
        return self.in_hand

    def steps(self, world, answers):
        *held, last = answers
        for name in held:
            yield "stage"
            slack = self.deadline - world.now
            yield "leave"
            self.in_hand = verdict(name, Reason.OVERRUN, slack)
            if slack <= LEAD:
                yield "tell"
                world.told = True
        yield "stage"
        self.in_hand, self.busy = verdict(last, Reason.DEEPEST, 0.0), False
        yield "tell"
        world.told = True


@dataclass
class World:
    """Both sides and the clock, played along one schedule."""

    protocol: object
    exits: int
    now: float = 0.0
    told: bool = False
    timer: bool = True  # armed for the moment at which the answer in hand is due
    observation: int = 0
    taken: list[tuple[int, str, float]] = field(default_factory=list)
    at: str = ""  # what the thinking side does next; "stage" may last for ever

    def __post_init__(self) -> None:
        self.offer()

    @property
    def deadline(self) -> float:
        return PERIOD * self.observation

    def offer(self) -> None:
        self.observation += 1
        self.timer, self.thinking = True, True
        self.protocol.begin(self.deadline)
        names = [f"{self.observation}.{depth}" for depth in range(1, self.exits + 1)]
        self.left = list(names)
        self.steps = self.protocol.steps(self, names)
        self.at = next(self.steps)

    def enabled(self) -> list[str]:
        moves = []
        if self.at:
            moves.append("think")
        if self.timer and self.now >= self.deadline - LEAD:
            moves.append("timer")
        if self.told:
            moves.append("wake")
        if self.now < PERIOD * (self.observation + 1):
            moves.append("time")
        return moves

    def move(self, name: str) -> None:
        if name == "think":
            self.at = next(self.steps, "")
        elif name == "time":
            self.now += 1.0
        elif name == "timer":
            self.timer = False
            self.look()
        else:
            self.told = False
            self.look()

    def look(self) -> None:
        if (answer := self.protocol.take(self.now)) is not None:
            self.timer = False
            self.taken.append((self.observation, answer.detail, self.now))
        # The next observation waits until this one is done with; a late stage is not called back.
        if not self.at and self.taken and self.taken[-1][0] == self.observation < 2:
            self.offer()

    def state(self):
        inner = getattr(self.protocol, "handover", self.protocol)
        fields = tuple(
            value.detail if isinstance(value, Verdict) else value
            for name, value in sorted(vars(inner).items())
            if name not in ("_lock",)
        )
        frame = self.steps.gi_frame
        local = {} if frame is None else frame.f_locals
        place = frame and (frame.f_lasti, local.get("name"), local.get("slack"))
        seen = tuple((which, name) for which, name, _ in self.taken)
        return (self.now, self.told, self.timer, self.observation, self.at, place, seen, fields)


def explore(make_protocol, exits):
    """Go through every reachable state; yields each, freshly played."""
    seen, open_ends = set(), [()]
    while open_ends:
        schedule = open_ends.pop()
        world = World(make_protocol(), exits)
        for move in schedule:
            world.move(move)
        if (state := world.state()) in seen:
            continue
        seen.add(state)
        yield schedule, world
        open_ends += [(*schedule, move) for move in world.enabled()]


def blind(world: World) -> bool:
    """Whether an answer is due that nobody is going to take before a stage ends, if ever."""
    on_the_way = world.told or world.at not in ("stage", "")
    if on_the_way or (world.timer and world.now < world.deadline):
        return False
    if "timer" in world.enabled():
        return False
    return world.protocol.take(world.now) is not None


@pytest.mark.parametrize("exits", [1, 2, 3])
def test_no_interleaving_leaves_an_answer_that_is_due_lying(exits):
    states = 0
    for schedule, world in explore(Now, exits):
        states += 1
        assert not blind(world), schedule
    assert states > 100


@pytest.mark.parametrize("exits", [1, 2, 3])
def test_in_every_interleaving_each_observation_is_acted_on_once_and_not_before_it_is_due(exits):
    complete = 0
    for schedule, world in explore(Now, exits):
        answered = [which for which, _, _ in world.taken]
        assert answered == sorted(set(answered)), schedule
        for which, name, when in world.taken:
            assert name.startswith(f"{which}."), schedule
            is_last = name.endswith(f".{exits}")
            assert is_last or when >= PERIOD * which - LEAD, schedule
        if not world.at and not world.told and not world.timer:
            complete += world.observation == 2
            assert answered == list(range(1, world.observation + 1)), schedule
    assert complete


@pytest.mark.parametrize("exits", [2, 3])
def test_the_explorer_finds_the_blind_moment_of_a_protocol_that_has_one(exits):
    found = [schedule for schedule, world in explore(Before, exits) if blind(world)]
    assert found
    shortest = min(found, key=len)
    assert shortest[-1] == "think"
    assert "timer" in shortest


def test_a_protocol_without_the_look_that_is_remembered_is_blind_too(monkeypatch):
    monkeypatch.setattr(Handover, "provide", lambda self, v: setattr(self, "_in_hand", v))
    assert any(blind(world) for _, world in explore(Now, 2))
