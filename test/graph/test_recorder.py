# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""However a recorder process ends, what it heard until a second before is in the file."""

import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import rclpy
from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from std_msgs.msg import String

from magma_ros.episodes.recover import recover
from magma_ros.nodes import names, qos

pytestmark = pytest.mark.graph

RECORDER = (
    "import sys; from magma_ros import embedded; embedded.install(); "
    "from magma_ros.nodes.recorder_node import main; sys.exit(main())"
)


@pytest.fixture
def recorder(tmp_path):
    """A recorder process, and the file it writes."""
    words = ["--ros-args", "-p", f"directory:={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDER, *words], stderr=subprocess.PIPE, text=True
    )
    yield process, tmp_path / "episode_0" / "episode_0_0.mcap"
    process.kill()
    process.wait()


@pytest.fixture
def talk():
    """Say twenty things, each after the recorder is sure to listen."""
    rclpy.init()
    node = rclpy.create_node("talker")
    publisher = node.create_publisher(String, names.POLICY_HELP, qos.EVENTS)

    def say():
        end = time.monotonic() + 60.0
        while publisher.get_subscription_count() == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        for number in range(20):
            publisher.publish(String(data=f"{number}"))
            time.sleep(0.01)

    yield say
    node.destroy_node()
    rclpy.shutdown()


def flushed(path):
    """How many of the things said are in the file, which may break off anywhere."""
    topics, found = {}, 0
    with path.open("rb") as file, suppress(EndOfFile):
        for record in StreamReader(file).records:
            if isinstance(record, Channel):
                topics[record.id] = record.topic
            found += isinstance(record, Message) and topics[record.channel_id] == "/policy/help"
    return found


def wait_until_written(path):
    """Wait until all that was said is in the file, as it is after a second on an idle machine."""
    end = time.monotonic() + 60.0
    while flushed(path) < 20:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_killed_it_leaves_what_was_written_of_itself(recorder, talk, tmp_path):
    process, path = recorder
    talk()
    wait_until_written(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert recover(path, tmp_path / "whole").lost == 0
    with AnyReader([tmp_path / "whole"]) as bag:
        assert {c.topic: c.msgcount for c in bag.connections}["/policy/help"] == 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_leaves_a_whole_bag(recorder, talk, number):
    process, path = recorder
    talk()
    wait_until_written(path)
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert "Traceback" not in process.stderr.read()
    with path.open("rb") as file:
        assert make_reader(file).get_summary().statistics.message_count >= 20
    with AnyReader([path.parent]) as bag:
        assert {c.topic: c.msgcount for c in bag.connections}["/policy/help"] == 20
