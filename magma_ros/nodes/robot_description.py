# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's body, from a file or from the topic robot_description."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from std_msgs.msg import String

from magma_ros.nodes import names
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.settings import Settings
from magma_ros.nodes.subscriptions import subscribe_latched
from magma_ros.perception.body import Body
from magma_ros.perception.error import BodyError
from magma_ros.perception.urdf import mesh_vertices, read_description
from magma_ros.share import share_directory
from magma_ros.types import FloatArray


class RobotDescription:
    """Hands over the robot's body: at once from a file, or each time the topic tells another.

    Args:
        node: Node to subscribe with; it has ``SHAPE_SETTINGS``, ``base_frame`` and ``ee_frame``.
        on_body: Called with each body.

    Attributes:
        problem: Why there is no body yet, in a sentence, or empty.

    Raises:
        BodyError: The file cannot be used.
    """

    def __init__(self, node: ManagedNode, on_body: Callable[[Body], None]) -> None:
        self._settings, self._on_body = node.settings, on_body
        self._text = ""
        self.problem = ""
        path = str(node.settings["body.urdf"])
        if path:
            file = description_file(path)
            on_body(_body(file.read_text(encoding="utf-8"), file.parent, node.settings))
            return
        self.problem = (
            f"no robot description yet: give a file with body.urdf, or publish {names.DESCRIPTION}"
        )
        subscribe_latched(node, String, names.DESCRIPTION, self._on_description)

    def _on_description(self, message: String) -> None:
        if message.data == self._text:
            return
        try:
            body = _body(message.data, Path.cwd(), self._settings)
        except BodyError as error:
            self.problem = f"{names.DESCRIPTION}: {error}"
            raise
        self._text, self.problem = message.data, ""
        self._on_body(body)


def _body(text: str, folder: Path, settings: Settings) -> Body:
    def mesh(uri: str, scale: Sequence[float]) -> FloatArray:
        return mesh_vertices(_resolved(uri, folder), scale)

    links = [str(link) for link in settings["body.guarded_links"] if link]
    return Body(
        read_description(text, mesh),
        base=settings["body.base_link"] or settings["base_frame"],
        tool=settings["body.tool_link"] or settings["ee_frame"],
        guarded=links,
    )


def description_file(path: str) -> Path:
    """The file of a robot description, as it stands or below the package's shared folder.

    Raises:
        BodyError: There is none.
    """
    for file in (Path(path).expanduser(), share_directory() / path):
        if file.is_file():
            return file
    raise BodyError(
        f"the robot description {path!r} is no file, neither as it stands nor below "
        f"{share_directory()}; check body.urdf"
    )


def _resolved(uri: str, folder: Path) -> Path:
    """The file that a mesh's file name or URI names."""
    if uri.startswith("package://"):
        package, _, path = uri.removeprefix("package://").partition("/")
        return _share(package) / path
    return folder / uri.removeprefix("file://")


def _share(package: str) -> Path:
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        if (share := Path(prefix, "share", package)).is_dir():
            return share
    raise BodyError(
        f"the robot's meshes are in the ROS package {package!r}, which is not installed here; "
        "install it, or give a description with primitives or with paths of files by body.urdf"
    )
