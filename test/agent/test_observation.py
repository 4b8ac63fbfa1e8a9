# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An observation is of one moment, made only of what is there, fresh and stamped aright."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magma_ros.agent.measured import UnknownFieldError
from magma_ros.agent.observation import NotReadyError, ObservationBuffer
from magma_ros.agent.picture import Picture, PictureError
from magma_ros.agent.stamps import StampError
from magma_ros.sim.simulation import PROPRIOCEPTION, Simulation
from magma_ros.spaces import ActionSpace, Dimension, SpaceKind
from magma_ros.types import Pose

SIZES = {"front": (4, 4), "wrist": (4, 4)}
DIGESTS = itertools.count(1)


def picture(stamp, pixels=None, digest=None):
    shown = np.full((4, 4, 3), 99, np.uint8) if pixels is None else pixels
    digest = next(DIGESTS) if digest is None else digest
    return Picture(stamp, "optical", 4, 4, digest, lambda _height, _width: shown)


def pose(stamp, x=0.5, yaw=0.0):
    return Pose(stamp, np.array([x, 0.0, 0.1]), Rotation.from_rotvec([0, 0, yaw]).as_quat())


@pytest.fixture
def make():
    def make(cameras=SIZES, fields=("ee_x", "gripper_opening"), slop=0.05):
        made = ObservationBuffer(cameras, fields, max_age=0.3, sync_slop=slop)
        made.tell("pick the red cube", 0.0)
        return made

    return make


@pytest.fixture
def buffer(make):
    buffer = make()
    for stamp in (9.9, 10.0, 10.1):
        buffer.add_pose(pose(stamp, x=stamp))
        buffer.add_gripper(stamp, stamp - 9.5, stamp)
    buffer.add_picture("front", picture(10.02), 10.1)
    buffer.add_picture("wrist", picture(10.04), 10.1)
    return buffer


def test_state_is_that_of_the_moment_of_the_oldest_image(buffer):
    observation = buffer.observe(10.1)
    assert observation.stamp == 10.02
    assert observation.proprioception.tolist() == pytest.approx([10.02, 0.52])
    assert set(observation.images) == {"front", "wrist"}


def test_rotation_is_interpolated_along_the_shortest_turn(make):
    buffer = make({"front": (4, 4)}, ("ee_sin_yaw", "ee_cos_yaw"))
    for stamp, yaw in ((10.0, 3.1), (10.1, -3.1)):
        buffer.add_pose(pose(stamp, yaw=yaw))
    buffer.add_picture("front", picture(10.05), 10.1)
    assert buffer.observe(10.1).proprioception.tolist() == pytest.approx([0.0, -1.0], abs=1e-6)


@given(st.lists(st.floats(0.0, 0.6), min_size=2, max_size=2), st.floats(0.005, 0.1))
def test_images_of_one_observation_are_never_further_apart_than_the_slop(offsets, slop):
    buffer = ObservationBuffer(SIZES, (), max_age=0.3, sync_slop=slop)
    buffer.tell("reach", 0.0)
    sent = sorted(
        (offset + 0.1 * n, camera)
        for camera, offset in zip(SIZES, offsets, strict=True)
        for n in range(12)
    )
    for stamp, camera in sent:
        buffer.add_picture(camera, picture(1.0 + stamp), 1.0 + stamp)
        if buffer.newest_stamp > 0.0:
            stamps = [p.stamp for p in buffer._newest_set.values()]
            assert max(stamps) - min(stamps) <= slop + 1e-9
            assert min(stamps) == buffer.newest_stamp


def test_the_newest_images_that_belong_together_are_chosen(make):
    buffer = make(fields=())
    for camera, stamps in {"front": (10.0, 10.1, 10.2), "wrist": (10.01, 10.11)}.items():
        for stamp in stamps:
            buffer.add_picture(camera, picture(stamp), 10.2)
    assert buffer.observe(10.2).stamp == 10.1


def test_cameras_that_are_not_synchronised_are_named_with_how_far_they_are_apart(make):
    buffer = make(fields=())
    for n in range(4):
        buffer.add_picture("front", picture(10.0 + 0.5 * n), 10.0 + 0.5 * n)
        buffer.add_picture("wrist", picture(10.29 + 0.5 * n), 10.29 + 0.5 * n)
    with pytest.raises(NotReadyError, match=r"0\.2[19] s apart at best, and sync_slop is 0\.05 s"):
        buffer.observe(11.795)


def test_a_state_too_far_from_the_images_is_refused(make):
    buffer = make({"front": (4, 4)})
    buffer.add_picture("front", picture(10.0), 10.0)
    buffer.add_pose(pose(10.29))
    buffer.add_gripper(10.29, 0.5, 10.29)
    with pytest.raises(NotReadyError, match=r"ee_pose nearest to the images is 0\.29 s newer"):
        buffer.observe(10.29)


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        ("instruction", "waiting for an instruction"),
        ("front", "nothing has been heard of camera 'front' yet"),
        ("pose", "nothing has been heard of ee_pose yet"),
        ("gripper", "nothing has been heard of the gripper's opening yet"),
    ],
)
def test_what_is_missing_is_named(make, leave, said):
    buffer = make({"front": (4, 4)})
    if leave == "instruction":
        buffer.tell("", 0.0)
    if leave != "front":
        buffer.add_picture("front", picture(10.0), 10.0)
    if leave != "pose":
        buffer.add_pose(pose(10.0))
    if leave != "gripper":
        buffer.add_gripper(10.0, 0.5, 10.0)
    with pytest.raises(NotReadyError, match=said):
        buffer.observe(10.0)
    assert len(buffer.problems(10.0)) == 1


@pytest.mark.parametrize("silent", ["front", "wrist", "pose", "gripper"])
def test_what_falls_silent_is_named_with_its_age(buffer, silent):
    for stamp in (10.3, 10.5):
        for camera in SIZES:
            if camera != silent:
                buffer.add_picture(camera, picture(stamp), stamp)
        if silent != "pose":
            buffer.add_pose(pose(stamp))
        if silent != "gripper":
            buffer.add_gripper(stamp, 0.5, stamp)
    with pytest.raises(NotReadyError, match=r"silent for 0\.\d\d s; at most 0\.3 s") as caught:
        buffer.observe(10.5)
    assert {"pose": "ee_pose"}.get(silent, silent) in str(caught.value)


@pytest.mark.parametrize("stamp", [0.0, -1.0, 10.0 - 60.0, 12.0, math.nan])
def test_an_image_with_an_impossible_stamp_is_refused_and_changes_nothing(buffer, stamp):
    before = buffer.newest_stamp
    with pytest.raises(StampError, match="camera 'front' is stamped"):
        buffer.add_picture("front", picture(stamp), 10.1)
    assert buffer.newest_stamp == before


def test_an_input_that_only_sends_what_is_refused_is_explained(make):
    buffer = make({"front": (4, 4)}, ())
    buffer.explain("camera_front", "camera 'front' is stamped 60.00 s in the past")
    assert buffer.problems(10.0) == {
        "camera_front": "camera 'front' is stamped 60.00 s in the past"
    }
    buffer.add_picture("front", picture(10.0), 10.0)
    assert not buffer.problems(10.0)
    assert "silent" in buffer.problems(11.0)["camera_front"]


def test_a_camera_may_be_called_like_another_input(make):
    buffer = make({"gripper": (4, 4)}, ("gripper_opening",))
    buffer.add_gripper(10.0, 0.5, 10.0)
    assert list(buffer.problems(10.0).values()) == [
        "nothing has been heard of camera 'gripper' yet; is it published?"
    ]
    assert buffer.ages(10.0) == {"camera_gripper": float("inf"), "gripper": 0.0}


def test_after_the_clock_jumped_back_nothing_of_before_is_used(buffer):
    buffer.add_pose(pose(5.0, x=5.0))
    buffer.add_gripper(5.0, 0.1, 5.0)
    for camera in SIZES:
        buffer.add_picture(camera, picture(5.0), 5.0)
    observation = buffer.observe(5.0)
    assert observation.stamp == 5.0
    assert observation.proprioception.tolist() == pytest.approx([5.0, 0.1])


def test_proprioception_that_nothing_measures_is_refused_at_once():
    with pytest.raises(UnknownFieldError, match="wants elbow_torque"):
        ObservationBuffer(SIZES, ("ee_x", "elbow_torque"), max_age=0.3, sync_slop=0.05)


def test_pictures_are_decoded_when_looked_at_and_once(make):
    calls = []

    def decode(height, width):
        calls.append((height, width))
        return np.full((height, width, 3), 99, np.uint8)

    buffer = make({"front": (3, 2)}, ())
    buffer.add_picture("front", Picture(10.0, "optical", 4, 4, 0, decode), 10.0)
    observation = buffer.observe(10.0)
    assert not calls
    assert observation.images["front"].shape == observation.images["front"].shape == (3, 2, 3)
    assert calls == [(3, 2)]


def test_a_picture_that_cannot_be_decoded_is_named_by_its_camera(make):
    def decode(_height, _width):
        raise PictureError("the JPEG image is corrupt")

    buffer = make({"front": (4, 4)}, ())
    buffer.add_picture("front", Picture(10.0, "optical", 4, 4, 0, decode), 10.0)
    with pytest.raises(PictureError, match="camera 'front': the JPEG image is corrupt"):
        _ = buffer.observe(10.0).images["front"]


def test_what_is_observed_over_ros_is_what_the_policy_was_trained_on():
    simulation = Simulation("pick", seed=4)
    try:
        cameras = dict.fromkeys(("front", "wrist"), (4, 4))
        buffer = ObservationBuffer(cameras, PROPRIOCEPTION, max_age=1.0, sync_slop=0.05)
        buffer.tell(simulation.instruction, 0.0)
        for camera in cameras:
            buffer.add_picture(camera, picture(1.0, simulation.image(camera)), 1.0)
        measured = simulation.ee_pose()
        buffer.add_pose(Pose(1.0, measured.position, measured.quaternion))
        buffer.add_gripper(1.0, simulation.gripper_opening(), 1.0)
        observed = buffer.observe(1.0).proprioception
        assert observed == pytest.approx(simulation.observation().proprioception, abs=1e-5)
    finally:
        simulation.close()


def drive(buffer, *, digests, speed):
    """A second of pictures and poses at 20 Hz; the front camera shows these digests in turn."""
    for step in range(20):
        stamp = 10.05 + 0.05 * step
        buffer.add_pose(pose(stamp, x=0.3 + speed * (stamp - 10.0)))
        buffer.add_gripper(stamp, 0.5, stamp)
        buffer.add_picture("front", picture(stamp, digest=digests[step % len(digests)]), stamp)
        buffer.add_picture("wrist", picture(stamp), stamp)
    return stamp


def test_camera_that_repeats_itself_while_the_arm_moves_is_named(make):
    buffer = make()
    now = drive(buffer, digests=[7], speed=0.1)
    (why,) = buffer.problems(now).values()
    assert "camera 'front' has shown the same picture" in why
    with pytest.raises(NotReadyError, match="restart its driver"):
        buffer.observe(now)
    buffer.add_pose(pose(now + 0.05, x=0.5))
    buffer.add_gripper(now + 0.05, 0.5, now + 0.05)
    buffer.add_picture("front", picture(now + 0.05), now + 0.05)
    buffer.add_picture("wrist", picture(now + 0.05), now + 0.05)
    assert not buffer.problems(now + 0.05)


@pytest.mark.parametrize(("digests", "speed"), [([7], 0.005), ([7, 8], 0.2)])
def test_camera_may_repeat_itself_while_the_arm_rests_and_must_not_look_frozen_else(
    make, digests, speed
):
    buffer = make()
    assert not buffer.problems(drive(buffer, digests=digests, speed=speed))


def test_camera_that_showed_an_arm_at_rest_is_not_frozen_when_the_arm_sets_off(make):
    buffer = make()
    rest = drive(buffer, digests=[7], speed=0.0)
    buffer.add_pose(pose(rest + 0.05, x=0.35))
    assert not buffer.missing(rest + 0.05)


def test_black_picture_is_no_picture(make):
    buffer = make()
    now = drive(buffer, digests=[7, 8], speed=0.0)
    buffer.add_pose(pose(now + 0.05))
    buffer.add_gripper(now + 0.05, 0.5, now + 0.05)
    for camera, level in (("front", 12), ("wrist", 99)):
        shown = np.full((4, 4, 3), level, np.uint8)
        buffer.add_picture(camera, picture(now + 0.05, shown), now + 0.05)
    images = buffer.observe(now + 0.05).images
    assert images["wrist"].max() == 99
    with pytest.raises(PictureError, match="camera 'front': the picture is black"):
        images["front"]


def joint_space(*names, kind=SpaceKind.JOINT_POSITION):
    return ActionSpace(kind, tuple(Dimension(name, "rad") for name in names))


def test_joints_are_measured_by_name_and_start_the_actions():
    fields = ("elbow.velocity", "wrist.position", "elbow.position")
    space = joint_space("wrist", "elbow")
    buffer = ObservationBuffer(
        {}, fields, max_age=0.3, sync_slop=0.05, space=space, instructed=False
    )
    for stamp, share in ((10.0, 0.0), (10.1, 1.0)):
        buffer.add_joint("wrist", stamp, np.array([2.0 + share, 0.0, math.nan]), stamp)
        assert math.isinf(buffer.newest_stamp) or share
        buffer.add_joint("elbow", stamp - 0.02, np.array([share, 0.5, math.nan]), stamp)
    assert buffer.newest_stamp == 10.08  # up to which all of the state is known
    observation = buffer.observe(10.1)
    assert observation.proprioception.tolist() == pytest.approx([0.5, 2.8, 1.0])
    assert observation.anchor.tolist() == pytest.approx([2.8, 1.0])
    assert not observation.images


def test_a_joint_that_is_silent_is_named():
    buffer = ObservationBuffer(
        {}, (), max_age=0.3, sync_slop=0.05, space=joint_space("elbow"), instructed=False
    )
    with pytest.raises(NotReadyError, match="heard of joint 'elbow' in joint_states yet"):
        buffer.observe(1.0)
    buffer.add_joint("elbow", 1.0, np.zeros(3), 1.0)
    assert buffer.observe(1.1).anchor.tolist() == [0.0]
    with pytest.raises(NotReadyError, match=r"'elbow' in joint_states has been silent for 0\.50 s"):
        buffer.observe(1.5)
    with pytest.raises(StampError, match=r"state of joint 'elbow' is stamped 0\.200 s before"):
        buffer.add_joint("elbow", 0.8, np.zeros(3), 1.0)


def test_frames_are_measured_by_name_and_named_when_they_are_silent():
    fields = ("left_hand.z", "camera.x", "left_hand.sin_yaw")
    buffer = ObservationBuffer({}, fields, max_age=0.3, sync_slop=0.05, instructed=False)
    assert buffer.measured.frames == ("left_hand", "camera")
    turned = Rotation.from_euler("z", 0.5).as_quat()
    buffer.add_frame("left_hand", Pose(10.0, np.array([0.0, 0.0, 0.7]), turned))
    with pytest.raises(NotReadyError, match="heard of the frame 'camera' in TF yet"):
        buffer.observe(10.0)
    buffer.add_frame("camera", pose(10.0, x=0.3))
    values = buffer.observe(10.0).proprioception.tolist()
    assert values == pytest.approx([0.7, 0.3, math.sin(0.5)])
    buffer.add_frame("camera", pose(10.5, x=0.3))
    with pytest.raises(
        NotReadyError, match=r"the frame 'left_hand' in TF has been silent for 0\.50"
    ):
        buffer.observe(10.5)


def test_the_pose_starts_poses_and_is_told_as_a_turn_without_ambiguity(make):
    quaternion = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_quat()
    fields = ("ee_qw", "ee_qx", "ee_rz")
    space = ActionSpace(SpaceKind.EE_POSE, tuple(Dimension(n, "m") for n in "xyz"))
    for sign in (1.0, -1.0):
        buffer = ObservationBuffer(
            {}, fields, max_age=0.3, sync_slop=0.05, space=space, instructed=False
        )
        buffer.add_pose(Pose(1.0, np.zeros(3), sign * quaternion))
        observation = buffer.observe(1.0)
        rz = Rotation.from_quat(quaternion).as_rotvec()[2]
        expected = [abs(quaternion[3]), np.sign(quaternion[3]) * quaternion[0], rz]
        assert observation.proprioception.tolist() == pytest.approx(expected)
        assert observation.anchor.stamp == 1.0
