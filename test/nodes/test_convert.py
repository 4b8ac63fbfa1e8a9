# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages from outside are understood, or refused in one sentence."""

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, PoseStamped
from sensor_msgs.msg import JointState, Range
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from visualization_msgs.msg import ImageMarker

from magma_ros.nodes import convert
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.nodes.settings import SettingError
from magma_ros.types import Source, Trace


def test_stamps_keep_their_nanoseconds():
    assert convert.to_stamp(12.25) == Time(sec=12, nanosec=250_000_000)
    assert convert.seconds(Time(sec=12, nanosec=250_000_000)) == 12.25


def test_twist_survives_the_round_trip():
    twist = np.array([0.1, -0.2, 0.3, 1.0, -2.0, 3.0])
    message = convert.twist_to_message(twist, "base_link", Time(sec=7))
    command = convert.twist_from_message(message, Source.TELEOP)
    assert np.array_equal(command.twist, twist)
    assert (command.stamp, command.frame_id, command.source) == (7.0, "base_link", Source.TELEOP)


def test_joint_targets_survive_the_round_trip():
    message = convert.joint_command_to_message(
        ("elbow", "wrist"), np.array([0.5, -1.0]), Time(sec=7), np.array([0.1, 0.2]), reach=0.02
    )
    assert message.points[0].time_from_start == Duration(nanosec=20_000_000)
    command = convert.joint_command_from_message(message, Source.POLICY)
    assert (command.stamp, command.names) == (7.0, ("elbow", "wrist"))
    assert command.positions.tolist() == [0.5, -1.0]
    assert command.velocities.tolist() == [0.1, 0.2]


@pytest.mark.parametrize("points", [0, 2])
def test_a_joint_command_that_is_not_one_target_is_refused(points):
    message = JointTrajectory(points=[JointTrajectoryPoint()] * points)
    with pytest.raises(convert.MessageError, match=f"must have one point.*has {points}"):
        convert.joint_command_from_message(message, Source.POLICY)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("w", "length"), [(0.0, "0"), (1e200, r"1e\+200")])
def test_pose_without_an_orientation_is_refused(w, length):
    message = PoseStamped()
    message.pose.orientation.w = w
    with pytest.raises(convert.MessageError, match=f"quaternion of length {length}, not 1"):
        convert.pose_from_message(message)


def test_a_pose_that_is_not_finite_is_refused():
    message = PoseStamped()
    message.pose.position.x = math.inf
    with pytest.raises(convert.MessageError, match="not a finite pose"):
        convert.pose_from_message(message)


@pytest.mark.parametrize("distance", [math.inf, -math.inf, 0.02, 0.3, 4.0])
def test_a_clearance_within_the_sensors_range_or_by_rep_117_is_taken(distance):
    message = Range(min_range=0.02, max_range=4.0, range=distance)
    assert convert.clearance_from_message(message) == pytest.approx(distance)


@pytest.mark.parametrize(
    ("distance", "said"),
    [(math.nan, "not a number"), (0.01, "outside the sensor's own range"), (5.0, "REP 117")],
)
def test_a_clearance_that_the_sensor_cannot_have_measured_is_refused(distance, said):
    message = Range(min_range=0.02, max_range=4.0, range=distance)
    with pytest.raises(convert.MessageError, match=said):
        convert.clearance_from_message(message)


def make_trace():
    points = np.array([[[64.0, 128.0], [0.0, 255.0]], [[96.0, 64.0], [32.0, 255.0]]])
    return Trace("front", np.array([0.5, 1.25]), points)


def test_a_trace_becomes_a_line_a_mark_in_pixels_of_the_image():
    header = Header(stamp=Time(sec=3), frame_id="front_camera_optical")
    markers = convert.trace_to_markers(make_trace(), (120, 160), header)
    assert [(marker.ns, marker.id) for marker in markers] == [("trace", 0), ("trace", 1)]
    assert markers[0].outline_color != markers[1].outline_color
    for marker in markers:
        assert marker.header == header
        assert marker.type == ImageMarker.LINE_STRIP
        assert marker.lifetime == Duration(sec=1, nanosec=250_000_000)
    paths = dict(map(convert.path_from_marker, markers))
    np.testing.assert_allclose(paths["gripper"], [[40.0, 60.0], [60.0, 30.0]])
    np.testing.assert_allclose(paths["target"][:, 0], [0.0, 20.0])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ns": "other"}, "'other', 0, is not part of a trace"),
        ({"id": 2}, "2, is not part of a trace"),
        ({"points": []}, "empty"),
        ({"points": [Point(x=float("nan"))]}, "not finite"),
    ],
)
def test_a_marker_that_is_no_trace_is_refused(change, complaint):
    marker = convert.trace_to_markers(make_trace(), (120, 160), Header())[0]
    for name, value in change.items():
        setattr(marker, name, value)
    with pytest.raises(convert.MessageError, match=complaint):
        convert.path_from_marker(marker)


def test_gripper_opening_and_joint_position_are_inverse():
    gripper = GripperJoint("finger", open_position=0.0, closed_position=0.8, max_effort=5.0)
    command = gripper.command(0.25, Time())
    assert command.name == ["finger"]
    assert command.position[0] == pytest.approx(0.6)
    assert gripper.opening(command) == pytest.approx(0.25)
    assert gripper.opening(JointState(name=["other"], position=[0.3])) is None


@pytest.mark.parametrize("position", [math.nan, math.inf, -math.inf])
def test_a_gripper_joint_that_is_not_finite_has_no_opening(position):
    gripper = GripperJoint("finger", open_position=0.04, closed_position=0.0, max_effort=5.0)
    assert gripper.opening(JointState(name=["finger"], position=[position])) is None
    assert gripper.opening(JointState(name=["finger"])) is None


def test_a_gripper_as_open_as_it_is_closed_is_refused():
    class Settings:
        def group(self, _prefix):
            ends = {"open_position": 0.04, "closed_position": 0.04}
            return {"joint": "finger", "max_effort": 5.0} | ends

    with pytest.raises(SettingError, match=r"are both 0\.04; give the joint's two ends"):
        GripperJoint.from_settings(Settings())
