# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message classes behave like rclpy's, and their CDR is ROS 2's, byte for byte."""

import copy
from array import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Quaternion, TwistStamped, Vector3
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor, ParameterValue
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import ByteMultiArray, Empty, Header, String, UInt8
from std_srvs.srv import SetBool, Trigger

from magma_ros.embedded.finder import MESSAGE_PACKAGES
from magma_ros.embedded.wire import codec
from magma_ros.embedded.wire.definitions import type_hash
from magma_ros.embedded.wire.messages import message_class, names_in, service_class, type_name

ALL_MESSAGES = [f"{p}/msg/{n}" for p in sorted(MESSAGE_PACKAGES) for n in names_in(p, "msg")]
ALL_SERVICES = [f"{p}/srv/{n}" for p in sorted(MESSAGE_PACKAGES) for n in names_in(p, "srv")]


@pytest.mark.parametrize("name", ALL_MESSAGES)
def test_every_message_survives_the_wire(name):
    message = message_class(name)()
    assert codec.deserialize(codec.serialize(message), name) == message


@pytest.mark.parametrize("name", ALL_SERVICES)
def test_every_service_survives_the_wire(name):
    service = service_class(name)
    for part in (service.Request(), service.Response()):
        assert codec.deserialize(codec.serialize(part), type_name(type(part))) == part


def test_fields_start_from_the_definitions_defaults():
    assert Quaternion() == Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
    twist = TwistStamped()
    assert twist.header == Header()
    assert twist.twist.linear.x == 0.0
    assert Image().data == array("B")
    assert CameraInfo().k.tolist() == [0.0] * 9
    assert ParameterDescriptor().integer_range == []


def test_messages_of_one_class_share_no_defaults():
    first, second = JointState(), JointState()
    first.name.append("joint")
    first.header.frame_id = "base"
    assert second == JointState()


def test_constants_have_rclpys_types():
    assert DiagnosticStatus.WARN == b"\x01"
    assert JointState.get_fields_and_field_types()["position"] == "sequence<double>"
    assert Image.get_fields_and_field_types() == {
        "header": "std_msgs/Header",
        "height": "uint32",
        "width": "uint32",
        "encoding": "string",
        "is_bigendian": "uint8",
        "step": "uint32",
        "data": "sequence<uint8>",
    }


@pytest.mark.parametrize(
    "pixels",
    [
        b"\x01\x02\x03",
        bytearray((1, 2, 3)),
        memoryview(b"\x01\x02\x03"),
        array("B", (1, 2, 3)),
        np.array((1, 2, 3), np.uint8),
        [1, 2, 3],
        (1, 2, 3),
    ],
    ids=lambda pixels: type(pixels).__name__,
)
def test_image_data_may_be_anything_that_holds_bytes(pixels):
    image = Image(data=pixels)
    assert isinstance(image.data, array)
    assert image.data == array("B", (1, 2, 3))
    assert codec.deserialize(codec.serialize(image), "sensor_msgs/msg/Image") == image


def test_a_two_dimensional_view_is_taken_in_row_order():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert list(Image(data=pixels.T).data) == pixels.T.ravel().tolist()


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (Image, "height", -1),
        (Image, "height", 2**32),
        (Image, "height", 1.0),
        (Image, "encoding", b"rgb8"),
        (Image, "data", [256]),
        (Image, "data", "pixels"),
        (Image, "header", None),
        (Vector3, "x", 1),
        (UInt8, "data", 300),
        (JointState, "position", b"\x00"),
        (JointState, "name", "joint"),
        (JointState, "name", [b"joint"]),
        (CameraInfo, "k", [0.0] * 8),
        (ParameterDescriptor, "floating_point_range", [FloatingPointRange()] * 2),
        (DiagnosticStatus, "level", 1),
        (DiagnosticStatus, "values", [String()]),
        (SetBool.Request, "data", 1),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(message, field, value):
    with pytest.raises(AssertionError, match=f"'{field}'"):
        setattr(message(), field, value)
    with pytest.raises(AssertionError, match=f"'{field}'"):
        message(**{field: value})


def test_an_unknown_field_is_refused():
    with pytest.raises(AssertionError, match="dada is no field of std_msgs/msg/String"):
        String(dada="x")
    with pytest.raises(AttributeError):
        String().dada = "x"


def test_octets_are_bytes_of_length_one():
    status = DiagnosticStatus(level=DiagnosticStatus.ERROR, values=[KeyValue(key="a", value="b")])
    again = codec.deserialize(codec.serialize(status), "diagnostic_msgs/msg/DiagnosticStatus")
    assert again.level == b"\x02"
    value = ParameterValue(byte_array_value=[b"\x00", b"\xff"], bool_array_value=[True, False])
    again = codec.deserialize(codec.serialize(value), "rcl_interfaces/msg/ParameterValue")
    assert again.byte_array_value == [b"\x00", b"\xff"]
    assert again.bool_array_value == [True, False]
    assert codec.deserialize(
        codec.serialize(ByteMultiArray(data=[b"a"])), "std_msgs/msg/ByteMultiArray"
    ).data == [b"a"]


def test_deep_copies_are_whole_and_apart():
    state = JointState(name=["a"], position=[1.5])
    twin = copy.deepcopy(state)
    twin.position[0] = 2.5
    twin.name.append("b")
    assert state == JointState(name=["a"], position=[1.5])
    assert codec.serialize(twin) == codec.serialize(JointState(name=["a", "b"], position=[2.5]))


def test_repr_shows_the_message_as_code():
    text = (
        "std_msgs.msg.Header(stamp=builtin_interfaces.msg.Time(sec=0, nanosec=0), frame_id='map')"
    )
    assert repr(Header(frame_id="map")) == text
    assert "data=[7]" in repr(Image(data=b"\x07"))


def test_cdr_is_little_endian_padded_and_terminated():
    assert codec.serialize(String(data="hi")) == bytes.fromhex("00010000 03000000 686900")
    assert codec.serialize(Empty()) == bytes.fromhex("00010000 00")
    assert codec.serialize(Trigger.Response(success=True, message="ok")) == bytes.fromhex(
        "00010000 01000000 03000000 6f6b00"
    )
    joint = JointState(name=["abcd"], position=[1.0])
    assert codec.serialize(joint) == bytes.fromhex(
        "00010000"  # encapsulation
        "00000000 00000000 01000000 00000000"  # stamp, empty frame, padding to 4
        "01000000 05000000 61626364 00000000"  # one name, padding to 4
        "01000000 00000000 000000000000f03f"  # one position, padding to 8
        "00000000 00000000"  # no velocity, no effort
    )


def test_big_endian_messages_are_understood():
    message = codec.deserialize(bytes.fromhex("00000000 00000003 686900"), "std_msgs/msg/String")
    assert message == String(data="hi")


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        (
            "std_msgs/msg/String",
            "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
        ),
        (
            "builtin_interfaces/msg/Time",
            "b106235e25a4c5ed35098aa0a61a3ee9c9b18d197f398b0e4206cea9acf9c197",
        ),
        (
            "rcl_interfaces/srv/ListParameters",
            "3e6062bfbb27bfb8730d4cef2558221f51a11646d78e7bb30a1e83afac3aad9d",
        ),
        (
            "std_srvs/srv/SetBool",
            "abe9e4bb6b41b40e6789712c00ec8871923e089af3f667a79992a428cff2da0a",
        ),
    ],
)
def test_type_hashes_are_those_of_ros(name, digest):
    assert type_hash(name) == f"RIHS01_{digest}"


def test_only_interfaces_have_a_type():
    with pytest.raises(TypeError, match="not a message or service class"):
        type_name(int)
    with pytest.raises(ImportError):
        from std_msgs.msg import Sting  # noqa: F401
