# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera pictures for many screens: encoded when somebody asks, and once for all who ask."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from magma_ros.agent.picture import Picture
from magma_ros.types import ImageArray

QUALITY = 80
"""JPEG quality: little more than half the bytes of 90, and no difference to be seen on a page."""

RATE_WINDOW = 2.0
"""Time over which the rate of a camera is counted [s]."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are shown.

    Attributes:
        rate: Greatest rate of new pictures [Hz].
        width: Width to which wider pictures are reduced [px].
    """

    rate: float = 10.0
    width: int = 640


class LatestPicture:
    """The newest picture of one camera; may be used from any thread.

    Args:
        encoding: How it is shown.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._picture: Picture | None = None
        self._heard: deque[float] = deque()
        self._lock = threading.Lock()  # one encodes, the others wait for what comes of it
        self._jpeg: bytes = b""
        self._shown = -math.inf  # when the picture was heard that _jpeg shows
        self._encoded = -math.inf  # when that was encoded

    def hear(self, picture: Picture, now: float) -> None:
        """Take in a picture that came at ``now`` [s]."""
        self._heard.append(now)
        while self._heard[0] < now - RATE_WINDOW:
            self._heard.popleft()
        self._picture = picture

    @property
    def newest(self) -> Picture | None:
        """The newest picture, not yet decoded."""
        return self._picture

    def age(self, now: float) -> float:
        """Time since the newest came [s]; ``inf`` before the first."""
        times = tuple(self._heard)
        return now - times[-1] if times else math.inf

    def rate(self, now: float) -> float:
        """Pictures a second lately [Hz]."""
        return sum(time > now - RATE_WINDOW for time in tuple(self._heard)) / RATE_WINDOW

    def jpeg(self, after: float, now: float) -> tuple[bytes, float] | None:
        """The newest that may be shown, and when it came [s]; None if that is not after ``after``.

        Raises:
            PictureError: It cannot be decoded.
        """
        with self._lock:
            times, picture = tuple(self._heard), self._picture
            due = now - self._encoded >= 1.0 / self._encoding.rate
            if picture is not None and times and times[-1] > self._shown and due:
                self._shown, self._encoded = times[-1], now  # also if it cannot be decoded
                self._jpeg = b""
                self._jpeg = encoded(picture, self._encoding.width)
            return (self._jpeg, self._shown) if self._jpeg and self._shown > after else None


def encoded(picture: Picture, width: int) -> bytes:
    """A picture as JPEG, no wider than ``width`` [px].

    Raises:
        PictureError: It cannot be decoded.
    """
    width = min(width, picture.width)
    height = max(1, round(picture.height * width / picture.width))
    pixels = picture.pixels(height, width)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    contiguous: ImageArray = np.ascontiguousarray(pixels)
    return bytes(simplejpeg.encode_jpeg(contiguous, quality=QUALITY, colorspace="RGB"))
