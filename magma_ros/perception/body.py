# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the robot's own body is, from its description and its joint positions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from magma_ros.perception import shapes
from magma_ros.perception.error import BodyError
from magma_ros.perception.shapes import PlacedShapes, Shape
from magma_ros.perception.urdf import MOVING, Description
from magma_ros.types import FloatArray

TURNING = ("revolute", "continuous")
"""Kinds of joints that turn what hangs on them."""


class Body:
    """The solids of a robot.

    Args:
        description: The robot.
        base: Frame that positions are wanted in; one of the robot's links.
        tool: Link about whose origin a held object is.
        guarded: Links whose clearance counts; empty for all that move against ``base``.

    Attributes:
        joints: Names of the joints whose positions must be known.
        tool: Link about whose origin a held object is.
        guarded: Links whose clearance counts.

    Raises:
        BodyError: A link is not in the description, or none is guarded.
    """

    def __init__(
        self, description: Description, base: str, tool: str, guarded: Collection[str] = ()
    ) -> None:
        self._description, self._base = description, base
        self.tool = tool
        for link in (base, tool, *guarded):
            if link not in description.links:
                there = ", ".join(sorted(description.links))
                raise BodyError(f"the robot description has no link {link!r}; it has {there}")
        moving = [joint for joint in description.joints if joint.moving]
        self.joints = tuple(dict.fromkeys(joint.name for joint in moving))
        self.guarded = tuple(guarded) or tuple(
            link for link, solids in description.links.items() if solids and self._moves(link, base)
        )
        if not any(description.links[link] for link in self.guarded):
            raise BodyError("none of the guarded links has a shape; check the robot description")

    def poses(self, positions: Mapping[str, float]) -> dict[str, FloatArray]:
        """(4, 4) from each link's frame to the base frame.

        Args:
            positions: Of at least :attr:`joints` [rad or m].

        Raises:
            BodyError: A joint's position is missing or not finite.
        """
        if missing := [name for name in self.joints if name not in positions]:
            raise BodyError(f"the joint states lack {', '.join(missing)}; is a driver missing?")
        if wrong := [name for name in self.joints if not math.isfinite(positions[name])]:
            raise BodyError(f"the joint states give no finite position of {', '.join(wrong)}")
        placed: dict[str, FloatArray] = {self._description.root: np.eye(4)}
        for joint in self._description.joints:
            position = positions[joint.name] if joint.moving else 0.0
            placed[joint.child] = placed[joint.parent] @ joint.pose(position)
        into_base = np.linalg.inv(placed[self._base])
        return {link: into_base @ pose for link, pose in placed.items()}

    def solids(
        self, poses: Mapping[str, FloatArray], held: float = 0.0, *, guarded: bool = False
    ) -> PlacedShapes:
        """The body at one moment.

        Args:
            poses: What :meth:`poses` returned.
            held: Radius of the object in the hand [m], which is part of the body; 0 for none.
            guarded: Whether only the guarded links are wanted.
        """
        links: Iterable[str] = self.guarded if guarded else self._description.links
        parts = [(link, shape) for link in links for shape in self._description.links[link]]
        if held > 0.0:
            parts.append((self.tool, shapes.sphere(np.eye(4), held)))
        return _placed(parts, poses)

    def held(self, poses: Mapping[str, FloatArray], radius: float) -> PlacedShapes:
        """What is in the hand alone: a sphere of ``radius`` [m] about the tool, 0 for nothing."""
        sphere = (self.tool, shapes.sphere(np.eye(4), radius))
        return _placed([sphere] if radius > 0.0 else [], poses)

    def turning(self, *, holding: bool) -> npt.NDArray[np.bool_]:
        """Whether each solid of the guarded links turns as the tool turns.

        Args:
            holding: Whether a held object is one of them, as in :meth:`solids`.
        """
        links = [link for link in self.guarded for _ in self._description.links[link]]
        with_tool = self._first(self.tool, TURNING)
        turns = [self._first(link, TURNING) == with_tool for link in links]
        return np.array([*turns, True] if holding else turns)

    def _moves(self, link: str, base: str) -> bool:
        """Whether a joint lies between two links."""
        return self._first(link, MOVING) != self._first(base, MOVING)

    def _first(self, link: str, kinds: Collection[str]) -> str:
        """The first link, towards the root, that no joint of some kinds parts from ``link``."""
        hangs = {joint.child: joint for joint in self._description.joints}
        while link in hangs and hangs[link].kind not in kinds:
            link = hangs[link].parent
        return link


def _placed(parts: Sequence[tuple[str, Shape]], poses: Mapping[str, FloatArray]) -> PlacedShapes:
    """Solids of links where the links are."""
    return PlacedShapes(
        [shape for _, shape in parts], [poses[link] @ shape.pose for link, shape in parts]
    )
