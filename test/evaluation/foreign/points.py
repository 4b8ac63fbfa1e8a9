# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A point in the plane that must reach a goal: a world with the required methods and no other."""

import numpy as np

from magma_ros.types import Observation

STEP = 0.01


class PointWorld:
    def __init__(self):
        self.steps = 0

    @property
    def time(self):
        return self.steps * STEP

    def reset(self, task, split, seed):
        assert (task, split) == ("goto", "plain")
        self.steps, self.asked = 0, 0.0
        self.velocity, self.point = np.zeros(3), np.zeros(3)
        self.goal = np.array([0.02 + 0.01 * (seed % 3), 0.01, 0.0])

    def observe(self):
        images = {name: np.full((24, 32, 3), 90, np.uint8) for name in ("front", "wrist")}
        state = np.array([*(self.goal - self.point)[:2], 1.0])
        fields = ("ee_x", "ee_y", "gripper_opening")
        return Observation(self.time, images, state, fields, "reach the red cube")

    def command(self, twist, gripper):
        self.velocity = np.array(twist[:3])

    def step(self, seconds):
        self.asked += seconds
        while self.steps < round(self.asked / STEP):
            self.point = self.point + STEP * self.velocity
            self.steps += 1

    def done(self):
        return bool(np.linalg.norm(self.point - self.goal) < 0.004)

    def tool_position(self):
        return self.point

    def close(self):
        pass


class PointSuite:
    tasks = ("goto",)
    splits = ("plain",)
    step_period = 0.1
    execute = 2
    seed_limit = None

    def time_limit(self, task):
        return 1.5

    def failures(self):
        return ()

    def definition(self):
        return {"goal": "0.02 to 0.04 m away"}

    def make_world(self):
        return PointWorld()


suite = PointSuite()
