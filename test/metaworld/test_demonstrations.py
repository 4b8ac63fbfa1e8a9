# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations are a LeRobot data set of successes, the same every time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from magma_ros.cli import main
from magma_ros.episodes.lerobot.layout import LeRobotError
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.evaluation.suites import find_suite
from magma_ros.metaworld.benchmark import MetaWorldSuite
from magma_ros.metaworld.drawing import PART
from magma_ros.metaworld.world import STEP, MetaWorld
from magma_ros.models.data import demonstrations
from magma_ros.models.data.demonstrations import DemonstrationConfig, demonstrate, record_task
from magma_ros.models.data.episodes import episode_rng
from magma_ros.models.data.led import draw_lead, lead
from magma_ros.models.data.recorded import read_recorded
from magma_ros.models.data.shards import DataError
from magma_ros.share import share_file
from magma_ros.spaces import GRIPPER

CONFIG = DemonstrationConfig("metaworld-part", ("reach", "coffee-button"), episodes=1)
ROWS = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def episodes(made):
    return list(open_dataset(made))


def test_the_set_is_of_the_robots_columns_words_and_rate(episodes):
    assert [e.instruction for e in episodes] == [
        "Reach a goal position",
        "Push a button on the coffee machine",
    ]
    for episode in episodes:
        assert episode.action_names == ("dx", "dy", "dz", "gripper")
        assert episode.fields == ("ee_x", "ee_y", "ee_z", "gripper_opening")
        assert episode.fps == 20
        assert episode.outcome.verdict == "good"


def test_every_episode_ends_in_success_and_a_tail(episodes):
    for episode in episodes:
        done = episode.extra["done"]
        assert done.any()
        assert done[:-3].sum() == 0 or np.argmax(done) == len(done) - 1 - CONFIG.tail


def test_what_is_recorded_does_the_task_again(episodes):
    for task, episode in zip(CONFIG.tasks, episodes, strict=True):
        world = MetaWorld(PART)
        world.reset(task, "seen", int(episode.extra["seed"][0]))
        for row, actions in enumerate(episode.extra["step_actions"].reshape(len(episode), 4, 4)):
            np.testing.assert_allclose(
                world.tool_position(), episode.proprioception[row, :3], atol=1e-4
            )
            for *moved, opening in actions:
                world.command(np.array(moved) / STEP, opening)
                world.step(STEP)
        assert world.done()
        world.close()


def test_a_rows_action_is_what_its_steps_add_up_to(episodes):
    for episode in episodes:
        steps = episode.extra["step_actions"].reshape(len(episode), 4, 4)
        np.testing.assert_allclose(episode.actions[:, :3], steps[..., :3].sum(axis=1), atol=1e-6)
        np.testing.assert_allclose(episode.actions[:, 3], steps[..., 3].mean(axis=1), atol=1e-6)


def test_pictures_are_nearly_those_drawn_and_labels_lie_in_them(episodes):
    world = MetaWorld(PART)
    world.reset("reach", "seen", int(episodes[0].extra["seed"][0]))
    ((_, picture),) = episodes[0].pictures("corner2", [0])
    drawn = world.observe().images["corner2"]
    assert np.sqrt(np.mean((picture.astype(float) - drawn) ** 2)) < 4.0
    np.testing.assert_allclose(
        episodes[0].extra["goal_pixel"][0], world.pixels()["goal"], atol=1e-6
    )
    for what in ("hand", "object", "goal"):
        assert np.all(
            (episodes[0].extra[f"{what}_pixel"] > 0) & (episodes[0].extra[f"{what}_pixel"] < 1)
        )
    world.close()


def test_the_info_says_how_it_was_made(made):
    info = json.loads((made / "meta/info.json").read_text())
    assert info["made_with"]["settings"] == CONFIG.to_json()
    assert info["made_with"]["suite"]["drawing"]["shadow_map"] == PART.shadow_map
    assert info["features"]["observation.images.corner2"]["info"]["video.pix_fmt"] == "yuv444p"


def test_after_a_policy_the_expert_goes_on_from_where_that_led(tmp_path):
    bundle = share_file("models", "magma-metaworld")
    config = replace(CONFIG, tasks=("assembly",), after=bundle)
    (path,) = record_task(config, tmp_path, "assembly")
    led = read_recorded(path)
    seed = int(led["seed"][0])
    rng = episode_rng("assembly", seed)
    world = MetaWorld(PART)
    world.reset("assembly", "seen", seed)
    begin = world.tool_position().copy()
    lead(world, "metaworld-part", bundle, draw_lead(rng) / config.rate)
    np.testing.assert_allclose(led["state"][0, :3], world.tool_position(), atol=1e-6)
    assert np.linalg.norm(led["state"][0, :3] - begin) > 0.01
    for *moved, opening in led["step_actions"].reshape(-1, 4):  # the expert's, without the policy
        world.command(np.array(moved) / STEP, opening)
        world.step(STEP)
    assert world.done()
    world.close()


def test_a_policy_that_does_the_task_leads_for_less_until_something_is_left(tmp_path, monkeypatch):
    given = []

    def able(world, suite, bundle, seconds):
        given.append(round(seconds * CONFIG.rate))
        if given[-1] > 3:
            solve(world)

    monkeypatch.setattr(demonstrations, "lead", able)
    config = replace(CONFIG, after=share_file("models", "magma-metaworld"))
    demonstrations.record(config, "reach", CONFIG.seed, tmp_path / "led.npz")
    drawn = draw_lead(episode_rng("reach", CONFIG.seed))
    assert drawn > 3
    assert given == [drawn >> halved for halved in range(len(given))]
    assert given[-1] <= 3
    alone = replace(CONFIG, after=None)  # the able policy did nothing in its last, short lead
    demonstrations.record(alone, "reach", CONFIG.seed, tmp_path / "alone.npz")
    led, shown = read_recorded(tmp_path / "led.npz"), read_recorded(tmp_path / "alone.npz")
    np.testing.assert_array_equal(led["action"], shown["action"])
    np.testing.assert_array_equal(led["done"], shown["done"])
    assert led["done"][-1]
    assert not led["done"][0]


def solve(world):
    """Do the task before the expert can, as a good policy does."""
    while not world.done():
        action = world.expert_action()
        world.command(action[:GRIPPER] / STEP, action[GRIPPER])
        world.step(STEP)


def test_a_policy_that_is_not_there_is_missed_before_anything_is_played(tmp_path, capsys):
    words = ["data", "demonstrate", "metaworld-part", "--out", str(tmp_path / "set")]
    assert main([*words, "--after", "magma-none"]) == 2
    assert "magma-none" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_goes_on_and_makes_the_same_set(made, tmp_path):
    folder = tmp_path / "again"
    drafts = tmp_path / f".episodes-again-{CONFIG.identity}"
    drafts.mkdir()
    (first,) = record_task(CONFIG, drafts, "reach")
    first.write_bytes(first.read_bytes()[:5000])  # as if the disk had been full
    assert read_recorded(first) is None
    demonstrate(CONFIG, folder)
    assert (folder / ROWS).read_bytes() == (made / ROWS).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again"]


def test_a_set_that_is_there_is_looked_over(made):
    before = sorted((p, p.stat().st_mtime_ns) for p in made.rglob("*"))
    assert demonstrate(CONFIG, made) == made
    assert sorted((p, p.stat().st_mtime_ns) for p in made.rglob("*")) == before


def test_a_set_made_with_other_settings_is_refused(made):
    with pytest.raises(DataError, match="holds another data set; choose another folder"):
        demonstrate(replace(CONFIG, noise=0.003), made)


def test_a_damaged_set_is_refused(made, tmp_path):
    folder = tmp_path / "damaged"
    for path in made.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(made)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (video,) = folder.rglob("*.mp4")
    video.write_bytes(video.read_bytes()[:200])
    with pytest.raises(LeRobotError, match="no video that can be read"):
        demonstrate(CONFIG, folder)


def test_noise_moves_the_robot_and_not_the_label(tmp_path):
    noisy = replace(CONFIG, tasks=("reach",), noise=0.002)
    (path,) = record_task(noisy, tmp_path, "reach")
    columns = read_recorded(path)
    assert str(columns["seed"][0]) in path.name
    world = MetaWorld(PART)
    world.reset("reach", "seen", int(columns["seed"][0]))
    np.testing.assert_allclose(columns["step_actions"][0, :3], world.expert_action()[:3], atol=1e-7)
    moved = np.diff(columns["state"][:, :3], axis=0)
    world.close()
    assert np.abs(moved[1:] - columns["action"][1:-1, :3]).max() > 0.002
    assert columns["action"].shape[1] == 4 == len(find_suite(CONFIG.suite).space)
    assert GRIPPER == 6


def test_an_expert_that_fails_too_often_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstrations, "MOST_TRIES", 1)
    monkeypatch.setattr(MetaWorldSuite, "time_limit", lambda *_: 0.3)
    with pytest.raises(DataError, match="the expert of pick-place succeeded only 0 times in 1"):
        record_task(CONFIG, tmp_path, "pick-place")
    (path,) = tmp_path.iterdir()
    assert not any(name.startswith("pictures") for name in read_recorded(path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"episodes": 0}, "episodes must be a number from 1 upwards, not 0"),
        ({"noise": float("nan")}, "noise must be a number from 0"),
        ({"seed": 5}, "seed must be a number from 1000000"),
        (
            {"rate": 30},
            "rows at 30 Hz are no whole number of the suite's steps, which are at 80 Hz",
        ),
        ({"tasks": ("pour",)}, "metaworld-part has no task pour"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, change, sentence):
    with pytest.raises(DataError, match=sentence):
        demonstrate(replace(CONFIG, **change), tmp_path / "set")
    assert not any(tmp_path.iterdir())


def test_worlds_without_an_expert_are_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "evaluation" / "foreign"))
    config = DemonstrationConfig("points:suite", split="plain", episodes=1, rate=10)
    with pytest.raises(DataError, match="the worlds of suite points:suite have no expert"):
        record_task(config, tmp_path, "goto")
