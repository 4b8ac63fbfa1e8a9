# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task suite as data: the schema of ``sim/suites/*.yaml`` and ``sim/robots/*.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import PositiveFloat, PositiveInt, model_validator

from magma_ros.share import share_file
from magma_ros.sim.schema import Colour, Data, Vector2, Vector3, choose, read_yaml
from magma_ros.sim.tasks import Task, TaskSpec


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
        leash: Farthest that the commanded position may lead the measured one [m].
    """

    linear: PositiveFloat
    angular: PositiveFloat
    yaw: PositiveFloat
    workspace: Box
    leash: PositiveFloat


class ArmSpec(Data):
    """The simulated arm; the comments in its YAML file say what each entry is."""

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

    cubes: PositiveFloat
    cube_to_zone: PositiveFloat
    cube_to_tray: PositiveFloat
    zone_to_tray: PositiveFloat


class PathGaps(Data):
    """Least distances of other things from the way of a pushed cube [m]."""

    behind: PositiveFloat
    cubes: PositiveFloat
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
        lane: Farthest that the cubes start from the middle line [m].
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
    """What lies on the table, and how far apart."""

    area: Rectangle
    cubes: tuple[PositiveInt, PositiveInt]
    cube_size: PositiveFloat
    cube_mass: PositiveFloat
    cube_friction: PositiveFloat
    cube_yaw: float
    table_friction: PositiveFloat
    zone: ZoneSpec
    tray: TraySpec
    gaps: Gaps
    path: PathGaps
    start: StartSpec
    cabinet: CabinetSpec | None = None
    belt: BeltSpec | None = None


class LightSpec(Data):
    """One directional light: where it comes from, its colour and its shares."""

    direction: Vector3
    colour: Colour
    ambient: float
    diffuse: float


class SplitSpec(Data):
    """How the scenes of one split look and which words go with them."""

    phrasings: str
    targets: tuple[str, ...]
    distractors: tuple[str, ...]
    table: Colour
    light: LightSpec
    camera_shift: float


class Suite(Data):
    """A family of tasks that share a robot and a scene.

    Attributes:
        execute: Steps of a plan (0.1 s each) that are executed before the policy looks again,
            unless it is told otherwise.
    """

    robot: str
    execute: PositiveInt
    scene: SceneSpec
    front_camera: CameraSpec
    picture: CameraSpec
    colours: dict[str, Colour]
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
    return read_yaml(choose("suite", name, files), Suite)


@cache
def load_arm(name: str) -> tuple[ArmSpec, Path]:
    """Read ``sim/robots/<name>.yaml``: the arm and the path of its URDF.

    Raises:
        SimulationError: The file does not follow the schema.
    """
    path = share_file("sim", "robots", f"{name}.yaml")
    spec = read_yaml(path, ArmSpec)
    return spec, share_file("sim", "robots", spec.urdf)
