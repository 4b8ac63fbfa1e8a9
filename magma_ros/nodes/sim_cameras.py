# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of the simulated robot as topics: pictures, depth, calibrations and mounts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from magma_ros.agent.pace import Pace
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.settings import Setting, SettingError, Settings
from magma_ros.types import FloatArray

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from rclpy.node import Node

    from magma_ros.sim.simulation import Simulation

OVERVIEW = "overview"

SIM_CAMERA_SETTINGS = (
    Setting("camera_rate", 10.0, "Rate of the policy's cameras [Hz].", 1.0, 60.0),
    Setting("overview_rate", 8.0, "Rate of the spectator's camera [Hz], 0 for off.", 0.0, 30.0),
    Setting("overview_width", 400, "Width of the spectator's image [pixel].", 64, 1920),
    Setting("overview_height", 300, "Height of the spectator's image [pixel].", 64, 1080),
    Setting("depth_rate", 0.0, "Rate of the depth images [Hz], 0 for off.", 0.0, 30.0),
    Setting("depth_cameras", ["front"], "Which of the policy's cameras give depth as well."),
    Setting("depth_width", 320, "Width of a depth image [pixel].", 16, 1280),
    Setting("depth_height", 240, "Height of a depth image [pixel].", 16, 960),
)
"""Parameters of :class:`SimCameras`."""


class _Eye(NamedTuple):
    """One camera: where its images and its calibration go, its frame and its matrix (3, 3)."""

    images: Any
    infos: Any
    frame: str
    matrix: FloatArray


class SimCameras:
    """Publishes what the cameras of a simulation see.

    Args:
        node: Publishes.
        settings: Values of :data:`SIM_CAMERA_SETTINGS`, and ``base_frame`` and ``ee_frame``.
        simulation: Its cameras' names and pixels are those of every scene to come.

    Raises:
        SettingError: A camera that is to give depth does not exist.
    """

    def __init__(self, node: Node, settings: Settings, simulation: Simulation) -> None:
        self._settings = settings
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._depth_size = int(settings["depth_width"]), int(settings["depth_height"])
        self._eyes = {name: self._eye(node, name, simulation) for name in simulation.cameras}
        self._deep = {name: self._deep_eye(node, name, simulation) for name in self._depth_names()}
        self._overview = node.create_publisher(Image, names.camera_topic(OVERVIEW), qos.IMAGES)
        self._mounts = node.create_publisher(TFMessage, names.TF_STATIC, qos.LATCHED)

    def begin(self, simulation: Simulation, stamp: Time) -> None:
        """Tell where the cameras of a new scene are, and render once.

        The first rendering is slow; it would make the first plan late.
        """
        for camera in self._eyes:
            simulation.image(camera)
        self._mounts.publish(
            TFMessage(transforms=[self._mount(name, simulation, stamp) for name in self._eyes])
        )

    def publish(self, simulation: Simulation, now: float, stamp: Time) -> None:
        """Publish what is due; a rate is kept even if the calls come late and are fewer.

        Args:
            simulation: What the cameras see.
            now: Time of a steady clock [s].
            stamp: For the messages.
        """
        if self._due("camera_rate", now):
            for name, eye in self._eyes.items():
                pixels = simulation.image(name)
                eye.images.publish(convert.image_to_message(pixels, eye.frame, stamp))
                eye.infos.publish(_info(eye, pixels, stamp))
        if self._due("depth_rate", now):
            for name, eye in self._deep.items():
                depth = simulation.depth(name, *self._depth_size)
                eye.images.publish(convert.depth_to_message(depth, eye.frame, stamp))
                eye.infos.publish(_info(eye, depth, stamp))
        if self._due("overview_rate", now):
            size = self._settings["overview_width"], self._settings["overview_height"]
            pixels = simulation.picture(*size)
            frame = _frame(OVERVIEW)
            self._overview.publish(convert.image_to_message(pixels, frame, stamp))

    def _eye(self, node: Node, name: str, simulation: Simulation) -> _Eye:
        return _Eye(
            node.create_publisher(Image, names.camera_topic(name), qos.IMAGES),
            node.create_publisher(CameraInfo, names.camera_info_topic(name), qos.STATE),
            _frame(name),
            simulation.camera_matrix(name),
        )

    def _deep_eye(self, node: Node, name: str, simulation: Simulation) -> _Eye:
        return _Eye(
            node.create_publisher(Image, names.depth_topic(name), qos.IMAGES),
            node.create_publisher(CameraInfo, names.depth_info_topic(name), qos.STATE),
            _frame(name),
            simulation.camera_matrix(name, self._depth_size),
        )

    def _depth_names(self) -> list[str]:
        """The cameras that give depth; none while it is off."""
        if self._settings["depth_rate"] <= 0.0:
            return []
        asked = [str(name) for name in self._settings["depth_cameras"]]
        for name in asked:
            if name not in self._eyes:
                known = ", ".join(self._eyes)
                raise SettingError(
                    f"parameter depth_cameras names {name!r}, but the robot has {known}"
                )
        return asked

    def _mount(self, name: str, simulation: Simulation, stamp: Time) -> Any:
        mount = simulation.mount(name)
        carrier = self._settings["ee_frame" if mount.on_tool else "base_frame"]
        header = Header(stamp=stamp, frame_id=carrier)
        return convert.transform_message(mount.position, mount.quaternion, header, _frame(name))

    def _due(self, rate: str, now: float) -> bool:
        """Whether something at that rate happens now."""
        if self._settings[rate] <= 0.0:
            return False
        pace, period = self._paces[rate], 1.0 / self._settings[rate]
        due = pace.admits(now, period)
        if due:
            pace.take(now, period)
        return due


def _frame(camera: str) -> str:
    return f"{camera}_camera_optical"


def _info(eye: _Eye, image: np.ndarray, stamp: Time) -> CameraInfo:
    height, width = image.shape[:2]
    header = Header(stamp=stamp, frame_id=eye.frame)
    return convert.camera_info_message(eye.matrix, (width, height), header)
