# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scene is the same every time, its protocol is kept, and what is missing is named."""

import ctypes
import gc
import weakref
from contextlib import closing

import numpy as np
import pytest

from magma_ros.evaluation.play.clocks import IdealClock, Pace, WallClock
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.suites import extras_of, find_suite, trials_of
from magma_ros.evaluation.world import (
    Benchmark,
    Control,
    Demonstrates,
    ExplainsFailure,
    KnowsMarks,
    OwnStream,
    Pictured,
    Scene,
    SwapsInstruction,
    World,
)
from magma_ros.metaworld import library
from magma_ros.metaworld import world as world_module
from magma_ros.metaworld.drawing import PART
from magma_ros.metaworld.library import MetaWorldError, drawing_library
from magma_ros.metaworld.world import HORIZON, STEP, Failure, MetaWorld
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Reason, Verdict

SUITE = "metaworld-part"
POLICY_STEP = 4 * STEP


def drive(world, steps):
    """The expert acts for so many steps; returns all that can be seen of it."""
    seen = [world.observe().images["corner2"]]
    for _ in range(steps):
        world.act(world.expert())
    return [*seen, world.observe().images["corner2"], world.observe().proprioception]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_episode_is_the_same_every_time_whatever_was_played_before(play):
    first = drive(play("door-open", 11), 40)
    drive(play("door-open", 12), 10)
    np.random.seed(1)  # noqa: NPY002  # which Meta-World by itself draws its scenes from
    play("window-open", 11)
    assert same(first, drive(play("door-open", 11), 40))


def test_a_scene_that_was_played_is_forgotten_with_its_model_at_once(monkeypatch):
    made = []
    sound = world_module._environment
    monkeypatch.setattr(world_module, "_environment", lambda task: kept(sound(task), made))
    gc.collect()
    gc.disable()  # what it alone would free adds up to gigabytes before it comes by
    try:
        with closing(MetaWorld(PART)) as world:
            for seed in range(3):
                world.reset("push", "seen", seed)
                assert [each() is not None for each in made] == [*([False] * 2 * seed), True, True]
    finally:
        gc.enable()


def kept(environment, made):
    made += [weakref.ref(environment), weakref.ref(environment.model)]
    return environment


def test_every_seed_and_every_task_has_a_scene_of_its_own(play):
    places = [play(t, s).places()["object"][:2] for t in ("push", "pick-place") for s in (1, 2)]
    assert len(np.unique(np.round(places, 6), axis=0)) == 4


def test_the_first_picture_shows_the_goal_of_this_scene(play):
    world = play("reach", 3)
    column, row = (world.pixels()["goal"] * 192).astype(int)
    red, green, blue = world.observe().images["corner2"][row, column].astype(int)
    assert red > green + 40  # a red ball
    assert red > blue + 40


def test_a_policy_is_given_one_picture_four_numbers_and_the_words(play):
    observation = play("drawer-open").observe()
    assert {name: image.shape for name, image in observation.images.items()} == {
        "corner2": (192, 192, 3)
    }
    assert observation.fields == ("ee_x", "ee_y", "ee_z", "gripper_opening")
    assert observation.proprioception.shape == (4,)
    assert observation.instruction == "Open a drawer"


def test_time_passes_in_eightieths_of_a_second_without_adding_up_errors(play):
    world = play()
    for _ in range(50):
        world.step(0.02)
    assert world.time == pytest.approx(1.0)
    world.step(4 * STEP)
    assert world.time == pytest.approx(1.05)


def test_a_velocity_is_followed_along_every_axis(play):
    world = play("reach")
    before = world.tool_position()
    world.command(np.array([0.2, -0.1, 0.1, 0.0, 0.0, 0.0]), 1.0)
    world.step(0.5)
    moved = world.tool_position() - before
    np.testing.assert_allclose(moved, [0.1, -0.05, 0.05], atol=0.03)


@pytest.mark.parametrize(("opening", "least", "most"), [(1.0, 0.9, 1.0), (0.0, 0.0, 0.5)])
def test_the_gripper_opens_at_one_and_closes_at_nought(play, opening, least, most):
    world = play("reach")
    world.command(np.zeros(6), opening)
    world.step(0.5)
    assert least <= world.observe().proprioception[3] <= most


def test_an_experts_action_as_a_displacement_is_the_same_action(play):
    direct, through = play("push", 2), play("push", 2)
    for _ in range(30):
        direct.act(direct.expert())
        action = through.expert_action()
        through.command(action[:6] / STEP, action[6])
        through.step(STEP)
    np.testing.assert_allclose(direct.tool_position(), through.tool_position(), atol=1e-6)


def test_success_at_any_step_counts(play):
    world = play("door-close")
    while not world.done():
        world.act(world.expert())
    when = world.time
    for _ in range(20):
        world.act(np.array([0.0, -1.0, 1.0, 0.0]))
    assert world.done()
    assert when < HORIZON * STEP


def test_a_failure_says_whether_the_object_was_reached(play):
    world = play("push", 2)
    assert world.failure() is Failure.NOT_REACHED
    first, _ = world.closest
    while world.closest[0] > 0.05:
        world.act(world.expert())
    assert world.closest[0] < first
    assert world.closest[1] == world.time
    assert world.failure() is Failure.NOT_DONE
    while not world.done():
        world.act(world.expert())
    assert world.failure() is None


class Expert:
    """Plans four steps of 0.05 s, each the expert's present action."""

    def __init__(self, world):
        self.world = world
        self.busy, self.answer = False, None
        self.instructions, self.images = set(), []

    def reset(self):
        pass

    def acted(self, chunk):
        pass

    def act(self, observation, deadline):
        self.instructions.add(observation.instruction)
        self.images.append(observation.images["corner2"])
        action = self.world.expert_action() * np.array([4.0] * 6 + [1.0])
        chunk = ActionChunk(observation.stamp, POLICY_STEP, np.tile(action, (4, 1)), 1, MAGMA)
        return Verdict(chunk, Reason.DEEPEST, 1, (), 0.0)

    def offer(self, observation, deadline):
        self.answer = self.act(observation, deadline)

    def take(self):
        answer, self.answer = self.answer, None
        return answer


class Stepped:
    """Time that passes when it is waited for."""

    time = 0.0

    def now(self):
        return self.time

    def sleep_until(self, when):
        self.time = max(self.time, when)


@pytest.mark.parametrize("clock", ["ideal", "wall"])
def test_an_expert_succeeds_through_every_clock_at_eighty_hertz(clock):
    with Episode(Scene(SUITE, "drawer-close", "seen", 4), POLICY_STEP) as episode:
        actor = Expert(episode.world)
        made = IdealClock(actor) if clock == "ideal" else WallClock(actor, Stepped())
        made.play(episode, Pace(execute=2, deadline=0.08))
        assert episode.stream.period == STEP
        result = episode.result()
    assert result.success
    assert result.duration < HORIZON * STEP
    assert result.swapped_success is None


def test_an_episode_without_success_is_over_after_the_horizon():
    class Idle(Expert):
        def act(self, observation, deadline):
            return Verdict(None, Reason.NO_TIME, 0, (), 0.0)

    with Episode(Scene(SUITE, "reach", "seen", 4), POLICY_STEP) as episode:
        IdealClock(Idle(episode.world)).play(episode, Pace(execute=8, deadline=0.08))
        assert episode.time == pytest.approx(400 / 80)
        assert not episode.result().success


@pytest.mark.parametrize("control", [Control.BLACKOUT, Control.SWAPPED])
def test_controls_take_the_picture_or_the_words(control):
    with Episode(Scene(SUITE, "drawer-close", "seen", 4, control), POLICY_STEP) as episode:
        actor = Expert(episode.world)
        IdealClock(actor).play(episode, Pace(execute=4, deadline=0.08))
    black = not any(image.any() for image in actor.images)
    assert black == (control is Control.BLACKOUT)
    assert ("Open a drawer" in actor.instructions) == (control is Control.SWAPPED)


def test_the_world_offers_what_an_evaluation_can_use(play):
    for protocol in (World, SwapsInstruction, ExplainsFailure, KnowsMarks, Pictured, Demonstrates):
        assert isinstance(play(), protocol)
    suite = find_suite("metaworld")
    assert isinstance(suite, Benchmark)
    assert isinstance(suite, OwnStream)
    assert extras_of(["metaworld", "metaworld-part"]) == ("metaworld",)
    assert trials_of(["metaworld"]) == 10
    assert trials_of(["tabletop"]) == 50
    assert play().picture(64, 48).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("task", "split", "sentence"),
    [("pour", "seen", "no task 'pour'; it has assembly"), ("reach", "shift", "no split 'shift'")],
)
def test_a_task_or_split_that_does_not_exist_is_named(task, split, sentence):
    with pytest.raises(MetaWorldError, match=sentence):
        MetaWorld().reset(task, split, 0)


def test_a_world_that_was_not_reset_says_so():
    with pytest.raises(MetaWorldError, match="reset the world"):
        MetaWorld().picture(8, 8)


def test_a_missing_package_is_told_with_its_command(monkeypatch):
    library.load.cache_clear()
    with pytest.raises(
        MetaWorldError, match=r"not installed .*; run pip install '\.\[metaworld\]'"
    ):
        library.load("metaworld.of_tomorrow")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("", "sudo apt install libegl1"),
        ("egl", "sudo apt install libegl1"),
        ("osmesa", "sudo apt install libosmesa6"),
        ("glfw", "MUJOCO_GL=glfw cannot draw without a screen; set it to egl or osmesa"),
    ],
)
def test_a_missing_drawing_library_is_told_with_its_command(monkeypatch, asked, sentence):
    def nothing(name):
        raise OSError(name)

    monkeypatch.setenv("MUJOCO_GL", asked)
    monkeypatch.setattr(ctypes, "CDLL", nothing)
    with pytest.raises(MetaWorldError, match=sentence):
        drawing_library()


def test_the_parts_picture_is_a_sixth_of_the_work():
    assert PART.width * PART.height * 6 < 480 * 480 * (1 + PART.samples)
