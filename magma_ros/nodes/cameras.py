# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the cameras are: a robot has any number of them, under any names."""

from __future__ import annotations

from collections.abc import Mapping

from magma_ros.nodes import names
from magma_ros.nodes.settings import Setting, SettingError

CAMERA_TOPICS = Setting(
    "camera_topics",
    "",
    "Where cameras publish, as name=topic,name=topic; image_raw, image_raw/compressed, "
    "depth/image_raw and camera_info lie below the topic. A camera that is not named here "
    "publishes below camera/<name>.",
)
"""Parameter of every node that subscribes to cameras."""

DEPTH_TOPICS = Setting(
    "depth_topics",
    "front=camera/front/depth/image_raw",
    "Depth images, as name=topic,name=topic: raw 32FC1 or 16UC1, rectified; camera_info lies "
    "beside each.",
)
"""Parameter of a node that subscribes to depth images."""

CLOUD_TOPICS = Setting(
    "cloud_topics", "", "Clouds of points (PointCloud2) of depth sensors, as name=topic,name=topic."
)
"""Parameter of a node that subscribes to clouds."""


def named_topics(setting: Setting, text: str) -> dict[str, str]:
    """The topics that a parameter of the form name=topic,name=topic gives, by name.

    Raises:
        SettingError: ``text`` has another form, or names one twice.
    """
    return dict(_pairs(text, setting.name))


def info_beside(topic: str) -> str:
    """The topic of the calibration that belongs to an image's topic, by image_transport's rule."""
    folder, slash, _ = topic.rpartition("/")
    return folder + slash + "camera_info"


class CameraTopics:
    """The topics of each camera.

    Args:
        text: Value of :data:`CAMERA_TOPICS`.

    Attributes:
        bases: The topic below which a camera publishes, by the camera's name.

    Raises:
        SettingError: ``text`` has another form, or names a camera twice.
    """

    def __init__(self, text: str) -> None:
        self.bases: Mapping[str, str] = named_topics(CAMERA_TOPICS, text)

    def image(self, camera: str, *, compressed: bool = False) -> str:
        """The topic of a camera's pictures, raw or compressed."""
        default = names.camera_topic(camera, compressed=compressed)
        return self._below(camera, default)

    def depth(self, camera: str) -> str:
        """The topic of a camera's depth images."""
        return self._below(camera, names.depth_topic(camera))

    def info(self, camera: str) -> str:
        """The topic of a camera's calibration."""
        return self._below(camera, names.camera_info_topic(camera))

    def _below(self, camera: str, default: str) -> str:
        if camera not in self.bases:
            return default
        return self.bases[camera] + default.removeprefix(f"camera/{camera}")


def _pairs(text: str, parameter: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, sign, topic = (part.strip() for part in word.partition("="))
        if not (name and sign and topic):
            raise SettingError(
                f"parameter {parameter} holds {word!r}; write each camera as name=topic, "
                "such as front=camera/camera/color"
            )
        if name in dict(pairs):
            raise SettingError(f"parameter {parameter} names the camera {name!r} twice")
        pairs.append((name, topic.rstrip("/")))
    return pairs
