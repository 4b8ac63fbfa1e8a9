# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Set-of-Mark as topics: numbered marks, the place of the one that is named, an overlay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PolygonInstanceStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from magma_ros.agent.picture import Picture, PictureError
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.cameras import CAMERA_TOPICS, CameraTopics
from magma_ros.nodes.images import picture_from_message
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.mark_messages import MOST_THINGS, marks_to_message, outline_from_message
from magma_ros.nodes.mark_overlay import MarkOverlay
from magma_ros.nodes.mark_pointer import MarkPointer
from magma_ros.nodes.mark_settings import proposal_config
from magma_ros.perception.depth import Intrinsics
from magma_ros.perception.error import MeasurementError
from magma_ros.perception.marks import Mark, MarkTracker, TrackConfig
from magma_ros.perception.proposals import Proposal, View, proposal_of, propose
from magma_ros.types import DepthArray, FloatArray, ImageArray

SLOP = 0.1
"""How far apart depth image and picture may be [s]."""

PATIENCE = 2.0
"""Silence that is reported [s]."""

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
        self._period = 1.0 / float(settings["marks.rate"])
        self._config = proposal_config(settings)
        gate = DETECTION_GATE if self._source == "detections" else TrackConfig().gate
        self._tracker = MarkTracker(TrackConfig(gate=gate, patience=settings["marks.patience"]))
        self._marks: list[Mark] = []
        self._marked = -np.inf  # stamp of their picture [s]
        self._pictures: deque[Picture] = deque(maxlen=8)
        self._matrix: FloatArray | None = None
        self._detections: list[PolygonInstanceStamped] = []
        if self._source != "none":
            self._pointer, self._overlay = MarkPointer(node), MarkOverlay(node)
            self._publisher = node.create_publisher(MarkerArray, names.MARKS, qos.STATE)
            self._subscribe(node)

    def _subscribe(self, node: ManagedNode) -> None:
        settings, subscribe = node.settings, node.create_subscription
        compressed = settings["transport"] == "compressed"
        topics = CameraTopics(settings[CAMERA_TOPICS.name])
        kind = CompressedImage if compressed else Image
        topic = topics.image(self.camera, compressed=compressed)
        subscribe(kind, topic, self._on_picture, qos.IMAGES)
        subscribe(CameraInfo, topics.info(self.camera), self._on_info, qos.SENSOR_STATE)
        if self._source == "detections":
            subscribe(PolygonInstanceStamped, names.DETECTIONS, self._on_detection, qos.EVENTS)

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

    def status(self) -> tuple[str, dict[str, object]]:
        """What keeps things from being marked, in a sentence, or '', and what there is to tell."""
        now = self._now()
        values: dict[str, object] = {"marks": len(self._marks), "marks_age_s": now - self._marked}
        if self._source == "none" or now - self._marked <= PATIENCE:
            return "", values
        newest = self._pictures[-1].stamp if self._pictures else -np.inf
        if now - newest > PATIENCE:
            return f"nothing is heard of camera {self.camera!r}, whose pictures are marked", values
        if self._source == "detections":
            return f"no detections come for the pictures of camera {self.camera!r}", values
        if self._matrix is None:
            return f"camera {self.camera!r} publishes no usable camera_info", values
        return f"no depth comes within {SLOP:g} s of the pictures of {self.camera!r}", values

    def _due(self, stamp: float) -> bool:
        """Whether it is time for marks again; they are also due after the clock jumped back."""
        since = stamp - self._marked
        return since < 0.0 or since >= 0.9 * self._period

    def _mark(self, proposals: list[Proposal], picture: Picture, pixels: ImageArray) -> None:
        self._marks = self._tracker.update(proposals, picture.stamp)
        self._marked = stamp = picture.stamp
        message = marks_to_message(self._marks, self.camera, picture.frame_id, stamp)
        self._publisher.publish(message)
        self._pointer.see(self._marks, picture.frame_id, stamp)
        self._overlay.show(picture, pixels, self._marks)

    def _on_picture(self, message: Image | CompressedImage) -> None:
        picture = picture_from_message(message)
        if self._pictures and picture.stamp < self._pictures[-1].stamp:
            self._pictures.clear()  # the clock has jumped back
        self._pictures.append(picture)
        if self._source == "detections":
            self._mark_detections(picture.stamp)

    def _on_info(self, message: CameraInfo) -> None:
        k = message.k
        try:
            camera = Intrinsics(int(message.width), int(message.height), k[0], k[4], k[2], k[5])
        except MeasurementError:
            self._matrix = None
        else:
            self._matrix = camera.matrix

    def _pixels(self, picture: Picture) -> ImageArray | None:
        try:
            pixels: ImageArray = picture.pixels()
        except PictureError as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return None
        return pixels

    # What others found: one message a thing, all of one picture with the same stamp

    def _on_detection(self, message: PolygonInstanceStamped) -> None:
        stamp = message.header.stamp
        if self._detections and self._detections[0].header.stamp != stamp:
            self._detections = []
        self._detections = [*self._detections, message][-MOST_THINGS:]

    def _mark_detections(self, now: float) -> None:
        """Mark what was found in the newest picture for which all is likely to have come."""
        if not self._detections:
            return
        stamp = convert.seconds(self._detections[0].header.stamp)
        picture = min(self._pictures, key=lambda p: abs(p.stamp - stamp))
        if stamp >= now or abs(picture.stamp - stamp) > SLOP or not self._due(picture.stamp):
            return
        found, self._detections = self._detections, []
        outlines = [outline_from_message(m, picture.frame_id) for m in found]
        size = picture.width, picture.height
        proposals = [proposal_of(o, size) for o in outlines if o is not None]
        if (pixels := self._pixels(picture)) is not None:
            self._mark([p for p in proposals if p is not None], picture, pixels)

    def _now(self) -> float:
        return convert.seconds(self._node.get_clock().now().to_msg())
