# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Set-of-Mark as topics: numbered marks, the place of the one that is named, an overlay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped, PolygonInstanceStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from visualization_msgs.msg import ImageMarker, MarkerArray

from magma_ros.agent.mark_resolver import MarkResolver
from magma_ros.agent.picture import Picture, PictureError
from magma_ros.agent.pointing import MarkedPoint
from magma_ros.nodes import convert, mark_messages, names, qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.images import picture_from_message
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.settings import Setting
from magma_ros.nodes.subscriptions import subscribe_latched
from magma_ros.perception import overlay
from magma_ros.perception.marks import Mark, MarkTracker, TrackConfig
from magma_ros.perception.proposals import (
    Proposal,
    ProposalConfig,
    View,
    proposal_of,
    propose,
)
from magma_ros.types import DepthArray, FloatArray, ImageArray, Mode

_THINGS = ProposalConfig()

MARKS_SETTINGS = (
    Setting(
        "marks.source",
        "depth",
        "What is marked: what stands out of the worktop in a depth image, or what others tell on "
        "the topic detections.",
        choices=("depth", "detections", "none"),
    ),
    Setting("marks.camera", "front", "Camera whose pictures are marked."),
    Setting("marks.rate", 5.0, "Greatest rate of marks and overlay [Hz].", 0.1, 30.0),
    Setting("marks.worktop", 0.0, "Height of the worktop in base_frame [m].", -5.0, 5.0),
    Setting(
        "marks.least_height",
        _THINGS.least_height,
        "How far a thing must rise above the worktop [m].",
        0.005,
        1.0,
    ),
    Setting(
        "marks.greatest_height",
        _THINGS.greatest_height,
        "What rises farther above the worktop is not marked [m].",
        0.01,
        2.0,
    ),
    Setting("marks.lower", [], "Least x and y of what is marked in base_frame [m], [] for any."),
    Setting("marks.upper", [], "Greatest x and y [m], [] for any."),
    Setting(
        "marks.colour_step",
        _THINGS.colour_step,
        "Change in the share of red or green that parts things which touch, 1 for none.",
        0.01,
        1.0,
    ),
    Setting("marks.patience", 10.0, "How long a hidden thing keeps its number [s].", 0.0, 600.0),
)
"""Parameters of :class:`Marks`; it uses ``camera_topics`` and ``transport`` as well."""

OVERLAY_WIDTH = 480
"""Smaller pictures are enlarged for the overlay, a whole number of times, to at least this [px]."""

TRACE_LIFETIME = 2.0
"""How long a trace is drawn after the picture that it was made of [s]."""

SLOP = 0.1
"""How far apart depth image and picture may be [s]."""

DETECTION_GATE = 16.0
"""How far a detection may move from one picture to the next, on Magma's grid."""

Covers = Callable[[FloatArray], npt.NDArray[np.bool_]]
"""Tells which of some points (N, 3) in the base frame are of the robot itself."""


class Marks:
    """Marks what one camera sees, and looks up the mark that an instruction names.

    Depth comes by :meth:`see_depth`, all else from topics.

    Args:
        node: Node to subscribe and publish with, whose parameters are used.
    """

    def __init__(self, node: ManagedNode) -> None:
        settings = node.settings
        self._node = node
        self.camera = str(settings["marks.camera"])
        self._source = settings["marks.source"]
        self._config = _proposal_config(settings.group("marks"))
        by_detections = self._source == "detections"
        gate = DETECTION_GATE if by_detections else TrackConfig().gate
        self._tracker = MarkTracker(TrackConfig(gate=gate, patience=settings["marks.patience"]))
        self._resolver = MarkResolver()
        self._marks: list[Mark] = []
        self._marked, self._frame = -np.inf, ""  # stamp [s] and frame of their picture
        self._pictures: deque[Picture] = deque(maxlen=8)
        self._matrix: FloatArray | None = None
        self._paths: dict[str, tuple[float, FloatArray]] = {}
        self._detections: list[PolygonInstanceStamped] = []
        self._driving = False
        self._publish(node)
        if self._source != "none":
            self._subscribe(node)

    def _publish(self, node: ManagedNode) -> None:
        self._marks_out = node.create_publisher(MarkerArray, names.MARKS, qos.STATE)
        self._overlay_out = node.create_publisher(Image, names.OVERLAY, qos.IMAGES)
        self._point_out = node.create_publisher(PointStamped, names.INSTRUCTION_POINT, qos.LATCHED)

    def _subscribe(self, node: ManagedNode) -> None:
        settings, subscribe = node.settings, node.create_subscription
        compressed = settings["transport"] == "compressed"
        topics = CameraTopics(settings[CAMERA_TOPICS.name])
        kind = CompressedImage if compressed else Image
        topic = topics.image(self.camera, compressed=compressed)
        subscribe(kind, topic, self._on_picture, qos.IMAGES)
        subscribe(CameraInfo, topics.info(self.camera), self._on_info, qos.SENSOR_STATE)
        subscribe(ImageMarker, names.POLICY_TRACE, self._on_trace, qos.EVENTS)
        if self._source == "detections":
            subscribe(PolygonInstanceStamped, names.DETECTIONS, self._on_detection, qos.EVENTS)
        for name in (names.INSTRUCTION, names.GUARD_INSTRUCTION):
            subscribe_latched(node, String, name, self._on_instruction)
        subscribe_latched(node, DiagnosticStatus, names.GUARD_MODE, self._on_mode)

    # What is seen

    @property
    def wants_depth(self) -> bool:
        """Whether another depth image would be used now."""
        return self._source == "depth" and self._due(self._now())

    def see_depth(
        self,
        depth: DepthArray,
        matrix: FloatArray,
        pose: FloatArray,
        stamp: float,
        covers: Covers | None = None,
    ) -> None:
        """Mark what a depth image of the camera shows, if there is a picture of the same moment.

        Args:
            depth: (H, W) [m], not finite where unknown.
            matrix: (3, 3) its intrinsic matrix [px].
            pose: (4, 4) from the camera's optical frame to the base frame.
            stamp: When it was taken [s].
            covers: Tells what is of the robot itself.
        """
        picture = min(self._pictures, key=lambda p: abs(p.stamp - stamp), default=None)
        if picture is None or self._matrix is None or abs(picture.stamp - stamp) > SLOP:
            return
        if not self._due(picture.stamp):
            return
        pixels = self._pixels(picture)
        if pixels is None:
            return
        view = View(depth, matrix, pixels, self._matrix, pose[:3, 3], pose[:3, :3])
        self._mark(propose(view, self._config, covers), picture, pixels)

    def _due(self, stamp: float) -> bool:
        """Whether it is time for marks again; they are also due after the clock jumped back."""
        since = stamp - self._marked
        return since < 0.0 or since >= 0.9 / float(self._node.settings["marks.rate"])

    def _mark(self, proposals: list[Proposal], picture: Picture, pixels: ImageArray) -> None:
        self._marks = self._tracker.update(proposals, picture.stamp)
        self._marked = picture.stamp
        self._frame = picture.frame_id
        message = mark_messages.marks_to_message(
            self._marks, self.camera, picture.frame_id, picture.stamp
        )
        self._marks_out.publish(message)
        self._resolve()
        if self._overlay_out.get_subscription_count() > 0:
            self._draw(picture, pixels)

    def _draw(self, picture: Picture, pixels: ImageArray) -> None:
        times = max(1, -(-OVERLAY_WIDTH // picture.width))
        drawn = cv2.resize(pixels, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
        fresh = {
            name: path * times
            for name, (stamp, path) in self._paths.items()
            if 0.0 <= picture.stamp - stamp <= TRACE_LIFETIME
        }
        drawn = overlay.draw_marks(overlay.draw_paths(drawn, fresh), self._marks)
        stamp = convert.to_stamp(picture.stamp)
        self._overlay_out.publish(convert.image_to_message(drawn, picture.frame_id, stamp))

    def _on_picture(self, message: Image | CompressedImage) -> None:
        picture = picture_from_message(message)
        if self._pictures and picture.stamp < self._pictures[-1].stamp:
            self._pictures.clear()  # the clock has jumped back
        self._pictures.append(picture)
        if self._source == "detections":
            self._mark_detections(picture.stamp)

    def _on_info(self, message: CameraInfo) -> None:
        matrix = np.array(message.k, float).reshape(3, 3)
        if np.isfinite(matrix).all() and matrix[0, 0] > 0.0 and matrix[1, 1] > 0.0:
            self._matrix = matrix

    def _on_trace(self, message: ImageMarker) -> None:
        if self._pictures and message.header.frame_id == self._pictures[-1].frame_id:
            name, path = convert.path_from_marker(message)
            self._paths[name] = convert.seconds(message.header.stamp), path

    def _pixels(self, picture: Picture) -> ImageArray | None:
        try:
            return picture.pixels()
        except PictureError as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return None

    # What others found: one message a thing, all of one picture with the same stamp

    def _on_detection(self, message: PolygonInstanceStamped) -> None:
        stamp = message.header.stamp
        if self._detections and self._detections[0].header.stamp != stamp:
            self._detections = []
        self._detections = [*self._detections, message][-mark_messages.MOST_THINGS :]

    def _mark_detections(self, now: float) -> None:
        """Mark what was found in the newest picture for which all is likely to have come."""
        if not self._detections:
            return
        stamp = convert.seconds(self._detections[0].header.stamp)
        picture = min(self._pictures, key=lambda p: abs(p.stamp - stamp))
        if stamp >= now or abs(picture.stamp - stamp) > SLOP or not self._due(picture.stamp):
            return
        found, self._detections = self._detections, []
        outlines = [mark_messages.outline_from_message(m, picture.frame_id) for m in found]
        size = picture.width, picture.height
        proposals = [proposal_of(o, size) for o in outlines if o is not None]
        if (pixels := self._pixels(picture)) is not None:
            self._mark([p for p in proposals if p is not None], picture, pixels)

    # What is named

    def _on_mode(self, message: DiagnosticStatus) -> None:
        self._driving = convert.status_values(message).get("mode") == Mode.AUTO.name

    def _on_instruction(self, message: String) -> None:
        self._resolver.tell(message.data, self._now())
        if np.isfinite(self._marked):
            self._resolve()

    def _resolve(self) -> None:
        """Tell where the named mark is, or that it is not there."""
        answer = self._resolver.find(self._marks, self._now(), driving=self._driving)
        if answer is None:
            return
        number, mark = answer
        column, row = (np.nan, np.nan) if mark is None else mark.point
        stamp = self._now() if mark is None else self._marked
        point = MarkedPoint(stamp, self._frame, number, float(column), float(row))
        self._point_out.publish(mark_messages.point_to_message(point))

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())


def _proposal_config(settings: Mapping[str, Any]) -> ProposalConfig:
    """From the parameters below ``marks``.

    Raises:
        PerceptionError: A corner of the area is not two numbers.
    """
    names = ("worktop", "least_height", "greatest_height", "colour_step")
    given: dict[str, Any] = {name: settings[name] for name in names}
    given |= {name: tuple(settings[name]) for name in ("lower", "upper") if settings[name]}
    return ProposalConfig(**given)
