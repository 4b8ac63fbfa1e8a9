# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, delayed, stalled, lost or replayed: no motion without leave, none too late."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from properties import examples

from magma_ros.console.frames import FrameError, read_frame
from magma_ros.console.robot import JOG_LIFETIME

DRIFT = 500e-6
"""Greatest relative error of a clock that NTP slews."""

ERROR = 0.0051
"""What that makes within the ten seconds for which a measurement counts [s]."""

operators = st.integers(0, 1)
few = st.integers(1, 40)


class Machine(RuleBasedStateMachine):
    """Two operators at browsers whose clocks drift, networks that stall in either direction."""

    make_world = None  # set by the test
    make_clock = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.make_clock()
        self.robot, self.hub = self.make_world(self.clock)
        self.robot.jog = self.check(self.robot.jog)
        self.mover = None
        self.over: set[tuple[int, int]] = set()  # (connection, hold)
        self.uttered: dict[tuple[int, int], float] = {}  # (connection, seq) -> time
        self.frame: tuple[object, dict] | None = None
        self.browsers = [None, None]
        self.rates = [0.0, 0.0]

    @initialize(rates=st.tuples(*[st.floats(-DRIFT, DRIFT)] * 2))
    def begin(self, rates):
        self.rates = list(rates)
        for who in (0, 1):
            self.connect(who)

    def connect(self, who):
        browser = self.make_world.browser(
            self.hub, self.clock, offset=1000.0 * (who + 1), rate=self.rates[who]
        )
        browser.held = False
        self.browsers[who] = browser
        browser.enter("AB"[who])

    def check(self, jog):
        """A jog reaches the robot: it must be allowed."""

        def checked(wish):
            browser, frame = self.frame
            number, now = browser.client.number, self.clock.time
            assert self.hub._drive.lease.holder is browser.client, "who lacks the lease moves it"
            assert (number, frame["hold"]) not in self.over, "a hold that was over goes on"
            assert wish.lifetime > 0
            told = self.uttered[number, frame["seq"]]
            assert now + wish.lifetime <= told + JOG_LIFETIME + ERROR, "it moves too late"
            self.mover = (browser, frame["hold"])
            jog(wish)

        return checked

    # What operators do

    @rule(who=operators)
    def press(self, who):
        browser = self.browsers[who]
        browser.held = True
        browser.hold += 1
        self.utter(browser)

    @rule(who=operators)
    def stream(self, who):
        if self.browsers[who].held:
            self.utter(self.browsers[who])

    def utter(self, browser):
        browser.utter_jog()
        self.uttered[browser.client.number, browser.seq] = self.clock.time

    @rule(who=operators)
    def let_go(self, who):
        self.browsers[who].held = False
        self.browsers[who].utter_release()

    @rule(who=operators, wish=st.sampled_from(["ask", "grant", "keep", "drop"]))
    def wish(self, who, wish):
        self.browsers[who].utter(type="lease", id=1, wish=wish)

    @rule(who=operators, verb=st.sampled_from(["stop", "take_over"]))
    def ask(self, who, verb):
        self.browsers[who].utter(type="verb", id=1, verb=verb)

    # What goes wrong

    @rule(who=operators, back=st.integers(0, 20))
    def replay(self, who, back):
        browser = self.browsers[who]
        seq = max(1, browser.seq - back)
        if (browser.client.number, seq) in self.uttered:
            browser.utter_jog(seq=seq, hold=browser.hold)
            browser.seq -= 1

    @rule(who=operators, garbage=st.sampled_from(["", "{", "[" * 300, b"\0", "null", '{"type":1}']))
    def disturb(self, who, garbage):
        self.browsers[who].on_its_way.append(garbage)

    @rule(who=operators)
    def reconnect(self, who):
        self.hub.leave(self.browsers[who].client)
        self.connect(who)

    # The network, and time

    @rule(who=operators, most=few)
    def deliver_up(self, who, most):
        browser = self.browsers[who]
        for _ in range(min(most, len(browser.on_its_way))):
            message = browser.on_its_way[0]
            self.frame = (browser, _as_dict(message))
            browser.arrive(1)
            self.after()

    @rule(who=operators, most=few)
    def deliver_down(self, who, most):
        self.browsers[who].read(most)

    @rule(seconds=st.one_of(st.floats(0.001, 0.06), st.floats(0.1, 3.0)))
    def wait(self, seconds):
        self.clock.time += seconds

    @rule()
    def smooth(self):
        """Half a second on which everything works, keys held as they are."""
        for _ in range(12):
            self.clock.time += 0.04
            for who in (0, 1):
                self.stream(who)
                self.deliver_up(who, 40)
                self.deliver_down(who, 40)
                self.deliver_up(who, 40)
            self.tick()

    @rule()
    def tick(self):
        self.hub.tick()
        self.after()

    def after(self):
        """Note the hold that has just ended."""
        if self.mover and not self.robot.moves:
            browser, hold = self.mover
            self.over.add((browser.client.number, hold))
            self.mover = None

    @invariant()
    def moves_only_by_the_holders_leave(self):
        if self.robot.moves:
            holder = self.hub._drive.lease.holder
            assert holder is not None
            assert self.mover[0].client is holder


def _as_dict(message):
    try:
        frame = read_frame(message)
    except FrameError:
        return {}
    return frame.model_dump()


@pytest.mark.hypothesis
def test_no_order_of_frames_delays_and_losses_moves_the_arm_without_leave(make_world, make_clock):
    class Bound(Machine):
        pass

    Bound.make_world, Bound.make_clock = staticmethod(make_world), staticmethod(make_clock)
    Bound.TestCase.settings = examples(40, stateful_step_count=60)
    Bound.TestCase().runTest()


texts = st.text(st.characters(exclude_categories=()), max_size=60)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
near_frames = st.builds(
    lambda kind, base, more: {**base, **more, "type": kind},
    st.sampled_from(["hello", "pong", "jog", "release", "lease", "verb", "instruct", "label"]),
    st.fixed_dictionaries(
        {},
        optional={
            "seq": json_values, "at": json_values, "hold": json_values, "id": json_values,
            "frame": json_values, "twist": st.lists(st.floats() | st.integers(), max_size=7),
            "gripper": json_values, "verb": json_values, "name": texts, "text": texts,
        },
    ),
    st.dictionaries(texts, json_values, max_size=1),
)  # fmt: skip


@examples(300)
@given(st.one_of(texts, st.binary(max_size=60), json_values.map(json.dumps), near_frames))
def test_no_message_raises_or_moves(make_world, make_clock, message):
    clock = make_clock()
    robot, hub = make_world(clock)
    browser = make_world.browser(hub, clock).enter()
    browser.lease()
    browser.on_its_way.append(json.dumps(message) if isinstance(message, dict) else message)
    browser.arrive()
    browser.read()
    hub.tick()
    for _, jog in robot.jogs:  # if it is a good frame by chance
        assert abs(jog.twist).max() <= 0.6
    assert all(frame["type"] in KNOWN for frame in browser.heard)


KNOWN = {"welcome", "ping", "state", "answer", "refused", "over"}
