# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of one episode, which environments, nodes and experts step.

Seeds. A scene depends on (suite, task, split, seed) alone, bit for bit. Seeds below
:data:`TRAINING_SEEDS` are for evaluation; data for training use seeds from there upwards, so no
policy is ever judged on a scene it was trained on.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from magma_ros.sim.bullet import PHYSICS_RATE
from magma_ros.sim.camera import Mount, camera_matrix
from magma_ros.sim.intruder import draw_visit
from magma_ros.sim.language import choose_sentence
from magma_ros.sim.layout import Layout, draw_belt_layout, draw_cabinet_layout, draw_layout
from magma_ros.sim.look import draw_look
from magma_ros.sim.posts import draw_posts
from magma_ros.sim.schema import SimulationError, choose
from magma_ros.sim.splits import SplitSpec
from magma_ros.sim.suite import CameraSpec, Suite, load_suite
from magma_ros.sim.tasks import Task
from magma_ros.sim.world import World
from magma_ros.types import DepthArray, FloatArray, ImageArray, Observation, Pose

Vector = npt.NDArray[np.float64]

ENV_STEP = 0.1
"""Duration of one environment step, hence of one step of an action chunk [s]."""

TRAINING_SEEDS = 1_000_000
"""First seed of the training data; evaluation stays below."""

CONTROL_STEPS = 6
"""Physics steps per inverse kinematics: 40 Hz, four waypoints in an environment step."""

PROPRIOCEPTION = ("ee_x", "ee_y", "ee_z", "ee_sin_yaw", "ee_cos_yaw", "gripper_opening")


class Simulation:
    """A scene, an instruction and an arm that follows commands while time goes on.

    Args:
        task: Name of a task of the suite, for example ``pick``.
        suite: Name of a suite, a file of ``sim/suites``.
        split: ``seen``; ``varied`` for other appearances, for training; or ``shift`` for phrasings,
            objects, appearances and cameras that are not trained on.
        seed: Which scene; see the module about seeds.

    Attributes:
        task_name: Name of the task.
        task: Its parameters and criterion.
        instruction: Instruction for the robot, in lower case.
        target_name: Colour of the object or drawer that the instruction names.
        swapped_target_name: Colour of another one in the scene.
        world: Bodies and arm.
        cameras: The policy's cameras by name: ``front`` and ``wrist``.
        joint_names: The arm's joints, then the fingers'.

    Raises:
        SimulationError: The suite, task or split does not exist, or PyBullet is missing.
    """

    def __init__(
        self, task: str, *, suite: str = "tabletop", split: str = "seen", seed: int
    ) -> None:
        data = load_suite(suite)
        self.task_name = task
        self.task = data.task(task)
        variant = data.split(split)
        scenes = (data.scenes_of or suite, self.task.of or task, split, seed)
        rng = episode_generator(*scenes)
        layout = _draw(data, self.task, variant, rng)
        shapes = {colour: at.shape for colour, at in layout.objects.items()}
        self._sentence = choose_sentence(scenes[1], variant.phrasings, shapes, rng)
        self._picture = data.picture
        self.target_name, self.swapped_target_name = layout.targets[:2]
        look = draw_look(data.front_camera, variant, layout, rng)
        # From a source of its own, so that the rest of the scene does not depend on it.
        own = episode_generator(*scenes, "in the way")
        posts = draw_posts(data, self.task, layout, look.front_camera, own)
        visit = draw_visit(data, self.task, layout, own)
        self.world = World(data, look, layout, posts, visit)
        self.instruction = self._sentence.about(self.target_name, self.world.base_name)
        self.cameras: Mapping[str, CameraSpec] = MappingProxyType(
            {"front": look.front_camera, "wrist": self.world.arm.spec.wrist_camera}
        )
        self.joint_names = self.world.arm.joint_names
        self._steps = 0
        self._asked = 0.0
        self._twist = np.zeros(6)
        self._opening = 1.0
        self._joints: Vector | None = None  # where the joints go, in place of a twist
        self._moved_at: float | None = None  # when the first motion was commanded [s]
        self._held_steps = dict.fromkeys(layout.targets, 0)
        self._served: set[str] = set()

    @property
    def time(self) -> float:
        """Simulated seconds since the episode began."""
        return self._steps / PHYSICS_RATE

    @property
    def contacts(self) -> int:
        """How often the robot, or what it holds, began to touch what is in its way."""
        return self.world.monitor.contacts

    @property
    def nearest(self) -> float:
        """How near the robot, or what it held, came to it so far [m]; inf beyond 0.3 m."""
        return self.world.monitor.nearest

    @property
    def object_names(self) -> tuple[str, ...]:
        """Colours of what the task can be done to, the target first."""
        return tuple(self._held_steps)

    def from_left(self, camera: str) -> tuple[str, ...]:
        """The loose objects in the order of their columns in a camera's picture.

        Raises:
            SimulationError: There is no such camera.
        """

        def column(name: str) -> float:
            return float(self.project(camera, self.object_position(name))[0])

        return tuple(sorted(self.world.object_names, key=column))

    def swapped_instruction(self) -> str:
        """The same sentence about ``swapped_target_name``: the instruction of a control."""
        return self._sentence.about(self.swapped_target_name, self.world.base_name)

    def command(self, twist: FloatArray, gripper: float) -> None:
        """Set what the arm follows from now on.

        Args:
            twist: (6,) linear [m/s] then angular [rad/s] velocity in the base frame. The tool
                points down: roll and pitch rates have no effect. Clipped to the arm's limits.
            gripper: 1 = open, 0 = closed; clipped.

        Raises:
            SimulationError: The command is not six finite numbers and a seventh.
        """
        values = np.asarray(twist, np.float64)
        if values.shape != (6,) or not np.all(np.isfinite([*values, gripper])):
            raise SimulationError("a command is six finite velocities and a finite gripper target")
        self._twist, self._joints = values.copy(), None
        self._opening = float(gripper)
        if self._moved_at is None and values.any():
            self._moved_at = self.time

    def command_joints(self, positions: FloatArray, gripper: float) -> None:
        """Set where the arm's joints go from now on, in place of a twist.

        Args:
            positions: (N,) of the arm's joints, the first of ``joint_names`` [rad].
            gripper: 1 = open, 0 = closed; clipped.

        Raises:
            SimulationError: The command is not a finite number a joint and one more.
        """
        values = np.asarray(positions, np.float64)
        count = len(self.world.arm.spec.arm_joints)
        if values.shape != (count,) or not np.all(np.isfinite([*values, gripper])):
            raise SimulationError(
                f"a command of joints is {count} finite positions and a finite gripper target"
            )
        changed = self._joints is not None and not np.array_equal(values, self._joints)
        if self._moved_at is None and changed:
            self._moved_at = self.time
        self._joints = values.copy()
        self._opening = float(gripper)

    def step(self, duration: float) -> None:
        """Let time go on.

        Args:
            duration: Seconds. Whole physics steps are made; what is left over or made too early
                is carried over, so that many short durations add up.
        """
        self._asked += duration
        while self._steps < round(self._asked * PHYSICS_RATE):
            if self._steps % CONTROL_STEPS == 0:
                if self._moved_at is not None:
                    self.world.go_on(self.time - self._moved_at, CONTROL_STEPS / PHYSICS_RATE)
                self._move()
            self.world.advance()
            self._steps += 1
            if self._steps % CONTROL_STEPS == 0:
                self._judge()

    def _move(self) -> None:
        if self._joints is not None:
            self.world.arm.follow_joints(self._joints, self._opening)
        else:
            self.world.arm.follow(self._twist, self._opening, CONTROL_STEPS / PHYSICS_RATE)

    def image(self, camera: str) -> ImageArray:
        """The present image of a camera, (H, W, 3) uint8 RGB.

        Args:
            camera: ``front`` or ``wrist``.

        Raises:
            SimulationError: There is no such camera.
        """
        return self.world.render(choose("camera", camera, self.cameras))

    def depth(self, camera: str, width: int, height: int) -> DepthArray:
        """The present depth image of a camera with so many pixels, (height, width) [m].

        Distances are along the optical axis; inf where nothing is. The view is that of the
        camera's pictures, to either side farther or less far as the proportions have it.

        Raises:
            SimulationError: There is no such camera.
        """
        return self.world.depth(choose("camera", camera, self.cameras).sized(width, height))

    def camera_matrix(self, camera: str, size: tuple[int, int] | None = None) -> FloatArray:
        """The intrinsic matrix of a camera, (3, 3) [px].

        Args:
            camera: Its name.
            size: Width and height of the image [px]; those of its pictures by default.

        Raises:
            SimulationError: There is no such camera.
        """
        spec = choose("camera", camera, self.cameras)
        return camera_matrix(spec if size is None else spec.sized(*size))

    def mount(self, camera: str) -> Mount:
        """Where a camera is fixed.

        Raises:
            SimulationError: There is no such camera.
        """
        return self.world.mount(choose("camera", camera, self.cameras))

    def camera_pose(self, camera: str) -> FloatArray:
        """Where a camera is now: (4, 4) from its optical frame to the base frame.

        Raises:
            SimulationError: There is no such camera.
        """
        mount = self.mount(camera)
        pose = _transform(mount.position, mount.quaternion)
        if not mount.on_tool:
            return pose
        tool = self.ee_pose()
        return np.asarray(_transform(tool.position, tool.quaternion) @ pose)

    def picture(self, width: int = 640, height: int = 480) -> ImageArray:
        """The whole scene from the side, for people, (H, W, 3) uint8 RGB."""
        return self.world.render(self._picture.sized(width, height))

    def project(self, camera: str, point: FloatArray) -> Vector:
        """Where a point of the base frame appears in an image, (2,) column and row [px]."""
        spec = choose("camera", camera, self.cameras)
        return self.world.project(spec, np.asarray(point, np.float64))

    def joint_positions(self) -> Vector:
        """Measured, in the order of ``joint_names`` [rad, m]."""
        return self.world.arm.joint_positions()

    def joint_velocities(self) -> Vector:
        """Measured, in the order of ``joint_names`` [rad/s, m/s]."""
        return self.world.arm.joint_velocities()

    def ee_pose(self) -> Pose:
        """Measured pose of the tool centre."""
        arm = self.world.arm
        return Pose(self.time, arm.tool_position(), arm.tool_quaternion())

    def gripper_opening(self) -> float:
        """Measured, 0 (closed) to 1 (open)."""
        return self.world.arm.gripper_opening()

    def proprioception(self) -> Vector:
        """The measured values named in :data:`PROPRIOCEPTION`, (6,)."""
        arm = self.world.arm
        yaw = arm.tool_yaw()
        return np.array([*arm.tool_position(), np.sin(yaw), np.cos(yaw), arm.gripper_opening()])

    def observation(self) -> Observation:
        """The present observation."""
        return Observation(
            stamp=self.time,
            images={name: self.image(name) for name in self.cameras},
            proprioception=self.proprioception(),
            fields=PROPRIOCEPTION,
            instruction=self.instruction,
        )

    def object_position(self, name: str) -> Vector:
        """Centre of an object or a handle, (3,) [m]: a label for training, never an input."""
        return self.world.position(name)

    def goal_position(self) -> Vector:
        """Goal position of the target (reach: of the tool), (3,) [m]; a label too."""
        return self.task.goal(self.world, self.target_name)

    def succeeded(self) -> bool:
        """Whether the task has been done to the object that the instruction names."""
        return self.served(self.target_name)

    def served(self, name: str) -> bool:
        """Whether the task has been done to the named object, at any time in this episode."""
        return name in self._served

    def close(self) -> None:
        """Release the physics server."""
        self.world.close()

    def _judge(self) -> None:
        """Evaluate the task's criterion for every candidate, and count how long it has held."""
        needed = self.task.hold * PHYSICS_RATE
        for name, held in self._held_steps.items():
            done = self.task.done(self.world, name)
            self._held_steps[name] = held + CONTROL_STEPS if done else 0
            if self._held_steps[name] >= needed:
                self._served.add(name)


def episode_generator(
    suite: str, task: str, split: str, seed: int, part: str = ""
) -> np.random.Generator:
    """The source of randomness of one episode; the same on every machine.

    Args:
        suite: Name of the suite.
        task: Name of the task.
        split: Name of the split.
        seed: Which episode.
        part: What it is for, where a part of the episode has a source of its own.

    Raises:
        SimulationError: The seed is negative.
    """
    if seed < 0:
        raise SimulationError(f"a seed is 0 or more, not {seed}")
    names = [zlib.crc32(name.encode()) for name in (suite, task, split)]
    return np.random.default_rng([*names, seed, *([zlib.crc32(part.encode())] if part else ())])


def _transform(position: FloatArray, quaternion: FloatArray) -> FloatArray:
    """(4, 4) of a position (3,) and a quaternion (4,)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_quat(quaternion).as_matrix(), position
    return pose


def _draw(suite: Suite, task: Task, split: SplitSpec, rng: np.random.Generator) -> Layout:
    """The kind of layout that a task needs."""
    scene, clear_path = suite.scene, task.needs_clear_path
    if task.needs_cabinet and scene.cabinet is not None:
        return draw_cabinet_layout(suite, scene.cabinet, split, rng)
    if task.belt is not None and scene.belt is not None:
        return draw_belt_layout(suite, scene.belt, task.belt, split, rng, clear_path=clear_path)
    return draw_layout(suite, split, rng, clear_path=clear_path)
