# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages from outside are understood, or refused in one sentence."""

import array

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, PoseStamped
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header
from visualization_msgs.msg import ImageMarker

from magma_ros.nodes import convert
from magma_ros.nodes.gripper import GripperJoint
from magma_ros.types import Source, Trace

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_image_survives_the_round_trip():
    message = convert.image_to_message(PIXELS, "front", Time(sec=1))
    assert np.array_equal(convert.image_from_message(message), PIXELS)


def test_bgr_becomes_rgb():
    message = convert.image_to_message(PIXELS[..., ::-1], "front", Time())
    message.encoding = "bgr8"
    assert np.array_equal(convert.image_from_message(message), PIXELS)


def test_padded_rows_are_cropped():
    padded = np.zeros((4, 20), np.uint8)
    padded[:, :15] = PIXELS.reshape(4, 15)
    message = Image(height=4, width=5, step=20, encoding="rgb8")
    message.data = array.array("B", padded.tobytes())
    assert np.array_equal(convert.image_from_message(message), PIXELS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"height": 0}, "5 x 0 pixels"),
        ({"width": 0}, "0 x 4 pixels"),
        ({"encoding": "32FC1"}, "encoding is '32FC1'"),
        ({"step": 7}, "step is 7 bytes"),
        ({"step": 16}, "carries 60 bytes"),
    ],
)
def test_broken_image_is_refused_in_one_sentence(change, complaint):
    message = convert.image_to_message(PIXELS, "front", Time())
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(convert.MessageError, match=complaint) as caught:
        convert.image_from_message(message)
    assert "\n" not in str(caught.value)


def test_compressed_image_is_decoded_to_rgb():
    _, data = cv2.imencode(".png", PIXELS[..., ::-1])
    message = CompressedImage(format="png", data=array.array("B", data.tobytes()))
    assert np.array_equal(convert.image_from_compressed(message), PIXELS)


@pytest.mark.parametrize("data", [b"", b"not an image"])
def test_undecodable_image_is_refused(data):
    message = CompressedImage(format="jpeg", data=array.array("B", data))
    with pytest.raises(convert.MessageError, match="send JPEG or PNG"):
        convert.image_from_compressed(message)


def test_stamps_keep_their_nanoseconds():
    assert convert.to_stamp(12.25) == Time(sec=12, nanosec=250_000_000)
    assert convert.seconds(Time(sec=12, nanosec=250_000_000)) == 12.25


def test_twist_survives_the_round_trip():
    twist = np.array([0.1, -0.2, 0.3, 1.0, -2.0, 3.0])
    message = convert.twist_to_message(twist, "base_link", Time(sec=7))
    command = convert.twist_from_message(message, Source.TELEOP)
    assert np.array_equal(command.twist, twist)
    assert (command.stamp, command.frame_id, command.source) == (7.0, "base_link", Source.TELEOP)


def test_pose_without_an_orientation_is_refused():
    message = PoseStamped()
    message.pose.orientation.w = 0.0
    with pytest.raises(convert.MessageError, match="quaternion of length 0"):
        convert.pose_from_message(message)


def make_trace():
    points = np.array([[[64.0, 128.0], [0.0, 255.0]], [[96.0, 64.0], [32.0, 255.0]]])
    return Trace("front", np.array([0.5, 1.25]), points)


def test_a_trace_becomes_a_line_a_mark_in_pixels_of_the_image():
    header = Header(stamp=Time(sec=3), frame_id="front_camera_optical")
    image = np.zeros((120, 160, 3), np.uint8)
    markers = convert.trace_to_markers(make_trace(), image, header)
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
    image = np.zeros((120, 160, 3), np.uint8)
    marker = convert.trace_to_markers(make_trace(), image, Header())[0]
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
