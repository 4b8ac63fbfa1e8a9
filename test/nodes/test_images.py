# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A picture is understood whole, or refused in a sentence before it can do harm."""

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from magma_ros.agent.picture import PictureError
from magma_ros.nodes import convert
from magma_ros.nodes.images import depth_from_message, picture_from_message

PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def scene(height=480, width=640):
    rng = np.random.default_rng(3)
    return cv2.GaussianBlur(rng.integers(0, 255, (height, width, 3), np.uint8), (15, 15), 4)


def compressed(data, kind="jpeg"):
    return CompressedImage(format=kind, data=array.array("B", bytes(data)))


def jpeg(pixels, *flags):
    return cv2.imencode(".jpg", pixels[..., ::-1], flags)[1].tobytes()


def raw(pixels, encoding):
    height, width = pixels.shape[:2]
    step = pixels.nbytes // height
    message = Image(height=height, width=width, step=step, encoding=encoding)
    message.data = array.array("B", pixels.tobytes())
    return message


def test_image_survives_the_round_trip():
    message = convert.image_to_message(PIXELS, "front", Time(sec=1))
    picture = picture_from_message(message)
    assert np.array_equal(picture.pixels(), PIXELS)
    assert (picture.stamp, picture.frame_id) == (1.0, "front")
    assert (picture.height, picture.width) == (4, 5)


def test_raw_rgb_is_not_copied():
    message = convert.image_to_message(PIXELS, "front", Time())
    assert np.shares_memory(
        picture_from_message(message).pixels(), np.frombuffer(message.data, np.uint8)
    )


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 0]), ("bgra8", [2, 1, 0, 0])],
)
def test_every_usual_encoding_becomes_rgb(encoding, order):
    message = raw(PIXELS[..., order], encoding)
    assert np.array_equal(picture_from_message(message).pixels(), PIXELS)


def test_grey_becomes_grey_in_rgb():
    pixels = picture_from_message(raw(PIXELS[..., 0], "mono8")).pixels()
    assert np.array_equal(pixels, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_padded_rows_are_cropped():
    padded = np.zeros((4, 20), np.uint8)
    padded[:, :15] = PIXELS.reshape(4, 15)
    message = Image(height=4, width=5, step=20, encoding="rgb8")
    message.data = array.array("B", padded.tobytes())
    assert np.array_equal(picture_from_message(message).pixels(), PIXELS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"height": 0}, "5 x 0 pixels"),
        ({"width": 0}, "0 x 4 pixels"),
        ({"encoding": "32FC1"}, "encoding is '32FC1'"),
        ({"encoding": "rgba8"}, "step is 15 bytes, too short for 5 pixels of rgba8"),
        ({"step": 7}, "step is 7 bytes"),
        ({"step": 16}, "carries 60 bytes"),
        ({"height": 2**32 - 1, "width": 2**32 - 1, "step": 2**32 - 1}, "too short"),
    ],
)
def test_broken_image_is_refused_in_one_sentence(change, complaint):
    message = convert.image_to_message(PIXELS, "front", Time())
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(convert.MessageError, match=complaint) as caught:
        picture_from_message(message)
    assert "\n" not in str(caught.value)


def test_png_is_decoded_to_rgb():
    _, data = cv2.imencode(".png", PIXELS[..., ::-1])
    picture = picture_from_message(compressed(data.tobytes(), "png"))
    assert np.array_equal(picture.pixels(), PIXELS)


def test_jpeg_is_decoded_to_rgb():
    pixels = picture_from_message(compressed(jpeg(scene()))).pixels()
    assert np.abs(pixels.astype(int) - scene()).mean() < 3.0


def test_jpeg_is_decoded_no_larger_than_needed_and_no_smaller():
    picture = picture_from_message(compressed(jpeg(scene(1080, 1920))))
    assert (picture.height, picture.width) == (1080, 1920)
    height, width, _ = picture.pixels(224, 224).shape
    assert 224 <= height <= 1080 / 2
    assert 224 <= width <= 1920 / 2
    assert picture.pixels(2000, 3000).shape == (1080, 1920, 3)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(convert.MessageError, match=r"JPEG|PNG"):
        picture_from_message(compressed(data))


def huge_png():
    data = bytearray(cv2.imencode(".png", PIXELS)[1].tobytes())
    data[16:24] = struct.pack(">II", 40000, 40000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def huge_jpeg():
    data = jpeg(scene())
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 40000, 40000) + data[at + 4 :]


@pytest.mark.parametrize("make", [huge_png, huge_jpeg])
def test_a_header_that_promises_more_than_memory_holds_is_refused_unread(make):
    with pytest.raises(convert.MessageError, match="claims 40000 x 40000 pixels"):
        picture_from_message(compressed(make()))


def test_a_jpeg_that_is_cut_short_is_refused_as_it_comes():
    data = jpeg(scene())
    with pytest.raises(convert.MessageError, match="cut short"):
        picture_from_message(compressed(data[: len(data) // 2]))


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_corrupt_jpeg_is_not_half_a_picture(progressive):
    data = jpeg(scene(), cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    half = data[: len(data) // 2] + b"\xff\xd9"
    with pytest.raises(PictureError, match="corrupt"):
        picture_from_message(compressed(half)).pixels(224, 224)


@pytest.mark.parametrize("spoil", [lambda d: d[: len(d) // 2], lambda d: d[:-12], lambda d: d[:60]])
def test_a_corrupt_png_is_not_half_a_picture(spoil):
    data = cv2.imencode(".png", scene())[1].tobytes()
    with pytest.raises(PictureError, match="PNG"):
        picture_from_message(compressed(spoil(data), "png")).pixels()


@examples(150)
@given(st.sampled_from([".jpg", ".png"]), st.data())
def test_no_damage_is_more_than_a_refusal(kind, data):
    whole = bytearray(cv2.imencode(kind, scene(60, 80))[1].tobytes())
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = picture_from_message(compressed(whole)).pixels(32, 32)
    except (convert.MessageError, PictureError):
        return
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


def test_a_picture_keeps_its_header():
    message = compressed(jpeg(PIXELS))
    message.header = Header(stamp=Time(sec=5, nanosec=250_000_000), frame_id="wrist")
    picture = picture_from_message(message)
    assert (picture.stamp, picture.frame_id) == (5.25, "wrist")


def depth(**changed):
    fields = {
        "height": 2,
        "width": 3,
        "step": 12,
        "encoding": "32FC1",
        "data": np.arange(6, dtype="<f4").tobytes(),
    }
    return Image(**(fields | changed))


def test_a_depth_image_is_read_in_either_unit_and_byte_order():
    np.testing.assert_array_equal(depth_from_message(depth()), np.arange(6.0).reshape(2, 3))
    swapped = depth(is_bigendian=1, data=np.arange(6, dtype=">f4").tobytes())
    np.testing.assert_array_equal(depth_from_message(swapped), np.arange(6.0).reshape(2, 3))
    padded = np.zeros((2, 4), "<u2")
    padded[:, :3] = [[1, 2, 3], [4, 5, 65535]]
    read = depth_from_message(depth(encoding="16UC1", step=8, data=padded.tobytes()))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, padded[:, :3])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"encoding": "rgb8"}, "32FC1 or 16UC1"),
        ({"encoding": "compressedDepth"}, "not compressed"),
        ({"step": 8}, "broken"),
        ({"step": 13}, "broken"),
        ({"width": 0}, "broken"),
        ({"height": 3}, "carries"),
        ({"data": b""}, "carries"),
    ],
)
def test_a_depth_image_that_contradicts_itself_is_refused(wrong, says):
    with pytest.raises(convert.MessageError, match=says):
        depth_from_message(depth(**wrong))
