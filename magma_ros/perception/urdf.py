# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the links and joints of a robot description (URDF), as far as its body needs them.

The parsers on PyPI bring a viewer or a mesh library with them; what is read here are seven
elements of the format (http://wiki.ros.org/urdf/XML).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.perception import shapes
from magma_ros.perception.error import BodyError
from magma_ros.perception.shapes import Shape
from magma_ros.types import FloatArray

UNITS = {"revolute": "rad", "continuous": "rad", "prismatic": "m"}
"""Units of the positions of each kind of joint that joint states tell of."""

MOVING = tuple(UNITS)
"""Kinds of joints that joint states tell of."""

MeshReader = Callable[[str, Sequence[float]], FloatArray]
"""Gives the vertices (N, 3) [m] of the mesh with a file name or URI, scaled."""


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """How a link hangs on another.

    Attributes:
        name: Of the joint whose position counts: that of another one for a mimic.
        kind: fixed, revolute, continuous or prismatic.
        parent: Link that it hangs on.
        child: Link that hangs on it.
        origin: (4, 4) from the joint's frame at zero to the parent's.
        axis: Unit vector (3,) in the joint's frame.
        multiplier: Of the position, for a mimic.
        offset: Added to the position [rad or m], for a mimic.
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: FloatArray
    axis: FloatArray
    multiplier: float = 1.0
    offset: float = 0.0

    @property
    def moving(self) -> bool:
        """Whether it moves."""
        return self.kind in MOVING

    def pose(self, position: float) -> FloatArray:
        """(4, 4) from the child's frame to the parent's at ``position`` [rad or m]."""
        moved = np.eye(4)
        travel = self.multiplier * position + self.offset
        if self.kind == "prismatic":
            moved[:3, 3] = travel * self.axis
        else:
            moved[:3, :3] = Rotation.from_rotvec(travel * self.axis).as_matrix()
        placed: FloatArray = self.origin @ moved
        return placed


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A robot as its URDF tells it.

    Attributes:
        name: Of the robot.
        links: The solids of each link, in its frame.
        joints: In the order in which links hang on each other, from the root.
        root: The link on which all others hang.
    """

    name: str
    links: Mapping[str, tuple[Shape, ...]]
    joints: tuple[Joint, ...]
    root: str


def read_description(text: str, mesh: MeshReader | None = None) -> Description:
    """The robot that a URDF describes.

    Solids are those of the collision elements, and what is drawn of primitives besides, since a
    camera sees what is drawn. Drawn meshes count where a link has nothing else.

    Args:
        text: The URDF.
        mesh: Reads the vertices of a mesh; None refuses meshes.

    Raises:
        BodyError: It is not well-formed, not a tree, or holds what cannot be used.
    """
    robot = _robot(text)
    links = {_name(link): _solids(link, mesh) for link in robot.findall("link")}
    if not links:
        raise BodyError("the robot description has no links")
    joints = [_joint(joint) for joint in robot.findall("joint")]
    root, ordered = _tree(links, joints)
    return Description(robot.get("name", "robot"), links, ordered, root)


def joint_units(text: str) -> dict[str, str]:
    """Units of the positions of a robot's joints, by name: ``rad`` or ``m``; others are left out.

    Args:
        text: The URDF.

    Raises:
        BodyError: It is not well-formed.
    """
    kinds = {_name(joint): joint.get("type", "") for joint in _robot(text).findall("joint")}
    return {name: UNITS[kind] for name, kind in kinds.items() if kind in UNITS}


def mesh_vertices(path: Path, scale: Sequence[float]) -> FloatArray:
    """The vertices (N, 3) [m] of a mesh file, by Open3D.

    Raises:
        BodyError: Open3D is missing, or the file cannot be read.
    """
    try:
        from open3d import io
    except ImportError as error:
        raise BodyError(
            "the robot's body is made of meshes, which need Open3D: pip install "
            "'magma_ros[perception]'"
        ) from error
    if not path.is_file():
        raise BodyError(f"the robot's mesh {path} is not there; install the robot's description")
    vertices = np.asarray(io.read_triangle_mesh(path).vertices, np.float64)
    if len(vertices) < 4:
        raise BodyError(f"the robot's mesh {path} cannot be read; STL and OBJ can")
    return vertices * np.asarray(scale, np.float64)


def _robot(text: str) -> ET.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BodyError("the robot description declares XML entities, which no URDF needs")
    try:
        robot = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError as error:
        raise BodyError(f"the robot description is no well-formed XML: {error}") from error
    if robot.tag != "robot":
        raise BodyError(f"the robot description must begin with <robot>, not <{robot.tag[:40]}>")
    return robot


def _solids(link: ET.Element, mesh: MeshReader | None) -> tuple[Shape, ...]:
    name = _name(link)
    drawn = link.findall("visual")
    parts = link.findall("collision")
    parts += [part for part in drawn if part.find("geometry/mesh") is None]
    return tuple(_solid(part, name, mesh) for part in parts or drawn)


def _solid(part: ET.Element, link: str, mesh: MeshReader | None) -> Shape:
    pose = _origin(part, link)
    kind = part.find("geometry/*")
    if kind is None:
        raise BodyError(f"link {link!r} of the robot description has a part without geometry")
    if kind.tag == "box":
        return shapes.box(pose, _numbers(kind, "size", 3, link, positive=True))
    if kind.tag == "sphere":
        return shapes.sphere(pose, *_numbers(kind, "radius", 1, link, positive=True))
    if kind.tag in ("cylinder", "capsule"):
        radius, length = (
            _numbers(kind, key, 1, link, positive=True)[0] for key in ("radius", "length")
        )
        make = shapes.cylinder if kind.tag == "cylinder" else shapes.capsule
        return make(pose, radius, length)
    if kind.tag != "mesh":
        raise BodyError(f"link {link!r} of the robot description has a shape {kind.tag[:40]!r}")
    if mesh is None:
        raise BodyError(f"link {link!r} is a mesh, but nothing reads meshes here")
    scale = _numbers(kind, "scale", 3, link) if kind.get("scale") else (1.0, 1.0, 1.0)
    around = shapes.bounding_capsule(mesh(kind.get("filename", ""), scale))
    return Shape(pose @ around.pose, around.half, around.radius)


def _joint(joint: ET.Element) -> Joint:
    name, kind = _name(joint), joint.get("type", "")
    if kind not in (*MOVING, "fixed"):
        raise BodyError(
            f"joint {name!r} of the robot description is {kind[:40]!r}; only fixed, "
            f"{', '.join(MOVING)} can be followed by joint states"
        )
    ends = [joint.find(end) for end in ("parent", "child")]
    parent, child = ("" if end is None else end.get("link", "") for end in ends)
    found = joint.find("axis")
    axis = np.array([1.0, 0.0, 0.0] if found is None else _numbers(found, "xyz", 3, name))
    length = float(np.linalg.norm(axis))
    if kind != "fixed" and length < 1e-6:
        raise BodyError(f"joint {name!r} of the robot description has an axis without length")
    mimic = joint.find("mimic")
    multiplier, offset = 1.0, 0.0
    if mimic is not None:
        name = mimic.get("joint", "")
        multiplier = _number(mimic, "multiplier", multiplier, name)
        offset = _number(mimic, "offset", offset, name)
    unit = axis / length if length > 0.0 else axis
    return Joint(name, kind, parent, child, _origin(joint, name), unit, multiplier, offset)


def _tree(links: Mapping[str, object], joints: Sequence[Joint]) -> tuple[str, tuple[Joint, ...]]:
    """The root, and the joints in the order in which links hang on it."""
    for joint in joints:
        for end in (joint.parent, joint.child):
            if end not in links:
                raise BodyError(
                    f"joint {joint.name!r} of the robot description names the link {end[:60]!r}, "
                    "which is not there"
                )
    children = [joint.child for joint in joints]
    roots = [link for link in links if link not in children]
    if len(roots) != 1 or len(set(children)) != len(children):
        raise BodyError("the links of the robot description do not form one tree")
    ordered: list[Joint] = []
    reached = [roots[0]]
    for link in reached:
        hanging = [joint for joint in joints if joint.parent == link]
        ordered += hanging
        reached += [joint.child for joint in hanging]
    if len(reached) != len(links):
        raise BodyError("the links of the robot description do not form one tree")
    return roots[0], tuple(ordered)


def _origin(part: ET.Element, owner: str) -> FloatArray:
    pose = np.eye(4)
    origin = part.find("origin")
    if origin is not None:
        if origin.get("xyz"):
            pose[:3, 3] = _numbers(origin, "xyz", 3, owner)
        if origin.get("rpy"):
            turn = Rotation.from_euler("xyz", _numbers(origin, "rpy", 3, owner))
            pose[:3, :3] = turn.as_matrix()
    return pose


def _numbers(
    element: ET.Element, key: str, count: int, owner: str, *, positive: bool = False
) -> list[float]:
    text = element.get(key, "")
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    legal = all(math.isfinite(n) and (n > 0.0 or not positive) for n in numbers)
    if len(numbers) != count or not legal:
        kind = "positive " if positive else ""
        raise BodyError(
            f"{key} of {owner!r} in the robot description must be {count} {kind}number"
            f"{'s' if count > 1 else ''}, not {text[:60]!r}"
        )
    return numbers


def _number(element: ET.Element, key: str, default: float, owner: str) -> float:
    return default if element.get(key) is None else _numbers(element, key, 1, owner)[0]


def _name(element: ET.Element) -> str:
    name = element.get("name", "")
    if not name:
        raise BodyError(f"a <{element.tag}> of the robot description has no name")
    return name
