# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the foreign world under every clock: with a policy, and with one who knows the way."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from magma_ros.evaluation.computers.modelled import Conditions, ModelledComputer
from magma_ros.evaluation.play.clocks import IdealClock, ModelledClock, Pace, WallClock
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.play.evaluate import evaluate
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.report.evaluation import write_report
from magma_ros.evaluation.report.replay import Pictures
from magma_ros.evaluation.world import Scene
from magma_ros.policy.manifest import read_manifest
from magma_ros.spaces import MAGMA
from magma_ros.types import ActionChunk, Reason, Verdict


class Guide:
    """Goes straight to the goal, which it reads from the observation."""

    busy = False

    def reset(self):
        self.answer = None

    def act(self, observation, deadline, provisional=None):
        way = np.array([*observation.proprioception[:2], 0.0])
        step = np.concatenate([0.3 * way, np.zeros(3), [1.0]])
        chunk = ActionChunk(observation.stamp, 0.1, np.tile(step, (4, 1)), 1, MAGMA)
        return Verdict(chunk, Reason.DEEPEST, 1, (), math.inf)

    def acted(self, chunk):
        pass

    def offer(self, observation, deadline):
        self.answer = self.act(observation, deadline)

    def take(self):
        answer, self.answer = self.answer, None
        return answer


class Steps:
    time = 0.0

    def now(self):
        return self.time

    def sleep_until(self, when):
        self.time = max(self.time, when)


if __name__ == "__main__":
    bundle, out = map(Path, sys.argv[1:])
    computer = ModelledComputer(read_manifest(bundle), Conditions())
    clocks = {
        "ideal": IdealClock(Guide()),
        "wall": WallClock(Guide(), Steps()),
        "modelled": ModelledClock(Guide(), computer),
    }
    told = {}
    for name, clock in clocks.items():
        with Episode(Scene("points:suite", "goto", "plain", 3)) as episode:
            clock.play(episode, Pace(2, 0.08))
            result = episode.result()
        told[name] = [result.success, result.duration, result.failure, result.closest]
    spec = EvaluationSpec(("points:suite",), split="plain", episodes=2, seed=3)
    for clock in ("ideal", "modelled"):
        played = evaluate(replace(spec, clock=clock), bundle)
        told[f"{clock} evaluation"] = len(played.to_json()["episodes"])
    write_report(played, out, bundle=bundle, pictures=Pictures())
    print(json.dumps(told))
