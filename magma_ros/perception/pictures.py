# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos in files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from magma_ros.files import whole
from magma_ros.perception.error import PerceptionError
from magma_ros.types import ImageArray

SILENT = 0
"""OpenCV's log level that prints nothing."""

# OpenCV prints what is wrong with a file besides; here it is raised. Versions keep the
# function in different places.
_set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
_set_level(SILENT)


def read_picture(path: Path) -> ImageArray:
    """A picture as (H, W, 3) uint8 RGB.

    Raises:
        PerceptionError: The file cannot be read, or is no picture that OpenCV knows.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise PerceptionError(f"{path} cannot be read ({error.strerror})") from None
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        decoded = None
    if decoded is None:
        raise PerceptionError(f"{path} is no picture; give a PNG or JPEG file")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def write_png(picture: ImageArray, path: Path) -> None:
    """Write a picture, (H, W, 3) uint8 RGB, as PNG.

    Raises:
        MagmaError: The file cannot be written.
    """
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    with whole(path) as draft:
        draft.write_bytes(data.tobytes())


def read_video(path: Path) -> Generator[ImageArray, None, None]:
    """The frames of a video one after the other, (H, W, 3) uint8 RGB.

    Raises:
        PerceptionError: The file is missing, or no video that OpenCV can decode.
    """
    if not path.is_file():
        raise PerceptionError(f"there is no video {path}")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        read, frame = video.read() if video.isOpened() else (False, None)
        if not read:
            raise PerceptionError(f"{path} is no video that can be decoded; give an MP4 or WebM")
        while read:
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            read, frame = video.read()
    finally:
        video.release()


def frame_of(path: Path, index: int) -> ImageArray:
    """One frame of a video, found by counting, since seeking is not exact in every format.

    Raises:
        PerceptionError: As :func:`read_video`, or there are fewer frames.
    """
    with closing(read_video(path)) as frames:
        for frame in islice(frames, index, None):
            return frame
    raise PerceptionError(f"{path} has no frame {index}")
