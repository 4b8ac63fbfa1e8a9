# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded pictures as pixels."""

from __future__ import annotations

import cv2
import numpy as np

from magma_ros.episodes.messages import DecodeError, Message
from magma_ros.types import ImageArray

_ENCODINGS = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
}
"""Raw encodings that are understood: bytes a pixel, and OpenCV's conversion to RGB."""


def pixels(message: Message) -> ImageArray:
    """The pixels of an image message, (H, W, 3) uint8 RGB.

    Raises:
        DecodeError: It is damaged, or of an encoding that is not understood.
    """
    decoded = message.decode()
    if message.type.endswith("/CompressedImage"):
        return _compressed(message.topic, np.asarray(decoded.data, np.uint8))
    if decoded.encoding not in _ENCODINGS:
        raise DecodeError(
            f"{message.topic} was recorded as {decoded.encoding[:40]!r}; only "
            f"{', '.join(_ENCODINGS)} can be read"
        )
    channels, conversion = _ENCODINGS[decoded.encoding]
    height, width, step = int(decoded.height), int(decoded.width), int(decoded.step)
    data = np.asarray(decoded.data, np.uint8)
    if not height * width or step < channels * width or data.size != height * step:
        raise DecodeError(
            f"a picture on {message.topic} has {data.size} bytes for {width} x {height} pixels"
        )
    raw = data.reshape(height, step)[:, : channels * width].reshape(height, width, channels)
    if conversion is None:
        return np.ascontiguousarray(raw)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(raw), conversion), np.uint8)


def _compressed(topic: str, data: ImageArray) -> ImageArray:
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        decoded = None
    if decoded is None:
        raise DecodeError(
            f"a picture on {topic} cannot be decoded: it is neither whole JPEG nor PNG"
        )
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
