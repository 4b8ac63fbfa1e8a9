# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person says of an episode is kept beside it, and the recording stays as it is."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from magma_ros.cli import main
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.labels import read_label, write_label
from magma_ros.episodes.read import read_episode
from magma_ros.types import MagmaError


def metadata(folder):
    return yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


def test_a_label_is_written_beside_the_recording_which_stays_as_it_is(scene):
    folder = scene().usual().write()
    (recording,) = folder.glob("*.mcap")
    before, told = recording.read_bytes(), metadata(folder)
    write_label(folder, "good", ["went well"])
    said = write_label(folder, "bad", ["slipped,\nthough"])
    assert (said.label, said.notes) == ("bad", ("went well", "slipped, though"))
    assert recording.read_bytes() == before
    after = metadata(folder)
    assert after.pop("custom_data") == {"label": "bad", "notes": "went well\nslipped, though"}
    told.pop("custom_data")
    assert after == told
    assert read_episode(folder).outcome.label == "bad"


def test_rosbags_still_opens_what_was_labelled(scene):
    reader = pytest.importorskip("rosbags.rosbag2").Reader
    folder = scene().usual().write()
    write_label(folder, "good", ["ä ö: 'quotes' #1"])
    with reader(folder) as bag:
        assert bag.message_count > 100


def test_a_later_word_counts_more_than_what_was_recorded(scene):
    made = scene().usual()
    made.text("episode/label", 1.0, "good")
    made.text("episode/label", 1.1, "note: first try")
    folder = made.write()
    assert read_episode(folder).outcome.label == "good"
    write_label(folder, "bad", ["second look"])
    outcome = read_episode(folder).outcome
    assert (outcome.label, outcome.notes) == ("bad", ("first try", "second look"))
    write_label(folder, "")
    assert read_label(folder / "episode_0_0.mcap").label == ""


def test_what_others_keep_there_is_left_alone(scene):
    folder = scene().usual().write()
    path = folder / "metadata.yaml"
    path.write_text(
        path.read_text().replace("custom_data: null", "custom_data:\n    operator: Ada")
    )
    write_label(folder, "good")
    assert metadata(folder)["custom_data"] == {"operator": "Ada", "label": "good"}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.unlink(), "run magma episodes recover"),
        (lambda path: path.write_text("[1, 2"), "metadata.yaml"),
        (lambda path: path.write_text("a: 1"), "is no metadata of a bag"),
    ],
)
def test_a_label_without_a_place_is_refused_in_one_sentence(scene, capsys, spoil, sentence):
    folder = scene().usual().write()
    spoil(folder / "metadata.yaml")
    assert main(["episodes", "label", str(folder), "good"]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_folder_without_write_permission_is_one_sentence(scene):
    with tempfile.TemporaryDirectory() as name:  # unlike pytest's, others may look into it
        folder = Path(shutil.copytree(scene().usual().write(), Path(name) / "episode_0"))
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(MagmaError, match=r"cannot write .*Permission denied"):
            write_label(folder, "good")
        folder.chmod(0o755)
        assert metadata(folder)["custom_data"] is None
        assert len(list(folder.iterdir())) == 2


@contextmanager
def unprivileged():
    """For root no folder is read-only, so root is nobody for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_full_disk_leaves_the_old_label(scene, capsys, full_disk):
    folder = scene().usual().write()
    with full_disk(100):
        assert main(["episodes", "label", str(folder), "good"]) == 2
    assert_refused(folder, capsys, "File too large")


def assert_refused(folder, capsys, why):
    said = capsys.readouterr().err
    assert said.startswith("error: cannot write")
    assert why in said
    assert said.count("\n") == 1
    assert metadata(folder)["custom_data"] is None
    assert {path.name for path in folder.iterdir()} == {"metadata.yaml", f"{folder.name}_0.mcap"}


def test_a_label_is_good_or_bad_or_taken_back_and_nothing_else(scene, capsys):
    folder = scene().usual().write()
    with pytest.raises(EpisodeError, match="an episode is good or bad, not 'splendid'"):
        write_label(folder, "splendid")
    assert main(["episodes", "label", str(folder)]) == 2
    assert "say good, bad or none" in capsys.readouterr().err
    assert main(["episodes", "label", str(folder), "--note", "only this \x1b[31m"]) == 0
    assert "only this \ufffd[31m" in capsys.readouterr().out
    assert main(["episodes", "label", str(folder), "none"]) == 0
