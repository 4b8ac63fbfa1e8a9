# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever happened to a recording, what is left of it becomes a whole bag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from rosbags.highlevel import AnyReader

from magma_ros.episodes.bag import EpisodeError, make_episode
from magma_ros.episodes.recover import default_folder, find_recording, recover
from magma_ros.episodes.writer import EpisodeWriter

COUNT = 60


@pytest.fixture
def flushed():
    """Sizes of the file after each flush, and how many messages it held."""
    return []


@pytest.fixture
def recording(tmp_path, make_topic, text, flushed):
    """Sixty messages on two topics, in six chunks."""
    writer = EpisodeWriter(make_episode(tmp_path))
    channels = [
        writer.add(make_topic("/a", latched=True)),
        writer.add(make_topic("/b", "std_msgs/msg/Float64")),
    ]
    for number in range(COUNT):
        data = text(f"{number}") if number % 2 == 0 else b"\0\1\0\0" + bytes(8)
        writer.write(channels[number % 2], data, log_time=1000 + number, publish_time=number + 1)
        if number % 10 == 9:
            writer.flush()
            flushed.append((writer.path.stat().st_size, number + 1))
    writer.close()
    return writer.path


def test_a_whole_recording_is_copied_whole(recording, tmp_path):
    result = recover(recording, tmp_path / "out")
    assert (result.messages, result.lost, result.unread, result.whole) == (COUNT, 0, 0, True)
    with AnyReader([recording.parent]) as before, AnyReader([tmp_path / "out"]) as after:
        assert [m[1:] for m in before.messages()] == [m[1:] for m in after.messages()]
        assert [(c.topic, c.msgtype, c.digest, c.ext) for c in before.connections] == [
            (c.topic, c.msgtype, c.digest, c.ext) for c in after.connections
        ]


@examples(30)
@given(share=st.floats(0.0, 1.0))
def test_wherever_it_is_cut_off_everything_before_is_saved(
    recording, flushed, tmp_path_factory, share
):
    folder = tmp_path_factory.mktemp("cut")
    whole = recording.read_bytes()
    cut = folder / "cut.mcap"
    cut.write_bytes(whole[: int(share * len(whole))])
    try:
        result = recover(cut, folder / "out")
    except EpisodeError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert cut.stat().st_size < flushed[0][0]
        return
    assert cut.read_bytes() == whole[: int(share * len(whole))]
    with AnyReader([folder / "out"]) as bag:
        times = [timestamp for _, timestamp, _ in bag.messages()]
    assert times == [1000 + number for number in range(result.messages)]
    assert result.lost <= 1
    assert result.messages >= max(n for size, n in [(0, 0), *flushed] if size <= len(whole) * share)


@examples(30)
@given(data=st.data())
def test_no_damage_is_more_than_a_sentence(recording, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(recording.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = folder / "damaged.mcap"
    path.write_bytes(content)
    try:
        result = recover(path, folder / "out")
    except EpisodeError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert not (folder / "out").exists()
    else:
        assert 0 < result.messages <= COUNT


def test_a_damaged_chunk_is_left_out_and_what_it_held_is_counted(recording, tmp_path):
    content = bytearray(recording.read_bytes())
    place = content.index(b"\0\1\0\0" + b"\3\0\0\0" + b"24\0")  # in the third chunk
    content[place + 8] ^= 1
    recording.write_bytes(content)
    result = recover(recording, tmp_path / "out")
    assert (result.messages, result.lost) == (COUNT - 10, 10)


def test_nothing_is_overwritten(recording, tmp_path):
    with pytest.raises(EpisodeError, match="exists already; name another folder"):
        recover(recording, tmp_path)


@pytest.mark.parametrize("content", [b"", b"something else", b"\x89MCAP0\r\n"])
def test_what_is_no_recording_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.mcap"
    path.write_bytes(content)
    with pytest.raises(EpisodeError, match=r"x\.mcap (is no MCAP file|holds no whole message)"):
        recover(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_episode_may_be_named_by_its_folder(recording, tmp_path):
    assert find_recording(recording.parent) == recording
    assert default_folder(recording) == tmp_path / "episode_0_recovered"
    assert default_folder(tmp_path / "x.mcap") == tmp_path / "x_recovered"
    with pytest.raises(EpisodeError, match="holds 0 MCAP files"):
        find_recording(tmp_path)
    with pytest.raises(EpisodeError, match="does not exist"):
        find_recording(tmp_path / "nowhere")
