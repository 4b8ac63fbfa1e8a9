# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set made elsewhere is read as it is, or its defect is named."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros.cli import main
from magma_ros.episodes.lerobot.layout import LeRobotError
from magma_ros.episodes.lerobot.read import broken_sentence, open_dataset
from magma_ros.episodes.lerobot.rows import _without_pictures
from magma_ros.types import MagmaError

VERSIONS = ("v2.1", "v3.0")


def greys(episode, camera="cam_high"):
    return [picture.mean() for _, picture in episode.pictures(camera)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [26, 34])
def test_a_set_made_elsewhere_is_read_with_its_names_words_and_pictures(elsewhere, version, size):
    made = elsewhere(version=version, size=size)
    dataset = open_dataset(made.write())
    assert (len(dataset), dataset.cameras, dataset.fps) == (2, ("cam_high",), 10)
    assert dataset.fields == tuple(f"joint_{number}" for number in range(size))
    first, second = dataset
    assert (len(first), len(second)) == (5, 4)
    assert first.instruction == "Pick up the yellow bottle."
    assert second.instruction == "Räume die Flasche weg, 瓶子"
    np.testing.assert_array_equal(second.proprioception, made.columns(1)["observation.state"])
    np.testing.assert_array_equal(second.actions, made.columns(1)["action"])
    np.testing.assert_allclose(greys(first), [20, 24, 28, 32, 36], atol=2)
    np.testing.assert_allclose(greys(second), [30, 34, 38, 42], atol=2)
    assert [row for row, _ in second.pictures("cam_high", [3, 1])] == [1, 3]
    assert set(second.sources) == {"human"}  # data sets are demonstrations
    assert second.interventions.all()
    assert not dataset.broken
    assert not dataset.notices


@pytest.mark.parametrize("version", VERSIONS)
def test_columns_of_other_names_are_found_and_said(elsewhere, version):
    made = elsewhere(version=version, state="state", action="actions", camera="image")
    dataset = open_dataset(made.write())
    assert dataset.cameras == ("image",)
    assert dataset.notices == (
        "state is taken for observation.state",
        "actions is taken for action",
    )
    np.testing.assert_allclose(greys(dataset.episode(dataset.entries[0]), "image")[0], 20, atol=2)


def test_a_column_of_an_uncommon_name_is_taken_where_a_person_says_so(elsewhere):
    folder = elsewhere(action="target_pose").write()
    with pytest.raises(LeRobotError, match=r"has no action; its features are obser"):
        open_dataset(folder)
    assert len(open_dataset(folder, keys={"action": "target_pose"})) == 2
    with pytest.raises(LeRobotError, match="has no pose; its features"):
        open_dataset(folder, keys={"action": "pose"})


def test_entries_without_names_are_numbered_and_names_that_do_not_fit_are_said(elsewhere):
    made = elsewhere("nameless", size=3)
    features = made.features()
    features["action"] = features["action"] | {"names": None}
    features["observation.state"] = features["observation.state"] | {"names": ["x", "y"]}
    made.info["features"] = features
    dataset = open_dataset(made.write())
    assert dataset.action_names == ("action_0", "action_1", "action_2")
    assert dataset.fields == ("state_0", "state_1", "state_2")
    (notice,) = dataset.notices
    assert notice.startswith("the names of observation.state do not fit its shape")


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_columns_are_kept(elsewhere, version):
    reward = {"next.reward": lambda episode, rows: (episode + rows).astype(np.float32)}
    dataset = open_dataset(elsewhere(version=version, extra=reward).write())
    assert "kept as they are: next.reward" in dataset.notices
    _, second = dataset
    np.testing.assert_array_equal(second.extra["next.reward"], [1, 2, 3, 4])


def test_pictures_among_the_rows_are_read_as_well(elsewhere):
    dataset = open_dataset(elsewhere(stored="image").write())
    first, second = dataset
    assert greys(first) == [20, 24, 28, 32, 36]
    assert [row for row, _ in second.pictures("cam_high", [3, 1])] == [1, 3]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**13) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@examples(40)
@given(st.lists(st.tuples(st.integers(0, 10**6), VALUES), min_size=1, max_size=3), st.booleans())
def test_no_content_of_the_description_ends_with_anything_but_a_sentence(
    small_set, changes, in_info
):
    name = "info.json" if in_info else "episodes.jsonl"
    path = small_set / "meta" / name
    whole = path.read_text()
    lines = [whole] if in_info else whole.splitlines()
    told = [json.loads(line) for line in lines]
    for which, value in changes:
        places = list(leaves(told))
        holder, key = places[which % len(places)]
        holder[key] = value
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    try:
        with suppress(MagmaError):
            for episode in open_dataset(small_set, skip_broken=True):
                for camera in episode.cameras:
                    list(episode.pictures(camera, [0]))
    finally:
        path.write_text(whole)


@pytest.fixture
def small_set(elsewhere):
    return elsewhere(lengths=(2, 2), size=2).write()


def leaves(value):
    """Every value below a list or dictionary, as its holder and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from leaves(inner)


def test_videos_beside_the_place_that_the_info_names_are_found(elsewhere):
    dataset = open_dataset(elsewhere(videos="video").write())
    assert dataset.notices == ("its videos lie in video/, where its info says videos/",)


def test_another_codec_than_the_infos_is_said(elsewhere):
    dataset = open_dataset(elsewhere(encoder="libx264").write())
    assert any("encoded as h264, where the info says av1" in text for text in dataset.notices)
    np.testing.assert_allclose(greys(next(iter(dataset)))[2], 28, atol=3)


def broken(made, **settings):
    """The sentence about the only broken episode, number 1; the other one can be read."""
    with pytest.raises(LeRobotError, match="leave them out with --skip-broken") as error:
        open_dataset(made.folder, **settings)
    dataset = open_dataset(made.folder, skip_broken=True, **settings)
    assert [entry.index for entry in dataset.entries] == [0]
    assert len(greys(next(iter(dataset)))) == 5
    assert broken_sentence(dataset.broken) in str(error.value)
    return broken_sentence(dataset.broken)


def rewrite(made, episode, **changes):
    columns = made.columns(episode) | changes
    lengths = [len(column) for column in changes.values()]
    if lengths:
        columns = {name: column[: min(lengths)] for name, column in columns.items()}
    pq.write_table(made.table(columns), made.data(episode))


def test_a_missing_video_is_named(elsewhere):
    made = elsewhere()
    made.write()
    made.video(1).unlink()
    assert broken(made) == "episode 1: the video of observation.images.cam_high is missing"


def test_a_video_that_is_none_is_named(elsewhere):
    made = elsewhere()
    made.write()
    made.video(1).write_bytes(b"<html>not found</html>")
    assert "is no video that can be read" in broken(made)


def test_missing_or_damaged_rows_are_named(elsewhere):
    made = elsewhere()
    made.write()
    made.data(1).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert broken(made) == "episode 1: the file of its rows is damaged"
    made.data(1).unlink()
    assert broken(made) == "episode 1: the file of its rows is missing"


def test_rows_and_pictures_that_differ_in_number_are_named(elsewhere):
    made = elsewhere()
    made.write()
    shutil.copy(made.video(0), made.video(1))
    sentence = "episode 1: the video of observation.images.cam_high has 5 pictures for 4 rows"
    assert broken(made) == sentence
    made.lengths = (5, 3)
    rewrite(made, 1)
    assert broken(made) == "episode 1: it has 3 rows where the list says 4"


def test_timestamps_of_another_rate_are_named_and_a_person_may_know_better(elsewhere):
    made = elsewhere(info={"fps": 30})
    made.write()
    with pytest.raises(LeRobotError, match=r"timestamps are 0.1 s apart, which is not 30 Hz"):
        open_dataset(made.folder, skip_broken=True)
    assert open_dataset(made.folder, fps=10).fps == 10


def test_a_jump_in_the_timestamps_is_named(elsewhere):
    made = elsewhere()
    made.write()
    rewrite(made, 1, timestamp=np.array([0.0, 0.1, 0.2, 0.9], np.float32))
    assert broken(made) == "episode 1: its timestamps jump at row 3"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_no_number_is_named(elsewhere, value):
    made = elsewhere()
    made.write()
    state = made.columns(1)["observation.state"]
    state[2, 7] = value
    rewrite(made, 1, **{"observation.state": state})
    assert broken(made) == "episode 1: observation.state is not finite from row 2 on"


def test_a_state_of_another_size_than_the_infos_is_named(elsewhere):
    made = elsewhere()
    made.write()
    rewrite(made, 1, **{"observation.state": np.zeros((4, 34), np.float32)})
    assert broken(made) == "episode 1: observation.state has 34 entries where the info says 26"


def test_a_task_that_is_not_in_the_list_is_named(elsewhere):
    made = elsewhere()
    made.write()
    rewrite(made, 1, task_index=np.array([1, 1, 7, 1]))
    assert broken(made) == "episode 1: its task 7 is not in the list of tasks"


def test_several_tasks_in_one_episode_are_kept_row_by_row(elsewhere):
    made = elsewhere()
    made.write()
    rewrite(made, 1, task_index=np.array([0, 0, 1, 1]))
    _, second = open_dataset(made.folder)
    first_task, second_task = made.tasks
    assert second.instructions == (first_task, first_task, second_task, second_task)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_list_of_tasks_a_person_names_the_task(elsewhere, version):
    made = elsewhere(version=version)
    made.write()
    for path in (made.folder / "meta").glob("tasks.*"):
        path.unlink()
    with pytest.raises(LeRobotError, match="has no list of tasks"):
        open_dataset(made.folder)
    first, _ = open_dataset(made.folder, task="fetch it")
    assert first.instruction == "fetch it"


def test_a_missing_shared_file_names_all_that_were_in_it(elsewhere):
    made = elsewhere(version="v3.0")
    made.write()
    (video,) = made.folder.rglob("*.mp4")
    video.unlink()
    with pytest.raises(LeRobotError, match=r"episodes 0 to 1: the video of .* is missing; none"):
        open_dataset(made.folder, skip_broken=True)


def test_a_file_that_episodes_share_is_read_once(elsewhere):
    made = elsewhere(version="v3.0")
    made.write()
    before = _without_pictures.cache_info().misses
    dataset = open_dataset(made.folder)
    assert len(list(dataset)) == 2
    assert _without_pictures.cache_info().misses == before + 1


def test_episodes_that_are_only_counted_are_named(elsewhere):
    made = elsewhere(info={"total_episodes": 9})
    made.write()
    with pytest.raises(LeRobotError, match="episodes 2 to 8: it is not in the list of episodes"):
        open_dataset(made.folder)
    assert len(open_dataset(made.folder, skip_broken=True)) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder / "meta"), "is no LeRobot data set"),
        (lambda folder: (folder / "meta/episodes.jsonl").unlink(), "has no list of episodes"),
        (lambda folder: (folder / "meta/episodes.jsonl").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "meta/episodes.jsonl").write_text("{}"), "is damaged or incompl"),
        (lambda folder: (folder / "meta/info.json").write_text("[]"), "holds no mapping"),
        (lambda folder: amend(folder, codebase_version="v1.6"), "none of v2.0, v2.1, v3.0"),
        (lambda folder: amend(folder, fps=0), "fps"),
        (lambda folder: amend(folder, features={}), "has no action"),
    ],
)
def test_what_is_no_data_set_is_one_sentence(elsewhere, capsys, change, sentence):
    folder = elsewhere().write()
    change(folder)
    assert main(["episodes", "import", str(folder)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def amend(folder, **changes):
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_whole_is_imported_and_the_rest_is_named(elsewhere, tmp_path, capsys, version):
    made = elsewhere(version=version, lengths=(5, 4, 3))
    made.write()
    if version == "v2.1":
        made.video(1).unlink()
    out = tmp_path / "out"
    words = ["episodes", "import", str(made.folder), "--out", str(out), "--skip-broken"]
    assert main(words) == 0
    whole = [0, 2] if version == "v2.1" else [0, 1, 2]
    if version == "v2.1":
        assert "left out: episode 1: the video of" in capsys.readouterr().err
    imported = open_dataset(out)
    assert imported.info.codebase_version == "v3.0"
    assert imported.info.robot_type == "Unitree_G1"
    for episode, number in zip(imported, whole, strict=True):
        np.testing.assert_array_equal(
            episode.proprioception, made.columns(number)["observation.state"]
        )
        np.testing.assert_allclose(greys(episode)[0], 20 + 10 * number, atol=3)
