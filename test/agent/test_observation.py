# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An observation is made only of what is there and fresh."""

import numpy as np
import pytest

from magma_ros.agent.observation import NotReadyError, Senses
from magma_ros.sim.simulation import PROPRIOCEPTION, Simulation
from magma_ros.types import Pose

IMAGE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def senses():
    senses = Senses(["front", "wrist"], ("ee_x", "gripper_opening"), max_age=0.3)
    senses.instruction = "pick the red cube"
    senses.see("front", 10.0, IMAGE)
    senses.see("wrist", 10.02, IMAGE)
    senses.feel_pose(Pose(10.01, np.array([0.5, 0.0, 0.1])))
    senses.feel_gripper(0.7)
    return senses


def test_complete_senses_make_an_observation(senses):
    observation = senses.observe(10.1)
    assert observation.stamp == 10.0, "the oldest image dates the observation"
    assert observation.proprioception.tolist() == pytest.approx([0.5, 0.7])


def test_missing_instruction_is_named(senses):
    senses.instruction = ""
    with pytest.raises(NotReadyError, match="waiting for an instruction"):
        senses.observe(10.1)


def test_missing_camera_is_named():
    senses = Senses(["front"], (), max_age=0.3)
    senses.instruction = "reach the red cube"
    with pytest.raises(NotReadyError, match="camera 'front'"):
        senses.observe(0.0)


def test_missing_joint_is_named():
    senses = Senses([], ("gripper_opening",), max_age=0.3)
    senses.instruction = "reach the red cube"
    with pytest.raises(NotReadyError, match="waiting for gripper_opening"):
        senses.observe(0.0)


def test_stale_image_is_refused(senses):
    with pytest.raises(NotReadyError, match=r"camera 'front' is 0\.40 s old"):
        senses.observe(10.4)


def test_future_image_is_refused(senses):
    senses.see("front", 11.0, IMAGE)
    with pytest.raises(NotReadyError, match=r"0\.90 s in the future"):
        senses.observe(10.1)


def test_stale_pose_is_refused(senses):
    senses.see("front", 10.4, IMAGE)
    senses.see("wrist", 10.4, IMAGE)
    with pytest.raises(NotReadyError, match="ee_pose"):
        senses.observe(10.4)


def test_what_is_felt_over_ros_is_what_the_policy_was_trained_on():
    simulation = Simulation("pick", seed=4)
    try:
        senses = Senses(["front", "wrist"], PROPRIOCEPTION, max_age=1.0)
        senses.instruction = simulation.instruction
        for camera in ("front", "wrist"):
            senses.see(camera, 0.0, simulation.image(camera))
        senses.feel_pose(simulation.ee_pose())
        senses.feel_gripper(simulation.gripper_opening())
        felt = senses.observe(0.0).proprioception
        assert felt == pytest.approx(simulation.observation().proprioception, abs=1e-5)
    finally:
        simulation.close()
