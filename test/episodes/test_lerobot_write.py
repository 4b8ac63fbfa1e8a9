# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is exported lies as LeRobot has it, and comes back as it was."""

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.cli import main
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.episode import Episode
from magma_ros.episodes.events import Outcome
from magma_ros.episodes.lerobot import statistics, video
from magma_ros.episodes.lerobot.export import export
from magma_ros.episodes.lerobot.layout import LeRobotError
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.episodes.lerobot.video import frames, probe, usable_codec
from magma_ros.episodes.lerobot.write import DatasetWriter, Limits
from magma_ros.spaces import ACTION_DIMS

GREY = 2.5
"""Largest difference of a grey picture after the video codec."""


def make_episode(
    length, *, fps=10, cameras=("front",), seed=0, words=("pick",), verdict="", **more
):
    """An episode of random numbers, whose picture k is grey of value 30 + 3 * (k % 60)."""
    random = np.random.default_rng(seed)
    points = random.uniform(0, 256, (length, 2)).astype(np.float32)
    points[random.random(length) < 0.5] = np.nan

    def look(camera, rows):
        size = (64 + 16 * cameras.index(camera), 64)
        return ((row, np.full((*size, 3), 30 + 3 * (row % 60), np.uint8)) for row in rows)

    return Episode(
        name=f"episode of {length}",
        period=1 / fps,
        times=np.arange(length) / fps,
        cameras=tuple(cameras),
        look=look,
        picture_ages={camera: np.zeros(length) for camera in cameras},
        fields=("ee_x", "ee_y", "gripper_opening"),
        proprioception=random.normal(size=(length, 3)).astype(np.float32),
        instructions=tuple(words[row * len(words) // length] for row in range(length)),
        points=points,
        point_camera="front",
        actions=random.normal(size=(length, 7)).astype(np.float32),
        sources=tuple(random.choice(["policy", "human", "guard"], length)),
        interventions=random.random(length) < 0.3,
        modes=("AUTO",) * length,
        depths=random.integers(0, 6, length),
        outcome=Outcome(label=verdict),
        events=(),
        methods={"clock": f"{fps} Hz"},
        warnings=(),
    )


def assert_same(episode, original):
    assert len(episode) == len(original)
    assert (episode.fields, episode.action_names) == (original.fields, original.action_names)
    assert episode.instructions == original.instructions
    assert episode.sources == original.sources
    assert episode.outcome.verdict == original.outcome.verdict
    assert episode.cameras == original.cameras
    for name in ("proprioception", "actions", "interventions", "depths", "points"):
        np.testing.assert_array_equal(getattr(episode, name), getattr(original, name))
    np.testing.assert_allclose(episode.times, original.times - original.times[0], atol=1e-6)
    for camera in original.cameras:
        pairs = zip(episode.pictures(camera), original.pictures(camera), strict=True)
        for (row, picture), (_, before) in pairs:
            assert picture.shape == before.shape
            assert abs(float(picture.mean()) - float(before.mean())) < GREY, row


@examples(12)
@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    fps=st.integers(1, 60),
    cameras=st.lists(st.sampled_from(["front", "wrist", "oben_ü"]), unique=True, max_size=2),
    words=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        min_size=1,
        max_size=3,
    ),
    verdict=st.sampled_from(["", "good", "bad"]),
    codec=st.sampled_from(["h264", "av1"]),
    limits=st.sampled_from([Limits(), Limits(data_mb=0, video_mb=0, chunk_files=2)]),
)
def test_what_is_exported_comes_back(lengths, fps, cameras, words, verdict, codec, limits):
    originals = [
        make_episode(n, fps=fps, cameras=cameras, seed=i, words=words, verdict=verdict)
        for i, n in enumerate(lengths)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "set"
        with DatasetWriter(folder, codec=codec, limits=limits) as writer:
            for original in originals:
                writer.add(original)
        dataset = open_dataset(folder)
        assert not dataset.notices
        for episode, original in zip(dataset, originals, strict=True):
            assert_same(episode, original)


def test_the_layout_is_lerobots(tmp_path):
    folder = tmp_path / "set"
    export([make_episode(7), make_episode(5, words=("pick", "place"))], folder, codec="h264")
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (2, 12, 2)
    assert (info["fps"], info["splits"]) == (10, {"train": "0:2"})
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["features"]["observation.state"]["names"] == ["ee_x", "ee_y", "gripper_opening"]
    assert info["features"]["action"]["names"] == list(ACTION_DIMS)
    assert info["features"]["observation.images.front"]["info"]["video.codec"] == "h264"
    assert info["resampling"]["clock"] == "10 Hz"
    table = pq.read_table(folder / "data/chunk-000/file-000.parquet")
    assert table.num_rows == 12
    assert str(table.schema.field("action").type).startswith("fixed_size_list<")
    assert table.column("index").to_pylist() == list(range(12))
    assert table.column("task_index").to_pylist() == [0] * 10 + [1] * 2
    described = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert described["action"]["length"] == 7
    assert described["source"] == {"dtype": "string", "_type": "Value"}
    assert set(described) == set(table.column_names)
    rows = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    key = "videos/observation.images.front"
    assert [row["length"] for row in rows] == [7, 5]
    assert [row["tasks"] for row in rows] == [["pick"], ["pick", "place"]]
    assert [(r["dataset_from_index"], r["dataset_to_index"]) for r in rows] == [(0, 7), (7, 12)]
    np.testing.assert_allclose([r[f"{key}/from_timestamp"] for r in rows], [0.0, 0.7])
    np.testing.assert_allclose([r[f"{key}/to_timestamp"] for r in rows], [0.7, 1.2])
    assert np.shape(rows[0]["stats/observation.images.front/q99"]) == (3, 1, 1)
    assert np.shape(rows[0]["stats/action/q01"]) == (7,)
    figures = json.loads((folder / "meta/stats.json").read_text())
    assert figures["action"]["count"] == [12]
    wanted = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
    assert all(set(figure) == wanted for figure in figures.values())
    assert probe(folder / "videos/observation.images.front/chunk-000/file-000.mp4").frames == 12
    tasks = pq.read_table(folder / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]


def test_files_are_begun_anew_at_their_size_and_counted_in_chunks(tmp_path):
    folder = tmp_path / "set"
    with DatasetWriter(folder, codec="h264", limits=Limits(0, 0, 2)) as writer:
        for length in (30, 40, 50):
            writer.add(make_episode(length))
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("file-*"))
    assert "data/chunk-001/file-000.parquet" in names
    assert "videos/observation.images.front/chunk-001/file-000.mp4" in names
    assert sum(name.startswith("data") for name in names) == 3


def test_statistics_are_those_of_the_numbers():
    values = np.random.default_rng(0).normal(size=(1000, 3))
    figures = statistics.of_values(values)
    np.testing.assert_allclose(figures["mean"], values.mean(axis=0))
    np.testing.assert_allclose(figures["q10"], np.quantile(values, 0.1, axis=0))
    gaps = statistics.of_values(np.array([[np.nan, 1.0], [np.nan, 3.0]]))
    assert gaps["mean"] == [0.0, 2.0]
    histogram = statistics.Histogram()
    picture = np.random.default_rng(1).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    histogram.add(picture)
    found = histogram.statistics()
    flat = picture.reshape(-1, 3) / 255
    for name, wanted in {"mean": flat.mean(0), "std": flat.std(0), "min": flat.min(0)}.items():
        np.testing.assert_allclose(np.ravel(found[name]), wanted, atol=1e-9)
    np.testing.assert_allclose(np.ravel(found["q90"]), np.quantile(flat, 0.9, axis=0), atol=0.01)


def test_a_codec_that_is_missing_is_replaced_and_said(tmp_path, monkeypatch):
    monkeypatch.setitem(video.CODECS, "av1", "libmissing")
    usable_codec.cache_clear()
    folder = tmp_path / "set"
    try:
        export([make_episode(4)], folder, codec="av1")
    finally:
        usable_codec.cache_clear()
    info = json.loads((folder / "meta/info.json").read_text())
    assert info["features"]["observation.images.front"]["info"]["video.codec"] == "h264"
    assert open_dataset(folder).notices == ()


def test_rows_before_the_first_instruction_are_left_out(tmp_path):
    episode = make_episode(6, words=("", "pick"))
    result = export([episode], tmp_path / "set", codec="h264")
    assert result.frames == 3
    (found,) = open_dataset(tmp_path / "set")
    np.testing.assert_array_equal(found.actions, episode.actions[3:])
    assert abs(next(found.pictures("front"))[1].mean() - 39) < GREY


def test_rows_at_both_ends_in_which_nobody_drove_are_left_out_if_asked(tmp_path):
    sources = ("guard", "policy", "guard", "human", "guard", "guard")
    episode = replace(make_episode(6), sources=sources)
    idle = replace(make_episode(3), sources=("guard",) * 3)
    result = export([episode], tmp_path / "set", codec="h264", trim=True)
    assert result.frames == 3
    (found,) = open_dataset(tmp_path / "set")
    assert found.sources == ("policy", "guard", "human")
    np.testing.assert_array_equal(found.actions, episode.actions[1:4])
    with pytest.raises(EpisodeError, match="nobody drove in episode of 3"):
        export([idle], tmp_path / "other", codec="h264", trim=True)


def test_an_episode_that_differs_is_named_and_nothing_half_is_left(tmp_path):
    episodes = [make_episode(4), make_episode(4, cameras=("front", "wrist"))]
    with pytest.raises(LeRobotError, match=r"the first episode .* export them apart"):
        export(episodes, tmp_path / "set", codec="h264")
    assert list(tmp_path.iterdir()) == []
    result = export(episodes, tmp_path / "set", codec="h264", skip_broken=True)
    assert (result.episodes, len(result.left_out)) == (1, 1)
    with pytest.raises(LeRobotError, match="exists already"):
        export(episodes, tmp_path / "set")


@pytest.mark.parametrize(
    ("episode", "sentence"),
    [
        (make_episode(4, words=("",)), "has no instruction; name one with --task"),
        (make_episode(4, fps=12.5), "LeRobot wants a whole number"),
    ],
)
def test_what_lerobot_cannot_hold_is_one_sentence(tmp_path, episode, sentence):
    with pytest.raises(EpisodeError, match=sentence):
        export([episode], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, full_disk):
    episodes = [make_episode(20, seed=seed) for seed in range(3)]
    with full_disk(3000), pytest.raises(EpisodeError, match="cannot write"):
        export(episodes, tmp_path / "set", codec="h264")
    assert list(tmp_path.iterdir()) == []


def test_single_frames_are_found_anywhere_in_a_shared_file(tmp_path):
    export([make_episode(30), make_episode(20)], tmp_path / "set", codec="av1")
    (path,) = (tmp_path / "set").rglob("*.mp4")
    for number in (0, 7, 19):
        (picture,) = frames(path, 30, 10, [number])
        assert abs(picture.mean() - (30 + 3 * number)) < GREY
    with pytest.raises(LeRobotError, match="ends before its frame 50"):
        list(frames(path, 30, 10, [20]))


def test_recordings_are_exported_by_command(scene, tmp_path, capsys):
    for number, words in enumerate(["pick the red cube", "Lege den Würfel ab"]):
        made = scene(f"episode_{number}", facts=FACTS).usual(instruction=words)
        made.status("task/status", 1.9, "Done.", state=("SUCCEEDED", "TIMED_OUT")[number])
        made.write()
    out = tmp_path / "out"
    words = ["episodes", "export", str(tmp_path / "runs"), "--out", str(out), "--codec", "h264"]
    assert main([*words, "--json", str(tmp_path / "told.json")]) == 0
    assert json.loads((tmp_path / "told.json").read_text())["episodes"] == 2
    first, second = open_dataset(out)
    assert (first.instruction, second.instruction) == ("pick the red cube", "Lege den Würfel ab")
    assert (first.outcome.verdict, second.outcome.verdict) == ("good", "bad")
    np.testing.assert_allclose(first.actions[1:, 0], 0.01, atol=1e-6)
    assert set(first.sources) == {"policy"}
    info = json.loads((out / "meta/info.json").read_text())
    assert info["resampling"]["clock"].startswith("10 Hz")
    assert main([*words[:3], "--out", str(tmp_path / "good"), "--only-good"]) == 0
    assert len(open_dataset(tmp_path / "good")) == 1
    capsys.readouterr()
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_recording_that_was_cut_off_is_named_and_not_passed_over(scene, tmp_path, capsys):
    for name in ("episode_0", "episode_1"):
        scene(name, facts=FACTS).usual(seconds=1.0).write()
    cut = tmp_path / "runs" / "episode_0" / "episode_0_0.mcap"
    cut.write_bytes(cut.read_bytes()[:-3000])
    out = tmp_path / "out"
    words = ["episodes", "export", str(tmp_path / "runs"), "--out", str(out), "--codec", "h264"]
    assert main(words) == 2
    assert "magma episodes recover" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--skip-broken"]) == 0
    assert f"left out: {cut} is cut off" in capsys.readouterr().err
    assert len(open_dataset(out)) == 1
    assert main(["episodes", "export", str(out), "--out", str(tmp_path / "x")]) == 2
    assert "holds no recording" in capsys.readouterr().err


FACTS = {
    "gripper.joint": "finger",
    "gripper.open_position": "0.04",
    "gripper.closed_position": "0.0",
}


@pytest.mark.parametrize("codec", video.CODECS)
def test_who_writes_a_video_keeps_its_priority(tmp_path, codec):
    """SVT-AV1 makes everything real-time, as root may, this thread and all later children too."""

    def schedulers():
        threads = Path("/proc/self/task").iterdir()
        return {thread.name: os.sched_getscheduler(int(thread.name)) for thread in threads}

    mine, before = os.sched_getscheduler(0), schedulers()  # a library's, as Mesa's, may be others
    writer = video.VideoWriter(tmp_path / "a.mp4", codec, 64, 64, 10)
    for _ in range(2):
        writer.add(np.zeros((64, 64, 3), np.uint8))
        assert all(now == before.get(name, mine) for name, now in schedulers().items())
    writer.close()
    assert os.sched_getscheduler(0) == mine
