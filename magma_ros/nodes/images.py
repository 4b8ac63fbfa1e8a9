# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages become pictures: looked over as they come, decoded when they are needed."""

from __future__ import annotations

import struct
import zlib
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from sensor_msgs.msg import CompressedImage, Image

from magma_ros.agent.picture import Picture, PictureError
from magma_ros.nodes.convert import MessageError, seconds
from magma_ros.perception.depth import in_metres
from magma_ros.types import DepthArray, ImageArray

MAX_PIXELS = 2**25
"""Largest picture that is decoded, a little more than 7680 x 4320: a header may promise more memory
than the machine has."""

ENCODINGS = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
}
"""Raw encodings that are understood: bytes a pixel, and OpenCV's conversion to RGB."""

DEPTH_ENCODINGS = {"32FC1": "f4", "16UC1": "u2"}
"""Raw encodings of depth images, and what a pixel is."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_COLOURS = ("YCbCr", "Gray", "RGB")


def picture_from_message(message: Image | CompressedImage) -> Picture:
    """A picture that is decoded later, and was looked over now.

    Raises:
        MessageError: Size, encoding, step and data contradict each other or are not supported.
    """
    if isinstance(message, CompressedImage):
        return _from_compressed(message)
    return _from_raw(message)


def depth_picture_from_message(message: Image) -> Picture:
    """A depth image whose distances [m] are made later, and that was looked over now.

    Raises:
        MessageError: As for :func:`depth_from_message`.
    """
    depth = depth_from_message(message)
    height, width = depth.shape
    return Picture(
        seconds(message.header.stamp),
        message.header.frame_id,
        width,
        height,
        zlib.crc32(message.data),
        partial(_distances, depth),
        coloured=False,
    )


def depth_from_message(message: Image) -> npt.NDArray[np.generic]:
    """A raw depth image (H, W): float32 in metres or uint16 in millimetres (REP 118).

    Raises:
        MessageError: Size, encoding, step and data contradict each other or are not supported.
    """
    if message.encoding not in DEPTH_ENCODINGS:
        raise MessageError(
            f"the depth image's encoding is {message.encoding[:40]!r}; configure the camera for "
            f"{' or '.join(DEPTH_ENCODINGS)}, not compressed"
        )
    kind = np.dtype(DEPTH_ENCODINGS[message.encoding])
    size = kind.itemsize
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height == 0 or width == 0 or step < size * width or step % size:
        raise MessageError(
            f"the depth image is {width} x {height} pixels in rows of {step} bytes, which does not "
            f"hold pixels of {size} bytes; the camera driver is broken"
        )
    if len(message.data) != height * step:
        raise MessageError(
            f"the depth image carries {len(message.data)} bytes where {height} rows of {step} are "
            f"{height * step}; the camera driver is broken"
        )
    sent = kind.newbyteorder(">" if message.is_bigendian else "<")
    rows = np.frombuffer(message.data, sent).reshape(height, -1)
    return np.ascontiguousarray(rows[:, :width], kind)


def _distances(depth: npt.NDArray[np.generic], _height: int, _width: int) -> DepthArray:
    return in_metres(depth)


def _from_raw(message: Image) -> Picture:
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height == 0 or width == 0:
        raise MessageError(f"the image is {width} x {height} pixels; a camera must send some")
    if message.encoding not in ENCODINGS:
        raise MessageError(
            f"the image encoding is {message.encoding[:40]!r}; configure the camera for one of "
            f"{', '.join(ENCODINGS)}"
        )
    channels, conversion = ENCODINGS[message.encoding]
    if step < channels * width:
        raise MessageError(
            f"the image step is {step} bytes, too short for {width} pixels of {message.encoding}"
        )
    if len(message.data) != height * step:
        raise MessageError(
            f"the image carries {len(message.data)} bytes where {height} rows of {step} are "
            f"{height * step}; the camera driver is broken"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)
    pixels = rows[:, : channels * width].reshape(height, width, channels)
    return Picture(
        seconds(message.header.stamp),
        message.header.frame_id,
        width,
        height,
        zlib.crc32(message.data),
        partial(_convert, pixels, conversion),
    )


def _convert(pixels: ImageArray, conversion: int | None, _height: int, _width: int) -> ImageArray:
    if conversion is None:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def _from_compressed(message: CompressedImage) -> Picture:
    data = bytes(message.data)
    if data.startswith(PNG_SIGNATURE):
        (width, height), decode = _png_size(data), partial(_decode_png, data)
    elif data.startswith(JPEG_SIGNATURE):
        (width, height), decode = _jpeg_size(data), partial(_decode_jpeg, data)
    else:
        raise MessageError(
            f"the compressed image ({message.format[:40]!r}, {len(data)} bytes) "
            "is neither JPEG nor PNG; configure the camera's image transport for one of them"
        )
    if not 0 < width * height <= MAX_PIXELS:
        raise MessageError(
            f"the compressed image claims {width} x {height} pixels, but must have some and at "
            f"most {MAX_PIXELS}; check the camera"
        )
    stamp, frame = seconds(message.header.stamp), message.header.frame_id
    return Picture(stamp, frame, width, height, zlib.crc32(data), decode)


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height as the header chunk claims them, which always comes first."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise MessageError("the PNG image is cut short or corrupt; check the camera's connection")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise MessageError(f"the JPEG image has no usable header: {error}") from error
    if colours not in JPEG_COLOURS:
        raise MessageError(
            f"the JPEG image is in {colours}; configure the camera for colour or grey pictures"
        )
    if JPEG_END not in data:
        raise MessageError(
            f"the JPEG image is cut short after {len(data)} bytes; check the camera's connection"
        )
    return width, height


def _decode_png(data: bytes, _height: int, _width: int) -> ImageArray:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise PictureError(f"the PNG image cannot be decoded: {error.err}") from error
    if decoded is None:
        raise PictureError("the PNG image is corrupt; check the camera's connection")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _decode_jpeg(data: bytes, height: int, width: int) -> ImageArray:
    """Decode at the smallest of the sizes JPEG offers that is no smaller than what is wanted."""
    try:
        # Strict, because libjpeg otherwise fills what it cannot read with grey.
        decoded = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    except ValueError as error:
        raise PictureError(f"the JPEG image is corrupt: {error}") from error
    return np.asarray(decoded, np.uint8)
