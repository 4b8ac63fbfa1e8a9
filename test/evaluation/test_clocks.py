# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the world goes on while someone thinks: the scripted expert plays under every clock.

Time is stepped by hand, so that nothing here depends on the speed of the machine.
"""

import math

import numpy as np
import pytest

from magma_ros.evaluation.play.clocks import TICK, IdealClock, Pace, WallClock
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.world import Control, Scene
from magma_ros.sim.expert import Expert
from magma_ros.sim.failures import Failure
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Reason, Verdict

STEPS = 8


def reach(control=Control.NONE, seed=5):
    return Scene("tabletop", "reach", "seen", seed, control)


def verdict(chunk, slack=math.inf, reason=Reason.DEEPEST):
    depth = 1 if chunk else 0
    return Verdict(chunk, reason, depth, (), slack, flops=10, weight_bytes=4)


class ExpertActor:
    """The scripted expert, serving the cube it is told about; blind, it rests."""

    def __init__(self, episode):
        self.simulation = episode.world.simulation
        self.seen = []

    def reset(self):
        self.seen.clear()

    def acted(self, chunk):
        pass

    def act(self, observation, deadline):
        self.seen.append(observation)
        names = [n for n in self.simulation.object_names if n in observation.instruction.split()]
        action = Expert(names[0]).act(self.simulation)
        if not any(image.any() for image in observation.images.values()):
            action = np.array([0, 0, 0, 0, 0, 0, 1.0])
        return verdict(ActionChunk(observation.stamp, 0.1, np.tile(action, (STEPS, 1)), 1, MAGMA))


class FaultyActor:
    def reset(self):
        pass

    def acted(self, chunk):
        pass

    def act(self, observation, deadline):
        return verdict(None, reason=Reason.FAULT)


class SteppedClock:
    """Time passes only while the world sleeps; a tick takes at least ``effort``."""

    def __init__(self, effort=0.0):
        self.time = 100.0
        self.effort = effort

    def now(self):
        return self.time

    def sleep_until(self, when):
        self.time = max(when, self.time + self.effort)


class DelayedThinker:
    """An actor that needs a fixed time to decide."""

    def __init__(self, actor, clock, delay):
        self.actor, self.clock, self.delay = actor, clock, delay
        self.pending = None
        self.followed = []

    @property
    def busy(self):
        return self.pending is not None

    def reset(self):
        self.actor.reset()
        self.pending = None

    def acted(self, chunk):
        self.followed.append(chunk)

    def offer(self, observation, deadline):
        assert not self.busy
        ready = self.clock.now() + self.delay
        chunk = self.actor.act(observation, deadline).chunk
        self.pending = ready, verdict(chunk, slack=deadline - ready)

    def take(self):
        if self.pending is None or self.clock.now() < self.pending[0]:
            return None
        decided, self.pending = self.pending[1], None
        return decided


def play_ideal(scene, make_actor=ExpertActor, execute=1):
    with Episode(scene) as episode:
        actor = make_actor(episode)
        IdealClock(actor).play(episode, Pace(execute, deadline=0.08))
        return episode.result(), actor


def play_wall(scene, delay, effort=0.0):
    with Episode(scene) as episode:
        clock = SteppedClock(effort)
        thinker = DelayedThinker(ExpertActor(episode), clock, delay)
        WallClock(thinker, clock).play(episode, Pace(execute=1, deadline=0.08))
        return episode.result()


def test_a_world_that_waits_lets_the_expert_succeed_and_nothing_is_late():
    result, _ = play_ideal(reach())
    assert result.success
    assert result.failure is None
    assert (result.late, result.stalls, result.lag) == (0, 0, 0.0)
    assert result.reasons == {"DEEPEST": round(result.duration / 0.1)}
    assert result.depth == result.chunks == result.decisions
    assert result.flops == 10 * result.decisions
    assert result.weight_bytes == 4 * result.decisions
    assert result.jerk > 0.0


def test_the_same_scene_is_the_same_episode():
    assert play_ideal(reach())[0] == play_ideal(reach())[0]


def test_so_many_steps_are_executed_before_the_next_observation():
    _, actor = play_ideal(reach(), execute=3)
    stamps = [observation.stamp for observation in actor.seen]
    np.testing.assert_allclose(np.diff(stamps), 0.3, atol=1e-9)


def test_without_decisions_the_arm_rests_until_the_time_is_up():
    with Episode(reach()) as episode:
        before = episode.world.simulation.ee_pose().position
        IdealClock(FaultyActor()).play(episode, Pace(execute=4, deadline=0.08))
        result = episode.result()
        np.testing.assert_allclose(episode.world.simulation.ee_pose().position, before, atol=2e-3)
    assert not result.success
    assert result.failure is Failure.NEVER_APPROACHED
    assert result.duration == pytest.approx(5.0)
    assert result.reasons == {"FAULT": 13}
    assert result.chunks == 0


def test_with_the_instruction_swapped_another_cube_is_served_and_the_target_is_not():
    result, actor = play_ideal(reach(Control.SWAPPED))
    assert not result.success
    assert result.swapped_success
    assert result.failure is Failure.WRONG_OBJECT
    told, simulation = actor.seen[0].instruction.split(), actor.simulation
    assert simulation.swapped_target_name in told
    assert simulation.target_name not in told


def test_with_the_cameras_black_nothing_can_be_seen_but_the_words_stay():
    result, actor = play_ideal(reach(Control.BLACKOUT))
    assert not result.success
    for observation in actor.seen:
        assert set(observation.images) == {"front", "wrist"}
        assert not any(image.any() for image in observation.images.values())
        assert observation.instruction == actor.simulation.instruction


def test_a_quick_thinker_succeeds_in_a_world_that_goes_on():
    result = play_wall(reach(), delay=0.03)
    assert result.success
    assert result.late == 0
    assert result.stalls == 0
    assert result.lag == pytest.approx(0.0, abs=TICK)


def test_a_slow_thinker_is_late_and_the_stream_runs_dry():
    result = play_wall(reach(), delay=1.5)
    assert result.decisions > 0
    assert result.late == result.decisions
    assert result.stalls > 0


def test_thinking_costs_time_in_the_world():
    assert play_wall(reach(), delay=0.5).duration > play_wall(reach(), delay=0.03).duration


def test_a_machine_too_slow_for_the_world_is_told_as_lag():
    result = play_wall(reach(), delay=0.03, effort=1.5 * TICK)
    assert result.lag > 0.25 * result.duration
