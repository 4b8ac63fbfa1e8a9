# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth becomes the distance to what stands round the arm, and nothing but that."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from properties import examples

from magma_ros.files import yaml_mapping
from magma_ros.perception.clearance import (
    ClearanceConfig,
    ClearanceEstimator,
    RobotState,
    nearest_by_sector,
    sector_directions,
)
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.error import BodyError, MeasurementError, PerceptionError
from magma_ros.perception.joints import JointHistory
from magma_ros.perception.shapes import box, sphere
from magma_ros.perception.synthetic import at, looking
from magma_ros.perception.urdf import read_description
from magma_ros.share import share_file


def ball(position, radius=0.05):
    return at(sphere(np.eye(4), radius), position)


def block(position, size=(0.06, 0.06, 0.3)):
    return at(box(np.eye(4), size), position)


@pytest.fixture
def look(scene, intrinsics, home):
    """Reads one picture after the other with one estimator."""

    class Look:
        def __init__(self):
            self.stamp = 0.0
            self.estimator = self.fresh()

        def fresh(self, **settings):
            self.estimator = ClearanceEstimator(ClearanceConfig(**settings), scene.body)
            return self.estimator

        def at(self, picture, joints=None, camera=None, **state):
            self.stamp += 0.066
            pose = scene.camera if camera is None else camera
            robot = RobotState(joints or home, **state)
            return self.estimator.update(picture, intrinsics, pose, robot, self.stamp)

    return Look()


@given(
    side=st.floats(0.12, 0.3), up=st.floats(-0.1, 0.2), out=st.floats(-0.1, 0.15), big=st.booleans()
)
@examples(12)
def test_a_distance_is_right_within_five_millimetres(scene, intrinsics, home, side, up, out, big):
    # The camera stands where y is positive: it sees the ball's far side, so the ball stands
    # beyond the hand, and what it turns to the hand is turned to the camera.
    centre, radius = np.array([0.39 + out, -side, 0.36 + up]), 0.06 if big else 0.03
    solids = scene.body.solids(scene.body.poses(home), guarded=True)
    vectors, lengths, _ = solids.vectors(centre[None], 10.0)
    assume(lengths[0] > radius + 0.025)
    touched = centre - vectors[0] * radius / lengths[0]
    assume(_visible(scene, touched, centre, radius))
    estimator = ClearanceEstimator(ClearanceConfig(), scene.body)
    reading = estimator.update(
        scene.picture(ball(centre, radius)), intrinsics, scene.camera, RobotState(home), 1.0
    )
    assert reading.distance == pytest.approx(lengths[0] - radius, abs=0.005)
    assert np.linalg.norm(reading.vectors[0]) == pytest.approx(reading.distance)
    cosine = reading.vectors[0] @ vectors[0] / (reading.distance * lengths[0])
    assert cosine > math.cos(math.radians(20.0))


def _visible(scene, point, centre, radius):
    """Whether the camera has ``point`` of a ball in sight, and not at a grazing angle."""
    sight = scene.camera[:3, 3] - point
    if sight @ (point - centre) < 0.3 * radius * np.linalg.norm(sight):
        return False
    inside = np.linalg.inv(scene.camera) @ [*point, 1.0]
    column = round(inside[0] / inside[2] * 277.0 + 159.5)
    row = round(inside[1] / inside[2] * 277.0 + 119.5)
    if not (3 <= column < 317 and 3 <= row < 237):
        return False
    around = scene.picture()[row - 3 : row + 4, column - 3 : column + 4]
    return bool(np.nan_to_num(around, nan=9.0).min() > inside[2] + 0.02)


@given(
    st.tuples(
        st.floats(-1.5, 1.5),
        st.floats(-0.5, 1.0),
        st.floats(0.8, 2.4),
        st.floats(-0.5, 2.0),
        st.floats(-2.5, 2.5),
        st.floats(0.0, 0.036),
    )
)
@examples(15)
def test_the_arm_is_no_obstacle_to_itself(scene, intrinsics, angles):
    joints = dict(zip(scene.body.joints, [*angles, angles[-1]], strict=True))
    estimator = ClearanceEstimator(ClearanceConfig(), scene.body)
    reading = estimator.update(
        scene.picture(joints=joints), intrinsics, scene.camera, RobotState(joints), 1.0
    )
    assert reading.distance == math.inf
    assert len(reading.vectors) == len(reading.points) == 0


def test_a_moving_arm_is_no_obstacle_to_itself_though_its_joints_come_late(look, scene, home):
    history, pan = JointHistory(scene.body.joints), 1.2  # [rad/s]: 0.5 m/s at the hand
    for tick in range(10):
        history.add(tick * 0.01, {**home, "shoulder_pan": tick * 0.01 * pan})
    late = 0.09 + 0.06
    picture = scene.picture(joints={**home, "shoulder_pan": late * pan})
    assert look.at(picture, joints=history.at(0.09)).distance < 0.05
    look.fresh()
    assert look.at(picture, joints=history.at(late)).distance == math.inf


def test_the_arm_leaves_no_ghost_where_it_was(look, scene, home):
    """A wrist camera looks away from where the arm was, so that nothing shows it is gone."""
    look.at(scene.picture())
    moved = {**home, "shoulder_pan": 1.0}
    away = looking([1.1, 0.5, 0.7], [2.0, 0.5, 0.0])
    picture = scene.picture(joints=moved, camera=away)
    assert look.at(picture, joints=moved, camera=away).distance == math.inf


def test_what_lies_on_the_worktop_is_work(look, scene):
    low = block([0.45, -0.1, 0.025], (0.05, 0.05, 0.05))
    assert look.at(scene.picture(low)).distance == math.inf
    high = block([0.45, -0.1, 0.1], (0.05, 0.05, 0.2))
    assert look.at(scene.picture(high)).distance < 0.3


def test_the_top_of_all_that_the_simulated_arm_works_on_is_work_as_noisily_as_it_is_seen(
    look, scene
):
    """The drawers' cabinet is the tallest thing of the suites; posts begin well above it."""
    settings = yaml_mapping(share_file("config", "robots", "sim.yaml"))["/**"]["ros__parameters"]
    cabinet = read_description(share_file("sim", "furniture", "cabinet.urdf").read_text())
    top = max(
        solid.pose[2, 3] + solid.half[2] for solids in cabinet.links.values() for solid in solids
    )
    worktop = settings["worktop"]["height"]
    low = block([0.45, -0.1, 0.5 * top], (0.13, 0.21, top))
    rng = np.random.default_rng(1)
    look.fresh(worktop=worktop)
    for _ in range(15):
        picture = scene.picture(low)
        noisy = picture + 0.002 * rng.standard_normal(picture.shape, np.float32)
        assert look.at(noisy).distance == math.inf
    posts = yaml_mapping(share_file("sim", "suites", "obstacles.yaml"))["tasks"]["pick"]["posts"]
    post = block([0.45, -0.1, 0.5 * posts["height"][0]], (0.03, 0.03, posts["height"][0]))
    look.fresh(worktop=worktop)
    assert look.at(scene.picture(post)).distance < 0.3


def test_what_the_gripper_holds_is_the_robot_s(look, scene, home):
    tool = scene.body.poses(home)["tcp"][:3, 3]
    held = block(tool, (0.05, 0.02, 0.05))
    assert look.at(scene.picture(held)).distance < 0.05
    look.fresh()
    assert look.at(scene.picture(held), holding=True).distance == math.inf


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_all_that_the_simulated_arm_grasps_is_the_robot_s_however_it_is_gripped(
    look, scene, home, off
):
    """A brick of the suites hangs from its end, and from its upper edge."""
    settings = yaml_mapping(share_file("config", "robots", "sim.yaml"))["/**"]["ros__parameters"]
    scenes = yaml_mapping(share_file("sim", "suites", "tabletop.yaml"))
    brick, height = scenes["shapes"]["brick"], scenes["scene"]["object_height"]
    tool = scene.body.poses(home)["tcp"][:3, 3]
    middle = tool + np.array([0.5 * off * brick["length"], 0.0, -0.5 * height])
    held = block(middle, (brick["length"], brick["width"], height))
    body = settings["body"]
    look.fresh(padding=body["padding"], held_radius=body["held_radius"])
    reading = look.at(scene.picture(held), holding=True)
    assert reading.distance == math.inf
    assert not reading.protrudes


def test_what_is_too_large_for_the_hand_is_told_from_an_obstacle(look, scene, home):
    tool = scene.body.poses(home)["tcp"][:3, 3]
    plank = block(tool - np.array([0.0, 0.08, 0.0]), (0.05, 0.2, 0.03))
    assert look.at(scene.picture(plank), holding=True).protrudes
    look.fresh()
    post = block(tool - np.array([0.0, 0.2, 0.0]))
    reading = look.at(scene.picture(post), holding=True)
    assert reading.distance < 0.15
    assert not reading.protrudes


def test_what_was_seen_before_it_was_grasped_is_forgotten(look, scene, home):
    tool = scene.body.poses(home)["tcp"][:3, 3]
    held = block(tool, (0.05, 0.02, 0.05))
    assert look.at(scene.picture(held)).distance < 0.05
    assert look.at(scene.picture(held), holding=True).distance == math.inf
    lifted = {**home, "shoulder_lift": -0.1}
    assert look.at(scene.picture(joints=lifted), joints=lifted).distance == math.inf


def test_an_obstacle_is_remembered_while_something_hides_it(look, scene):
    obstacle = ball([0.4, -0.2, 0.36])
    seen = look.at(scene.picture(obstacle)).distance
    curtain = ball(scene.camera[:3, 3] + 0.2 * _towards(scene, [0.4, -0.2, 0.36]), 0.05)
    hidden = scene.picture(obstacle, curtain)
    for _ in range(20):
        reading = look.at(hidden)
    assert reading.distance == pytest.approx(seen, abs=0.003)


def test_a_memory_ends(look, scene):
    look.fresh(memory=0.5)
    obstacle = ball([0.4, -0.2, 0.36])
    curtain = ball(scene.camera[:3, 3] + 0.2 * _towards(scene, [0.4, -0.2, 0.36]), 0.05)
    assert look.at(scene.picture(obstacle)).distance < 0.3
    hidden = scene.picture(obstacle, curtain)
    readings = [look.at(hidden).distance for _ in range(12)]
    assert readings[0] < 0.3
    assert readings[-1] == math.inf


def test_an_obstacle_that_leaves_is_gone_at_once(look, scene):
    assert look.at(scene.picture(ball([0.4, -0.2, 0.36]))).distance < 0.2
    assert look.at(scene.picture()).distance == math.inf


def test_a_clock_that_is_set_back_is_no_eternal_memory(look, scene):
    look.stamp = 1000.0
    look.at(scene.picture(ball([0.4, -0.2, 0.36])))
    look.stamp = 1.0
    nothing = np.full((240, 320), 0.3, np.float32)  # hides everything
    assert look.at(nothing).distance == math.inf


def _towards(scene, target):
    sight = np.subtract(target, scene.camera[:3, 3])
    return sight / np.linalg.norm(sight)


def test_lone_pixels_are_noise(look, scene):
    picture = scene.picture()
    rows, columns = np.random.default_rng(3).integers(2, 230, (2, 300))
    inside = np.linalg.inv(scene.camera) @ [0.4, -0.15, 0.36, 1.0]
    picture[rows, columns] = inside[2] + np.random.default_rng(4).normal(0.0, 0.1, 300)
    assert look.at(picture).distance == math.inf


def test_millimetres_are_as_good_as_metres(look, scene):
    picture = scene.picture(ball([0.4, -0.2, 0.36]))
    metres = look.at(picture).distance
    millimetres = np.nan_to_num(picture * 1000.0).astype(np.uint16)
    look.fresh()
    assert look.at(millimetres).distance == pytest.approx(metres, abs=0.002)


@pytest.mark.parametrize("nothing", [np.nan, 0.0, np.inf, -np.inf, -1.0])
def test_a_covered_camera_measures_nothing(look, nothing):
    with pytest.raises(MeasurementError, match="covered"):
        look.at(np.full((240, 320), nothing, np.float32))


@pytest.mark.parametrize(
    "picture", [np.zeros((120, 160), np.float32), np.ones((240, 320)), np.ones((240, 320, 1))]
)
def test_a_picture_of_another_kind_is_refused(look, picture):
    with pytest.raises(MeasurementError, match="depth image"):
        look.at(picture)


def test_joint_states_that_lack_a_joint_are_refused_by_name(look, scene):
    with pytest.raises(BodyError, match="elbow"):
        look.at(scene.picture(), joints={"shoulder_pan": 0.0, "shoulder_lift": 0.0})


def test_what_is_not_in_the_way_does_not_count_along_the_motion(look, scene):
    picture = scene.picture(ball([0.4, -0.25, 0.36]))
    towards = look.at(picture, velocity=np.array([0.0, -0.1, 0.0]))
    away = look.at(picture, velocity=np.array([0.0, 0.1, 0.0]))
    still = look.at(picture)
    assert towards.along == towards.distance == still.along
    assert away.along == math.inf
    assert away.distance == towards.distance


def test_a_cloud_gives_what_its_picture_gives(look, scene, intrinsics, home):
    picture = scene.picture(ball([0.4, -0.2, 0.36]))
    distance = look.at(picture).distance
    rows, columns = np.mgrid[:240, :320]
    rays = np.stack([(columns - 159.5) / 277.0, (rows - 119.5) / 277.0, np.ones((240, 320))], -1)
    cloud = (rays * picture[..., None]).reshape(-1, 3)
    reading = look.fresh().update_cloud(cloud, scene.camera, RobotState(home), 1.0)
    assert reading.distance == pytest.approx(distance, abs=0.003)
    with pytest.raises(MeasurementError):
        look.estimator.update_cloud(cloud[:0], scene.camera, RobotState(home), 1.0)


def test_the_nearest_of_each_sector_is_kept():
    directions = sector_directions(48)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2000, 3))
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[:50] = math.inf
    kept = nearest_by_sector(vectors, lengths, directions)
    assert len(kept) == 48
    assert kept[0] == np.argmin(lengths)
    sector = np.argmax(vectors @ directions.T, axis=1)
    for index in kept:
        others = sector == sector[index]
        assert lengths[index] == lengths[others].min()
    apart = np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1)))
    assert np.sort(apart, axis=1)[:, 1].min() > 15.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"near": 3.0},
        {"reach": 0.0},
        {"sectors": 65},
        {"sectors": 0},
        {"valid_share": 0.0},
        {"worktop": math.nan},
        {"voxel": -1.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(PerceptionError, match=next(iter(wrong))):
        ClearanceConfig(**wrong)


@pytest.mark.parametrize("numbers", [(0, 240, 1.0), (320, 240, 0.0), (320, 240, math.nan)])
def test_a_calibration_that_is_none_is_refused(numbers):
    width, height, focal = numbers
    with pytest.raises(MeasurementError, match="calibrat"):
        Intrinsics(width, height, focal, focal, 1.0, 1.0)


def test_a_lever_leads_to_where_a_vector_begins_and_only_on_what_turns_with_the_tool(
    look, scene, home
):
    tool = scene.body.poses(home)["tcp"][:3, 3]
    beside = look.at(scene.picture(ball(np.add(tool, [0.0, -0.15, 0.02]))))
    at_hand = beside.origins[0] - tool
    assert beside.levers[0] == pytest.approx(at_hand)
    solids = scene.body.solids(scene.body.poses(home), guarded=True)
    assert solids.vectors(beside.origins[:1] + 1e-4 * beside.vectors[:1], 1.0).lengths[0] < 1e-3
    look.fresh()
    forearm = (scene.body.poses(home)["forearm"] @ [0.0, -0.12, 0.22, 1.0])[:3]
    above = look.at(scene.picture(ball(forearm)))
    assert above.distance < 0.1
    assert not above.levers[0].any()
