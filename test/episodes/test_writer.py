# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording is a bag that stock readers open, and no end of the process spoils it."""

import itertools
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from mcap.exceptions import EndOfFile
from mcap.records import Message
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader

from magma_ros.episodes.bag import EpisodeError, make_episode
from magma_ros.episodes.recording import CLOSE_TIMEOUT, END_TIMEOUT, Entry, Recording
from magma_ros.episodes.recover import recover
from magma_ros.episodes.writer import EpisodeWriter


def streamed(path: Path) -> list[bytes]:
    """Every message that a stream reader finds before the file breaks off."""
    found = []
    with path.open("rb") as file, suppress(EndOfFile):
        found.extend(r.data for r in StreamReader(file).records if isinstance(r, Message))
    return found


def wait_until(true, timeout=10.0):
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path):
    return make_episode(tmp_path)


def test_a_closed_recording_is_a_whole_bag(folder, make_topic, text):
    writer = EpisodeWriter(folder)
    channels = [writer.add(make_topic("/a", latched=True)), writer.add(make_topic("/b"))]
    for number in range(50):
        log_time = 10**18 + number * 10**7
        writer.write(channels[number % 2], text(f"{number}"), log_time=log_time, publish_time=5)
    writer.close()
    with AnyReader([folder]) as bag:
        said = [bag.deserialize(raw, c.msgtype).data for c, _, raw in bag.messages()]
        assert said == [f"{number}" for number in range(50)]
        assert bag.duration == 49 * 10**7 + 1
        latched = next(c for c in bag.connections if c.topic == "/a")
    assert latched.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
    assert latched.digest.startswith("RIHS01_")
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    assert information["message_count"] == 50
    assert information["relative_file_paths"] == ["episode_0_0.mcap"]
    assert "&id" not in (folder / "metadata.yaml").read_text()


def test_what_was_flushed_is_there_before_anything_is_closed(folder, make_topic, text):
    writer = EpisodeWriter(folder)
    channel = writer.add(make_topic("/a"))
    for number in range(10):
        writer.write(channel, text(f"{number}"), log_time=number, publish_time=number)
    writer.flush()
    writer.write(channel, text("late"), log_time=11, publish_time=11)
    assert len(streamed(writer.path)) == 10
    writer.abandon()


KILLED = """
import sys, time
from pathlib import Path
from magma_ros.episodes.bag import Topic, make_episode
from magma_ros.episodes.recording import Entry, Recording
from magma_ros.episodes.writer import EpisodeWriter
writer = EpisodeWriter(make_episode(Path(sys.argv[1])))
channel = writer.add(Topic("/a", "std_msgs/msg/String", "string data", "", ()))
recording = Recording(writer)
for number in range(100):
    recording.put(Entry(channel, b"%d" % number, number, number))
print("heard", flush=True)
time.sleep(60)
"""


def test_a_kill_takes_at_most_the_last_second(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "heard\n"
        path = tmp_path / "episode_0" / "episode_0_0.mcap"
        heard = time.monotonic()
        wait_until(lambda: len(streamed(path)) == 100)
        assert time.monotonic() - heard < 20.0  # a second on a machine that is not busy
    finally:
        child.kill()
        child.wait()
    result = recover(path, tmp_path / "whole")
    assert (result.messages, result.lost, result.whole) == (100, 0, False)
    with AnyReader([tmp_path / "whole"]) as bag:
        assert bag.message_count == 100


def test_a_full_disk_ends_the_recording_with_a_sentence_and_a_readable_file(
    folder, make_topic, text, tmp_path, full_disk
):
    recording = Recording(writer := EpisodeWriter(folder))
    channel = 1
    writer.add(make_topic("/a"))
    with full_disk(3 << 20):
        for number in range(100):
            recording.put(Entry(channel, text("x" * 100_000), number, number))
        wait_until(lambda: recording.status.failure)
        assert not recording.put(Entry(channel, text("later"), 100, 100))
        status = recording.close()
    assert "File too large" in status.failure
    assert "magma episodes recover" in status.failure
    assert "\n" not in status.failure
    assert status.dropped > 0
    kept = len(streamed(writer.path))
    assert 20 <= kept <= 31
    result = recover(writer.path, tmp_path / "whole")
    assert (result.messages, result.lost, result.unread) == (kept, 0, 0)


def test_a_disk_that_is_full_when_closing_leaves_what_was_flushed(
    folder, make_topic, text, full_disk
):
    recording = Recording(writer := EpisodeWriter(folder))
    channel = writer.add(make_topic("/a"))
    recording.put(Entry(channel, text("x"), 1, 1))
    wait_until(lambda: len(streamed(writer.path)) == 1)
    with full_disk(writer.path.stat().st_size):
        assert "File too large" in recording.close().failure
    assert len(streamed(writer.path)) == 1


@pytest.mark.parametrize("gone", [shutil.rmtree, lambda folder: folder.rename(folder / "../x")])
def test_a_recording_that_is_removed_is_noticed(folder, make_topic, text, gone):
    recording = Recording(writer := EpisodeWriter(folder))
    channel = writer.add(make_topic("/a"))
    gone(folder)
    recording.put(Entry(channel, text("x"), 1, 1))
    wait_until(lambda: recording.status.failure)
    assert "No such file" in recording.close().failure


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null", "/proc/version/runs"])
def test_a_place_where_nothing_can_be_recorded_is_one_sentence(place):
    with pytest.raises(EpisodeError, match=rf"^cannot record into {place}: .+$"):
        make_episode(Path(place))


def test_episodes_are_numbered_and_none_is_overwritten(tmp_path):
    names = [make_episode(tmp_path / "runs").name for _ in range(3)]
    assert names == ["episode_0", "episode_1", "episode_2"]


class SlowWriter(EpisodeWriter):
    """A disk that stalls until it is let go."""

    stalled = True

    def write(self, *args, **times):
        while self.stalled:
            time.sleep(0.001)
        super().write(*args, **times)


def test_what_the_disk_cannot_take_is_dropped_and_counted_never_waited_for(folder, make_topic):
    recording = Recording(writer := SlowWriter(folder), queue_bytes=1000)
    channel = writer.add(make_topic("/a"))
    taken = sum(recording.put(Entry(channel, bytes(100), n, n)) for n in range(50))
    assert 10 <= taken <= 11  # one is in the writer's hands
    assert recording.status.dropped == 50 - taken
    writer.stalled = False
    status = recording.close()
    assert (status.messages, status.dropped, status.failure) == (taken, 50 - taken, "")


@pytest.fixture
def stalled(folder, make_topic):
    """A recording whose disk stalls with one message on the way, and the disk."""
    recording = Recording(writer := SlowWriter(folder))
    recording.put(Entry(writer.add(make_topic("/a")), b"x", 1, 1))
    yield recording, writer
    writer.stalled = False


def test_closing_does_not_wait_for_ever_for_a_disk_that_stalls(stalled):
    recording, _ = stalled
    assert "did not take everything within 0.1 s" in recording.close(timeout=0.1).failure


def test_closing_waits_for_a_slow_disk(stalled, folder):
    recording, writer = stalled
    threading.Timer(END_TIMEOUT + 0.2, setattr, (writer, "stalled", False)).start()
    status = recording.close()
    assert (status.messages, status.failure) == (1, "")
    with AnyReader([folder]) as bag:
        assert bag.message_count == 1


@pytest.mark.parametrize("looks", [0, 3])
def test_closing_is_short_from_when_the_process_is_told_to_end(stalled, looks):
    recording, _ = stalled
    told = itertools.chain([False] * looks, itertools.repeat(True))
    waited = float(recording.close(ending=lambda: next(told)).failure.split("within ")[1][:3])
    assert waited < CLOSE_TIMEOUT  # END_TIMEOUT and a look or two on a machine that is not busy
