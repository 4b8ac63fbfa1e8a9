# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that are decoded when somebody looks at them, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from magma_ros.types import ImageArray, MagmaError

DARK = 12
"""Level, of 255, that some pixel of a picture must exceed: under a lens cap there is less."""


class PictureError(MagmaError):
    """A picture cannot be decoded, or shows nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as a camera sent it.

    Attributes:
        stamp: Time at which it was taken [s].
        frame_id: Frame of the camera.
        width: Width as sent [px].
        height: Height as sent [px].
        digest: Of the data as sent: a camera that works never sends the same twice, for its noise.
        decode: Gives the pixels, (H, W, 3) uint8 RGB, for a least height and width [px]; a larger
            picture may be reduced to no less than that, where this makes decoding cheaper. Of a
            depth image it gives distances, (H, W) float32 [m].
        coloured: Whether it is a picture, which is useless when it is black, and no depth image.
    """

    stamp: float
    frame_id: str
    width: int
    height: int
    digest: int
    decode: Callable[[int, int], Any]
    coloured: bool = True

    def pixels(self, height: int | None = None, width: int | None = None) -> Any:
        """The pixels, at no less than ``height`` and ``width`` [px] or, without them, all.

        Raises:
            PictureError: The data are corrupt.
        """
        least_height = self.height if height is None else min(height, self.height)
        least_width = self.width if width is None else min(width, self.width)
        return self.decode(least_height, least_width)


class Pictures(Mapping[str, Any]):
    """One picture or depth image a camera, decoded by the thread that first asks for it."""

    def __init__(
        self, pictures: Mapping[str, Picture], sizes: Mapping[str, tuple[int, int]]
    ) -> None:
        """Hold ``pictures``, to be decoded to no less than ``sizes`` (height, width) [px]."""
        self.sources = dict(pictures)
        self._sizes = dict(sizes)
        self._decoded: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getitem__(self, camera: str) -> Any:
        """The pixels of one camera.

        Raises:
            KeyError: There is no such camera.
            PictureError: Its picture is corrupt or black.
        """
        with self._lock:
            if camera not in self._decoded:
                source = self.sources[camera]
                try:
                    pixels = source.pixels(*self._sizes[camera])
                    self._decoded[camera] = _lit(pixels) if source.coloured else pixels
                except PictureError as error:
                    raise PictureError(f"camera {camera!r}: {error}") from error
            return self._decoded[camera]

    def __iter__(self) -> Iterator[str]:
        """The cameras' names."""
        return iter(self.sources)

    def __len__(self) -> int:
        """The number of cameras."""
        return len(self.sources)


def _lit(pixels: ImageArray) -> ImageArray:
    if int(np.max(pixels, initial=0)) <= DARK:
        raise PictureError("the picture is black; uncover the camera, or light the scene")
    return pixels
