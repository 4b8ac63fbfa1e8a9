# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma episodes`` tells whole recordings from broken ones, and mends those."""

import json

import pytest

from magma_ros.cli import main
from magma_ros.episodes.bag import make_episode
from magma_ros.episodes.writer import EpisodeWriter


@pytest.fixture
def directory(tmp_path, make_topic, text):
    """One whole episode and one that was cut off."""
    for whole in (True, False):
        writer = EpisodeWriter(make_episode(tmp_path / "runs"))
        channel = writer.add(make_topic("/a"))
        for number in range(10):
            writer.write(channel, text("x"), log_time=10**18 + number * 10**9, publish_time=0)
        writer.flush()
        if whole:
            writer.close()
        writer.abandon()
    return tmp_path / "runs"


def test_episodes_are_listed_with_their_state(directory, tmp_path, capsys):
    assert main(["episodes", "list", str(directory), "--json", str(tmp_path / "found.json")]) == 1
    whole, cut = json.loads((tmp_path / "found.json").read_text())
    assert (whole["messages"], whole["topics"], whole["duration"]) == (10, 1, 9.0)
    assert whole["problem"] == ""
    assert "magma episodes recover" in cut["problem"]
    assert "2001-09-09 01:46:40" in capsys.readouterr().out


def test_a_recording_that_was_cut_off_is_recovered(directory, capsys):
    assert main(["episodes", "recover", str(directory / "episode_1")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 messages saved into" in said
    assert "ends without an index" in said
    assert (directory / "episode_1_recovered" / "metadata.yaml").is_file()
    assert not (directory / "episode_1" / "metadata.yaml").exists()


@pytest.mark.parametrize("words", [["list", "nowhere"], ["recover", "nowhere"]])
def test_what_is_not_there_is_one_sentence(words, capsys):
    assert main(["episodes", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"\x89MCAP0\r\n" * 20, b"\xff" * 500])
def test_damaged_files_are_listed_not_stumbled_over(tmp_path, content):
    (tmp_path / "x.mcap").write_bytes(content)
    assert main(["episodes", "list", str(tmp_path)]) == 1
