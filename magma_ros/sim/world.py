# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The physical scene: table, objects, furniture and arm in one physics server, and its cameras."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from magma_ros.sim.arm import Arm
from magma_ros.sim.belt import Belt
from magma_ros.sim.bullet import Bullet
from magma_ros.sim.cabinet import Cabinet
from magma_ros.sim.camera import Mount, depth_from_buffer, optical_frame
from magma_ros.sim.contacts import ContactMonitor
from magma_ros.sim.intruder import Intruder, Visit
from magma_ros.sim.layout import Layout
from magma_ros.sim.look import TABLE_SIZE, Look
from magma_ros.sim.posts import Post
from magma_ros.sim.prism import Prism
from magma_ros.sim.schema import Colour, SimulationError
from magma_ros.sim.suite import CameraSpec, ShapeSpec, Suite, load_arm
from magma_ros.types import DepthArray, ImageArray

Vector = npt.NDArray[np.float64]

WHITE = (0.97, 0.97, 0.97)
BLACK = (0.07, 0.07, 0.08)
TABLE_THICKNESS = 0.04
TABLE_CENTRE = (0.42, 0.0, -TABLE_THICKNESS / 2)
PAINT = 0.001
SETTLE_STEPS = 24


class World:
    """One scene, built from its layout.

    Attributes:
        arm: The robot.
        monitor: Watches whether it, or what it holds, touches what stands or comes in its way.
        object_height: Of all loose objects [m].
        zone_size: Side of the white zone [m].
        tray_size: Outer side of the tray [m].
        zone_position: Centre of the zone, (3,) [m].
        tray_position: Centre of the tray's bottom, (3,) [m].
        target_names: What the task can be done to.
        base_name: Object that others are stacked on: the last of the layout.
    """

    def __init__(
        self,
        suite: Suite,
        look: Look,
        layout: Layout,
        posts: Sequence[Post] = (),
        visit: Visit | None = None,
    ) -> None:
        scene = suite.scene
        self._bullet = Bullet()
        self._light = look.light
        self._scene = scene
        self.object_height = scene.object_height
        self.zone_size = scene.zone.size
        self.tray_size = scene.tray.size
        self.zone_position = np.array([*layout.zone, 0.0])
        self.tray_position = np.array([*layout.tray, 0.0])
        self.target_names = layout.targets
        self.base_name = list(layout.objects)[-1]
        self._add_furniture(look)
        self._cabinet = self._add_cabinet(suite, layout)
        self._belt = self._add_belt(layout)
        ground = 0.0 if self._belt is None else self._belt.height
        self._shapes = {name: suite.shapes[at.shape] for name, at in layout.objects.items()}
        self._objects = {
            name: self._add_object(self._shapes[name], at.pose, ground, suite.colours[name])
            for name, at in layout.objects.items()
        }
        self.arm = Arm(self._bullet, *load_arm(suite.robot))
        bodies = [self._add_box(p.size, p.centre, p.colour) for p in posts]
        self._intruder = None if visit is None else Intruder(self._bullet, visit, self.arm.body)
        if self._intruder is not None:
            bodies += self._intruder.bodies
        self.monitor = ContactMonitor(self._bullet, self.arm.body, bodies, self._held_bodies)
        self.arm.place(layout.tool_position, layout.tool_yaw)
        for _ in range(SETTLE_STEPS):
            self.arm.follow(np.zeros(6), 1.0, 0.0)
            self.advance()
        if self._intruder is not None:
            self._intruder.begin()

    def advance(self) -> None:
        """One physics step."""
        if self._belt is not None:
            self._belt.drive()
        self._bullet.stepSimulation()
        self.monitor.sample()

    def go_on(self, now: float, duration: float) -> None:
        """Let whoever comes in go on, and measure how near the robot is to what is in its way.

        Args:
            now: Simulated time since the robot began to move [s].
            duration: Until the next call [s].
        """
        if self._intruder is not None:
            self._intruder.advance(now, duration)
        self.monitor.measure()

    @property
    def object_names(self) -> tuple[str, ...]:
        """Colours of all loose objects."""
        return tuple(self._objects)

    def tool_position(self) -> Vector:
        """Measured tool centre, (3,) [m]."""
        return self.arm.tool_position()

    def position(self, name: str) -> Vector:
        """Centre of an object or of a drawer's handle, (3,) [m]."""
        if self._cabinet is not None and name in self._cabinet:
            return self._cabinet.position(name)
        return np.array(self._bullet.getBasePositionAndOrientation(self._objects[name])[0])

    def grasp_yaw(self, name: str) -> float:
        """Turn of the tool about the vertical that grasps an object or a drawer's handle [rad]."""
        if self._cabinet is not None and name in self._cabinet:
            return self._cabinet.yaw
        quaternion = self._bullet.getBasePositionAndOrientation(self._objects[name])[1]
        turn = np.reshape(self._bullet.getMatrixFromQuaternion(quaternion), (3, 3))
        x_lies = np.hypot(turn[0, 0], turn[1, 0]) > 0.7  # else it was knocked over: y tells the yaw
        sine, cosine = (turn[1, 0], turn[0, 0]) if x_lies else (-turn[0, 1], turn[1, 1])
        return self._shapes[name].grasp_yaw(float(np.arctan2(sine, cosine)))

    def grasp_width(self, name: str) -> float:
        """Width of an object or of a drawer's handle, between the pads [m]."""
        if self._cabinet is not None and name in self._cabinet:
            return self._cabinet.handle_width
        return self._shapes[name].width

    def opening(self, name: str) -> float:
        """How far a drawer is out [m]."""
        return self._drawers().opening(name)

    def pull_direction(self) -> Vector:
        """In which the drawers open, (3,) unit vector."""
        return self._drawers().direction

    def ground_velocity(self, point: Vector) -> Vector:
        """Velocity of the ground at a point, (3,) [m/s]."""
        return np.zeros(3) if self._belt is None else self._belt.velocity_at(point)

    def speed(self, name: str) -> float:
        """How fast an object moves [m/s]."""
        return float(np.linalg.norm(self._bullet.getBaseVelocity(self._objects[name])[0]))

    def touched(self, name: str) -> bool:
        """Whether any part of the robot touches an object or a drawer."""
        return len(self._contacts(name)) > 0

    def held(self, name: str) -> bool:
        """Whether the fingers press on an object or a drawer from opposite sides."""
        touching = self._contacts(name)
        left, right = (
            [np.array(contact[7]) for contact in touching if contact[3] == finger]
            for finger in self.arm.fingers
        )
        return any(float(one @ other) < 0.0 for one in left for other in right)

    def render(self, camera: CameraSpec) -> ImageArray:
        """The present image of a camera, (H, W, 3) uint8 RGB."""
        image = np.asarray(self._render(camera)[2], np.uint8)
        image = image.reshape(camera.height, camera.width, 4)
        return np.ascontiguousarray(image[:, :, :3])

    def depth(self, camera: CameraSpec) -> DepthArray:
        """The present distances along a camera's optical axis, (H, W) [m]."""
        return depth_from_buffer(self._render(camera)[3], camera)

    def project(self, camera: CameraSpec, point: Vector) -> Vector:
        """Where a point of the base frame appears, (2,) column and row [px], possibly outside."""
        view, projection = (np.reshape(m, (4, 4), order="F") for m in self._matrices(camera))
        x, y, _, w = projection @ view @ np.append(point, 1.0)
        size = np.array([camera.width, camera.height])
        pixel: Vector = (np.array([x / w, -y / w]) + 1.0) / 2.0 * size
        return pixel

    def mount(self, camera: CameraSpec) -> Mount:
        """Where a camera is fixed; a link that carries one is taken to be rigid to the tool."""
        position, rotation = optical_frame(camera)
        if camera.link is None:
            quaternion = Rotation.from_matrix(rotation).as_quat()
            return Mount(on_tool=False, position=position, quaternion=quaternion)
        origin, link = self.arm.link_frame(camera.link)
        tool = Rotation.from_quat(self.arm.tool_quaternion()).as_matrix()
        return Mount(
            on_tool=True,
            position=tool.T @ (origin + link @ position - self.arm.tool_position()),
            quaternion=Rotation.from_matrix(tool.T @ link @ rotation).as_quat(),
        )

    def close(self) -> None:
        """Release the physics server."""
        self._bullet.close()

    def _render(self, camera: CameraSpec) -> Sequence[Any]:
        """What Bullet renders: width, height, colours, depth buffer, nothing."""
        view, projection = self._matrices(camera)
        light = self._light
        rendered: Sequence[Any] = self._bullet.getCameraImage(
            camera.width,
            camera.height,
            view,
            projection,
            lightDirection=light.direction,
            lightColor=light.colour,
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            lightSpecularCoeff=0.0,
            shadow=0,
            flags=self._bullet.ER_NO_SEGMENTATION_MASK,
            renderer=self._bullet.ER_TINY_RENDERER,
        )
        return rendered

    def _matrices(self, camera: CameraSpec) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """OpenGL view and projection matrices, column by column."""
        eye, look_at, up = (np.array(v) for v in (camera.eye, camera.look_at, camera.up))
        if camera.link is not None:
            origin, rotation = self.arm.link_frame(camera.link)
            eye, look_at, up = origin + rotation @ eye, origin + rotation @ look_at, rotation @ up
        view = self._bullet.computeViewMatrix(eye, look_at, up)
        projection = self._bullet.computeProjectionMatrixFOV(
            camera.field_of_view, camera.width / camera.height, camera.near, camera.far
        )
        return view, projection

    def _add_furniture(self, look: Look) -> None:
        """Table, zone and tray."""
        friction = self._scene.table_friction
        size = (*TABLE_SIZE, TABLE_THICKNESS)
        top = None if look.pattern is None else self._table_top()
        table = self._add_box(size, TABLE_CENTRE, look.table, visual=top)
        self._bullet.changeDynamics(table, -1, lateralFriction=friction)
        if look.pattern is not None:
            self._print(table, look.pattern)
        side = self.zone_size
        self._add_box((side, side, PAINT), self.zone_position, WHITE, solid=False)
        for size, offset in self._tray_parts():
            part = self._add_box(size, self.tray_position + offset, BLACK)
            self._bullet.changeDynamics(part, -1, lateralFriction=friction)

    def _table_top(self) -> int:
        """Visual shape of the table's surface, for a texture to be spread over it once."""
        corners = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        height = np.full(4, TABLE_THICKNESS / 2)
        return int(
            self._bullet.createVisualShape(
                self._bullet.GEOM_MESH,
                vertices=np.column_stack([(corners - 0.5) * TABLE_SIZE, height]).tolist(),
                normals=[[0.0, 0.0, 1.0]] * 4,
                uvs=corners.tolist(),
                indices=[0, 1, 2, 0, 2, 3],
            )
        )

    def _print(self, body: int, pattern: ImageArray) -> None:
        """Spread a pattern over a body; Bullet reads textures from files alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "pattern.png")
            cv2.imwrite(path, pattern[..., ::-1])
            texture = self._bullet.loadTexture(path)
        self._bullet.changeVisualShape(body, -1, textureUniqueId=texture)

    def _tray_parts(self) -> list[tuple[tuple[float, float, float], Vector]]:
        """Sizes and centres of the tray's bottom and four walls, relative to its middle."""
        tray = self._scene.tray
        reach = (tray.size - tray.wall) / 2
        inner = tray.size - 2 * tray.wall
        middle = tray.height / 2
        return [
            ((inner, inner, 2 * PAINT), np.array([0.0, 0.0, 0.0])),
            ((tray.wall, tray.size, tray.height), np.array([reach, 0.0, middle])),
            ((tray.wall, tray.size, tray.height), np.array([-reach, 0.0, middle])),
            ((inner, tray.wall, tray.height), np.array([0.0, reach, middle])),
            ((inner, tray.wall, tray.height), np.array([0.0, -reach, middle])),
        ]

    def _contacts(self, name: str) -> Sequence[tuple[Any, ...]]:
        """Bullet's contact points between the robot (body A) and an object or a drawer (B)."""
        if self._cabinet is not None and name in self._cabinet:
            return self._cabinet.contacts(name, self.arm.body)
        contacts: Sequence[tuple[Any, ...]] = self._bullet.getContactPoints(
            bodyA=self.arm.body, bodyB=self._objects[name]
        )
        return contacts

    def _held_bodies(self) -> list[int]:
        """Bullet's numbers of the loose objects that the fingers hold."""
        return [body for name, body in self._objects.items() if self.held(name)]

    def _drawers(self) -> Cabinet:
        if self._cabinet is None:
            raise SimulationError("this scene has no drawers; they come with task open-drawer")
        return self._cabinet

    def _add_cabinet(self, suite: Suite, layout: Layout) -> Cabinet | None:
        place, spec = layout.cabinet, self._scene.cabinet
        if place is None or spec is None:
            return None
        handles = {name: suite.colours[name] for name in place.handles}
        return Cabinet(self._bullet, spec, place.pose, handles)

    def _add_belt(self, layout: Layout) -> Belt | None:
        motion, spec = layout.belt, self._scene.belt
        if motion is None or spec is None:
            return None
        return Belt(self._bullet, spec, motion, self._scene.table_friction)

    def _add_object(self, shape: ShapeSpec, pose: Vector, ground: float, colour: Colour) -> int:
        """A loose object on ground of a height; ``pose`` is x [m], y [m], yaw [rad]."""
        scene = self._scene
        x, y, yaw = pose
        prism = Prism(shape.outline(), scene.object_height)
        body: int = self._bullet.createMultiBody(
            scene.object_mass,
            prism.collision(self._bullet),
            prism.visual(self._bullet, colour),
            [x, y, ground + scene.object_height / 2],
            self._bullet.getQuaternionFromEuler([0.0, 0.0, yaw]),
        )
        self._bullet.changeDynamics(
            body, -1, lateralFriction=scene.object_friction, spinningFriction=0.001
        )
        return body

    def _add_box(
        self,
        size: tuple[float, float, float] | Vector,
        centre: tuple[float, float, float] | Vector,
        colour: Colour,
        *,
        solid: bool = True,
        visual: int | None = None,
    ) -> int:
        """A box that stays where it is, seen as one unless another visual shape is given."""
        half = [length / 2 for length in size]
        box = self._bullet.GEOM_BOX
        if visual is None:
            visual = self._bullet.createVisualShape(box, halfExtents=half, rgbaColor=[*colour, 1.0])
        collision = self._bullet.createCollisionShape(box, halfExtents=half) if solid else -1
        body: int = self._bullet.createMultiBody(0.0, collision, visual, list(centre))
        return body
