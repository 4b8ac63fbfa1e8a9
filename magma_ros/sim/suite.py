# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task suite as data: the schema of ``sim/suites/*.yaml`` and ``sim/robots/*.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from magma_ros.files import check, read_yaml, yaml_mapping
from magma_ros.share import share_file
from magma_ros.sim.hazards import IntruderSpec, PostsSpec
from magma_ros.sim.schema import Colour, Data, SimulationError, Vector2, Vector3, choose
from magma_ros.sim.splits import SplitSpec
from magma_ros.sim.tasks import Task, TaskSpec

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class CameraSpec(Data):
    """A pinhole camera, fixed in the world or carried by a link of the robot.

    Attributes:
        height: Rows [px].
        width: Columns [px].
        field_of_view: Vertical [deg].
        eye: Position in the base frame, or in the frame of ``link`` [m].
        look_at: Point in the middle of the picture, in the same frame [m].
        up: Direction that is up in the picture, in the same frame.
        link: Link that carries the camera, or None.
        near: Near clipping distance [m].
        far: Far clipping distance [m].
    """

    height: PositiveInt = 480
    width: PositiveInt = 640
    field_of_view: PositiveFloat
    eye: Vector3
    look_at: Vector3
    up: Vector3 = (0.0, 0.0, 1.0)
    link: str | None = None
    near: PositiveFloat = 0.1
    far: PositiveFloat = 4.0

    def sized(self, width: int, height: int) -> Self:
        """The same view with another number of pixels."""
        return self.model_copy(update={"width": width, "height": height})


class Rectangle(Data):
    """An axis-aligned rectangle on the table [m]."""

    low: Vector2
    high: Vector2


class Box(Data):
    """An axis-aligned box in the base frame [m]."""

    low: Vector3
    high: Vector3


class ArmLimits(Data):
    """What the arm accepts; commands beyond are clipped.

    Attributes:
        linear: Speed per axis [m/s].
        angular: Yaw rate [rad/s].
        yaw: Largest turn of the tool either way [rad].
        workspace: Box the tool centre is kept in.
        max_lead: Farthest that the commanded position may lead the measured one [m].
    """

    linear: PositiveFloat
    angular: PositiveFloat
    yaw: PositiveFloat
    workspace: Box
    max_lead: PositiveFloat


class ArmSpec(Data):
    """The simulated arm; the comments in its YAML file describe each entry."""

    urdf: str
    arm_joints: tuple[str, ...]
    finger_joints: tuple[str, str]
    tool_link: str
    home: tuple[float, ...]
    position_gain: PositiveFloat
    velocity_gain: PositiveFloat
    finger_travel: PositiveFloat
    finger_speed: PositiveFloat
    finger_force: PositiveFloat
    finger_friction: PositiveFloat
    spinning_friction: PositiveFloat
    limits: ArmLimits
    wrist_camera: CameraSpec


class ShapeSpec(Data):
    """An upright prism over a regular polygon that is stretched to its length and width.

    Attributes:
        corners: Of the polygon.
        width: Along its y axis, across which it is grasped: between two flat sides [m].
        length: Along its x axis [m].
        symmetry: In how many turns about the vertical it looks alike; None when in all.
        yaw: Largest turn that it is laid down with, either way [rad].
    """

    corners: Annotated[int, Field(ge=4, multiple_of=2)]
    width: PositiveFloat
    length: PositiveFloat
    symmetry: PositiveInt | None
    yaw: NonNegativeFloat

    def grasp_yaw(self, yaw: float) -> float:
        """The turn nearest to 0 that looks like ``yaw``, so that the image determines it [rad]."""
        if self.symmetry is None:
            return 0.0
        period = 2.0 * np.pi / self.symmetry
        return float((yaw + period / 2) % period - period / 2)

    def outline(self) -> npt.NDArray[np.float64]:
        """The polygon's corners, counter-clockwise, (corners, 2) [m]."""
        half = np.pi / self.corners
        angles = np.pi / 2 + half + 2.0 * half * np.arange(self.corners)
        corners = np.column_stack([np.cos(angles), np.sin(angles)])
        return np.asarray(corners / np.ptp(corners, axis=0) * [self.length, self.width])


class ZoneSpec(Data):
    """The painted square: its side [m]."""

    size: PositiveFloat


class TraySpec(Data):
    """The tray: outer side, thickness and height of its walls [m]."""

    size: PositiveFloat
    wall: PositiveFloat
    height: PositiveFloat


class Gaps(Data):
    """Least distances between centres in a layout [m]."""

    objects: PositiveFloat
    object_to_zone: PositiveFloat
    object_to_tray: PositiveFloat
    zone_to_tray: PositiveFloat


class PathGaps(Data):
    """Least distances of other things from the way of a pushed object [m]."""

    behind: PositiveFloat
    objects: PositiveFloat
    tray: PositiveFloat


class StartSpec(Data):
    """Where the tool may be before the first command."""

    position: Box
    yaw: float


class CabinetSpec(Data):
    """The cabinet with two drawers, in the scenes of the tasks that need it.

    Attributes:
        urdf: File of ``sim/furniture``.
        handle_width: Of the handles, across the drawer [m].
        friction: Force that keeps a drawer where it is [N].
        front: Where the middle of its front may be.
        yaw: Largest turn either way [rad].
        clutter: Where everything else lies: out of the drawers' way.
    """

    urdf: str
    handle_width: PositiveFloat
    friction: PositiveFloat
    front: Rectangle
    yaw: float
    clutter: Rectangle


class BeltSpec(Data):
    """A conveyor belt across the table, along the y axis, in the scenes of the tasks that need it.

    Attributes:
        x: Of its middle line [m].
        width: [m].
        thickness: Of the belt on the table [m].
        colour: Of the belt.
        lane: Farthest that the objects start from the middle line [m].
        zone: Where the zone's centre may be; y is counted in the direction of motion.
        tray: Where the tray's centre may be; y likewise.
    """

    x: float
    width: PositiveFloat
    thickness: PositiveFloat
    colour: Colour
    lane: PositiveFloat
    zone: Rectangle
    tray: Rectangle


class SceneSpec(Data):
    """What lies on the table, and how far apart; the YAML's comments describe each entry."""

    area: Rectangle
    objects: tuple[PositiveInt, PositiveInt]
    touching: Share
    object_height: PositiveFloat
    object_mass: PositiveFloat
    object_friction: PositiveFloat
    table_friction: PositiveFloat
    zone: ZoneSpec
    tray: TraySpec
    gaps: Gaps
    path: PathGaps
    start: StartSpec
    cabinet: CabinetSpec | None = None
    belt: BeltSpec | None = None


class Suite(Data):
    """A family of tasks that share a robot and a scene.

    Attributes:
        robot: Name of a file of ``sim/robots``.
        scene: What lies on the table.
        front_camera: The policy's fixed camera.
        picture: Camera of the pictures for people.
        colours: By name.
        shapes: By name.
        held_out: Colours and shapes whose combination split ``seen`` never shows.
        splits: By name.
        tasks: By name.
        execute: Steps of a plan (0.1 s each) that are executed before the next observation,
            unless an option says otherwise.
        scenes_of: Suite whose scenes it shares, where it is a :class:`Variation`; else None.
    """

    robot: str
    execute: PositiveInt
    scenes_of: str | None = None
    scene: SceneSpec
    front_camera: CameraSpec
    picture: CameraSpec
    colours: dict[str, Colour]
    shapes: dict[str, ShapeSpec]
    held_out: tuple[tuple[str, str], ...]
    splits: dict[str, SplitSpec]
    tasks: dict[str, TaskSpec]

    @model_validator(mode="after")
    def _has_what_its_tasks_need(self) -> Self:
        for name, task in self.tasks.items():
            if task.needs_cabinet and self.scene.cabinet is None:
                raise ValueError(f"task {name} needs scene.cabinet")
            if task.belt is not None and self.scene.belt is None:
                raise ValueError(f"task {name} needs scene.belt")
        return self

    def task(self, name: str) -> Task:
        """The task of that name.

        Raises:
            SimulationError: There is none.
        """
        return choose("task", name, self.tasks)

    def split(self, name: str) -> SplitSpec:
        """The split of that name.

        Raises:
            SimulationError: There is none.
        """
        return choose("split", name, self.splits)


class VariedTask(Data):
    """A task of another suite, which something may be in the way of.

    Attributes:
        of: Which task.
        step_limit: Environment steps before the episode is cut off, or None for the task's own.
        posts: As in :class:`~magma_ros.sim.tasks.Task`.
        intruder: Likewise.
    """

    of: str
    step_limit: PositiveInt | None = None
    posts: PostsSpec | None = None
    intruder: IntruderSpec | None = None


class Mount(Data):
    """Another place of the front camera.

    Attributes:
        eye: Position in the base frame [m].
        look_at: Point in the middle of the picture [m].
    """

    eye: Vector3
    look_at: Vector3


class Variation(Data):
    """A suite whose scenes are those of another one: something in the arm's way, or another cell.

    What is added is drawn from a source of its own, so the same seed gives the same scene in both.

    Attributes:
        scenes_of: The other suite.
        front_camera: Where its camera is mounted, or None for the same place.
        table: Colour of its table in every split, or None for the same.
        tasks: By name.
    """

    scenes_of: str
    front_camera: Mount | None = None
    table: Colour | None = None
    tasks: dict[str, VariedTask]

    def whole(self) -> dict[str, Any]:
        """The other suite with these tasks, as data.

        Raises:
            SimulationError: There is no such suite or task.
        """
        base = load_suite(self.scenes_of)
        whole = base.model_dump() | {"scenes_of": self.scenes_of}
        whole["tasks"] = {
            name: base.task(varied.of).model_dump() | varied.model_dump(exclude_none=True)
            for name, varied in self.tasks.items()
        }
        if self.front_camera is not None:
            whole["front_camera"] |= self.front_camera.model_dump()
        if self.table is not None:
            whole["splits"] = {
                name: split | {"table": self.table} for name, split in whole["splits"].items()
            }
        return whole


def suite_names() -> tuple[str, ...]:
    """The suites that exist, sorted."""
    return tuple(sorted(p.stem for p in share_file("sim", "suites").glob("*.yaml")))


@cache
def load_suite(name: str) -> Suite:
    """Read ``sim/suites/<name>.yaml``.

    Raises:
        SimulationError: There is no such suite, or its file does not follow the schema.
    """
    files = {n: share_file("sim", "suites", f"{n}.yaml") for n in suite_names()}
    path = choose("suite", name, files)
    if "scenes_of" in yaml_mapping(path, error=SimulationError):
        variation = read_yaml(path, Variation, error=SimulationError)
        return check(variation.whole(), Suite, path, SimulationError)
    return read_yaml(path, Suite, error=SimulationError)


@cache
def load_arm(name: str) -> tuple[ArmSpec, Path]:
    """Read ``sim/robots/<name>.yaml``: the arm and the path of its URDF.

    Raises:
        SimulationError: The file does not follow the schema.
    """
    path = share_file("sim", "robots", f"{name}.yaml")
    spec = read_yaml(path, ArmSpec, error=SimulationError)
    return spec, share_file("sim", "robots", spec.urdf)
