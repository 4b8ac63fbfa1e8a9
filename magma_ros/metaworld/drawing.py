# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of the one camera: what part of its view, how many pixels, how carefully drawn.

The camera is that of LeRobot's protocol: MuJoCo's ``corner2`` moved to :data:`CAMERA_PLACE`, its
picture turned by 180 degrees, which sets it upright.
"""

from __future__ import annotations

import atexit
import weakref
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from typing_extensions import override

from magma_ros.metaworld.library import drawing_error, drawing_library, load
from magma_ros.types import FloatArray, ImageArray

CAMERA: Final = "corner2"
CAMERA_PLACE: Final = (0.75, 0.075, 0.7)
"""Where the protocol has the camera, in the frame of the table [m]."""

WHOLE: Final = (0.0, 0.0, 1.0, 1.0)

MOST_SHAPES: Final = 1000
"""Most shapes in a scene; as in gymnasium."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a picture is drawn.

    Attributes:
        width: Of the picture [px].
        height: Of the picture [px].
        view: Left, upper, right and lower edge of the part that is drawn, as shares of the whole
            view.
        shadow_map: Width of the map that shadows are looked up in [px].
        samples: Samples a pixel, against jagged edges; 0 for one.
    """

    width: int
    height: int
    view: tuple[float, float, float, float] = WHOLE
    shadow_map: int = 4096
    samples: int = 4

    def in_view(self, place: FloatArray) -> FloatArray:
        """Places in the whole view, (..., 2) shares of it, as shares of the picture."""
        return _within(self.view, place)

    def finish(self, picture: ImageArray) -> ImageArray:
        """What is made of the picture once it is drawn."""
        return picture


PROTOCOL = Drawing(480, 480)
"""The whole view as Meta-World's files have it drawn: the protocol to the letter."""

PART = Drawing(192, 192, view=(0.28, 0.24, 0.92, 0.88), shadow_map=512, samples=0)
"""The part of the view in which things happen, as sharp as a whole view of 300 pixels; a sixth of
the work."""


@dataclass(frozen=True, slots=True)
class Cut(Drawing):
    """A picture of which a part is cut out and shrunk once it is drawn.

    Attributes:
        kept: The part, as in ``view``, of the picture.
        size: Width and height that it is shrunk to [px].
    """

    kept: tuple[float, float, float, float] = WHOLE
    size: int = 192

    @override
    def in_view(self, place: FloatArray) -> FloatArray:
        return _within(self.kept, place)

    @override
    def finish(self, picture: ImageArray) -> ImageArray:
        left, right = (round(self.width * edge) for edge in self.kept[::2])
        top, bottom = (round(self.height * edge) for edge in self.kept[1::2])
        part = picture[top:bottom, left:right]
        shrunk = cv2.resize(part, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk, np.uint8)


CUT = Cut(480, 480, kept=PART.view, size=PART.width)
"""The protocol's picture, as a policy sees it that looks at the same part of it."""


class Canvas:
    """Draws the states of one model.

    Args:
        model: MuJoCo's model; others compiled from the same file can be drawn, too.
        drawing: How.

    Raises:
        MetaWorldError: The drawing library does not work here.
    """

    def __init__(self, model: Any, drawing: Drawing) -> None:
        self._mujoco = mujoco = load("mujoco")
        self._drawing = drawing
        library = load(f"mujoco.{drawing_library()}")
        model.vis.quality.shadowsize = drawing.shadow_map
        model.vis.quality.offsamples = drawing.samples
        model.vis.global_.offwidth, model.vis.global_.offheight = drawing.width, drawing.height
        try:
            self._library = library.GLContext(drawing.width, drawing.height)
            self._library.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
        except (ImportError, RuntimeError, mujoco.FatalError) as error:
            raise drawing_error(error) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        # At the latest when Python ends, and before MuJoCo ends EGL then: what was registered last
        # is called first, and that was registered with the first context.
        self.close = weakref.finalize(self, _release, self._library, self._context)
        self.close.atexit = False
        atexit.register(self.close)
        self._scene = mujoco.MjvScene(model, maxgeom=MOST_SHAPES)
        self._options, self._touch = mujoco.MjvOption(), mujoco.MjvPerturb()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(CAMERA).id

    def draw(self, model: Any, data: Any) -> ImageArray:
        """The camera's picture of a state, (H, W, 3) uint8 RGB."""
        mujoco, drawing = self._mujoco, self._drawing
        self._library.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            model, data, self._options, self._touch, self._camera, everything, self._scene
        )
        for eye in self._scene.camera:
            _narrow(eye, drawing)
        where = mujoco.MjrRect(0, 0, drawing.width, drawing.height)
        mujoco.mjr_render(where, self._scene, self._context)
        picture = np.empty((drawing.height, drawing.width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, where, self._context)
        # OpenGL's rows begin at the bottom, so reading them downwards turns the picture by half.
        return drawing.finish(np.ascontiguousarray(picture[:, ::-1]))


def _narrow(eye: Any, drawing: Drawing) -> None:
    """Narrow an eye's frustum to the part of the view that is drawn.

    It is given at the near plane, before the picture is turned: right is left, and up is down.
    """
    left, top, right, bottom = drawing.view
    half_height = eye.frustum_top
    shape = drawing.width * (bottom - top) / (drawing.height * (right - left))
    half_width = shape * half_height
    eye.frustum_center = half_width * (1.0 - right - left)
    eye.frustum_width = half_width * (right - left)
    eye.frustum_top = half_height * (2.0 * bottom - 1.0)
    eye.frustum_bottom = half_height * (2.0 * top - 1.0)


def project(model: Any, data: Any, point: FloatArray) -> FloatArray:
    """Where the camera sees a point, (2,): shares of the whole, square view."""
    camera = model.camera(CAMERA).id
    away = data.cam_xmat[camera].reshape(3, 3).T @ (point - data.cam_xpos[camera])
    half = np.tan(np.radians(model.cam_fovy[camera]) / 2.0)
    across, up = away[:2] / (-away[2] * half)
    return np.array([0.5 - 0.5 * across, 0.5 + 0.5 * up])


def _within(part: tuple[float, float, float, float], place: FloatArray) -> FloatArray:
    """Places in the whole view, (..., 2) shares of it, as shares of a part."""
    left, top, right, bottom = part
    return np.asarray((place - np.array([left, top])) / np.array([right - left, bottom - top]))


def _release(library: Any, context: Any) -> None:
    library.make_current()
    context.free()
    library.free()
