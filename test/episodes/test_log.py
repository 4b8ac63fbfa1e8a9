# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times and counts of a recording are those of the messages, whatever the clocks do."""

import pytest
from rosbags.highlevel import AnyReader

from magma_ros.episodes.bag import make_episode
from magma_ros.episodes.log import EpisodeLog, Source
from magma_ros.episodes.times import GapCounter, LogClock, header_stamp

SECOND = 10**9
YEAR = 365 * 24 * 3600 * SECOND


class Clocks:
    """A wall clock and a steady one that are set by hand [ns]."""

    def __init__(self, wall):
        self.wall, self.steady = wall, 5 * SECOND

    def clock(self, *, simulated):
        return LogClock(lambda: self.wall, lambda: self.steady, simulated=simulated)


@pytest.fixture
def folder(tmp_path):
    return make_episode(tmp_path)


def recorded(folder):
    """Log time and text of every message."""
    with AnyReader([folder]) as bag:
        return [(t, bag.deserialize(raw, c.msgtype).data) for c, t, raw in bag.messages()]


@pytest.fixture
def sources(make_topic):
    return (
        Source(make_topic("/said"), stamped=False, latched=False, steady=False),
        Source(make_topic("/fact", latched=True), stamped=False, latched=True, steady=False),
    )


def test_nothing_is_stamped_zero_before_simulated_time_begins(folder, sources, text):
    clocks = Clocks(wall=0)
    log = EpisodeLog(folder, sources, clocks.clock(simulated=True))
    log.hear(0, text("too early"))
    log.hear(1, text("latched"))
    clocks.wall = 56 * YEAR
    log.hear(0, text("in time"))
    status = log.close()
    assert recorded(folder) == [(56 * YEAR, "latched"), (56 * YEAR, "in time")]
    assert status.early == 1


def test_latched_facts_are_kept_even_if_simulated_time_never_begins(folder, sources, text):
    log = EpisodeLog(folder, sources, Clocks(wall=0).clock(simulated=True))
    log.hear(1, text("latched"))
    log.close()
    assert [said for _, said in recorded(folder)] == ["latched"]


def test_a_wall_clock_that_is_set_meanwhile_does_not_stretch_the_recording(folder, sources, text):
    clocks = Clocks(wall=SECOND)  # 1970: no real-time clock, no network yet
    log = EpisodeLog(folder, sources, clocks.clock(simulated=False))
    log.hear(0, text("before"))
    clocks.wall = 56 * YEAR
    clocks.steady += SECOND
    log.hear(0, text("after"))
    log.close()
    assert recorded(folder) == [(SECOND, "before"), (2 * SECOND, "after")]


def test_a_latched_fact_that_is_heard_twice_is_recorded_once(folder, sources, text):
    log = EpisodeLog(folder, sources, Clocks(wall=SECOND).clock(simulated=False))
    for sent in (7, 7, 8):
        log.hear(1, text("fact"), sent)
        log.hear(0, text("said"), sent)
    log.close()
    assert [said for _, said in recorded(folder)].count("fact") == 2
    assert [said for _, said in recorded(folder)].count("said") == 3


def test_the_stamp_of_a_header_is_read_in_either_byte_order(stamped):
    assert header_stamp(stamped(3, 500)) == 3 * SECOND + 500
    assert header_stamp(b"\0\0\0\0\0\0\0\3\0\0\1\xf4") == 3 * SECOND + 500


@pytest.mark.parametrize(
    "data", [b"", b"\0\1\0\0", b"\0\1\0\0" + bytes(8), b"\0\1\0\0" + b"\xff" * 8]
)
def test_no_or_an_impossible_stamp_is_none(data):
    assert header_stamp(data) is None


def test_pictures_missing_from_a_steady_stream_are_counted():
    counter = GapCounter()
    kept = [n for n in range(200) if n not in {50, 51, 52, 120}]
    for number in kept:
        counter.add(number * SECOND // 30 + (number % 3) * 1_000_000)  # some jitter
    assert counter.missing == 4


def test_a_sender_that_was_late_and_catches_up_misses_nothing():
    counter = GapCounter()
    for number in range(200):
        late = 80 <= number < 90  # ten come at once, when the eleventh is due
        stamp = 90 * 100 - (90 - number) if late else number * 100
        counter.add(stamp)
    assert counter.missing == 0


def test_another_rate_is_no_loss_for_ever():
    counter = GapCounter()
    for number in range(100):
        counter.add(number * 100)
    for number in range(200):
        counter.add(10_000 + number * 300)
    assert counter.missing < 100


def test_what_is_missing_is_told_by_topic(folder, make_topic, stamped):
    source = Source(
        make_topic("/camera/front/image_raw", "sensor_msgs/msg/Image"),
        stamped=True, latched=False, steady=True,
    )  # fmt: skip
    log = EpisodeLog(folder, [source], Clocks(wall=SECOND).clock(simulated=False))
    for number in [*range(1, 20), 22]:
        log.hear(0, stamped(number))
    status = log.close()
    assert status.missing == {"/camera/front/image_raw": 2}
    assert status.lost == 2
