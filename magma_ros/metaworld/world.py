# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One scene of Meta-World as an evaluation plays it.

The methods are those of the protocols in ``magma_ros.evaluation.world``, which nothing in here
imports. A scene is drawn from (task, seed) by a generator of the environment's own: Meta-World by
itself takes numpy's global one, of which the same seed gives the same layout in every task.
"""

from __future__ import annotations

import copy
import math
import sys
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np

from magma_ros.metaworld.drawing import CAMERA, CAMERA_PLACE, PROTOCOL, Canvas, Drawing, project
from magma_ros.metaworld.library import MetaWorldError, load
from magma_ros.metaworld.tasks import TASKS, Task
from magma_ros.spaces import ACTION_DIMS, GRIPPER
from magma_ros.types import TRACE_GRID, FloatArray, ImageArray, Observation

STEP: Final = 1.0 / 80.0
"""Period of the environment's steps [s]: five of its physics."""

REACH: Final = 0.01
"""How far an action of 1 moves the place that the hand is drawn to, along each axis [m]."""

HORIZON: Final = 400
"""Steps after which an episode of the protocol is over."""

SPLITS: Final = ("seen",)

FIELDS: Final = ("ee_x", "ee_y", "ee_z", "gripper_opening")
"""The four numbers of state: the hand's place [m], and how far the gripper is open."""

OBJECT: Final = slice(4, 7)
"""Where the observation of an expert has the first object's place; its goal comes last."""


NEAR: Final = 0.06
"""Distance of hand and object within which the hand has reached it [m]."""


class Failure(Enum):
    """Why an episode is no success; Meta-World itself tells no more than that it is none."""

    NOT_REACHED = "The hand never came within 6 cm of the object."
    NOT_DONE = "The hand reached the object, but the task was not done in time."

    @property
    def sentence(self) -> str:
        """The reason as a sentence."""
        return self.value


class MetaWorld:
    """Plays scenes of Meta-World, one at a time.

    Args:
        drawing: How the camera's pictures are drawn.
    """

    def __init__(self, drawing: Drawing = PROTOCOL) -> None:
        self._drawing = drawing
        self._environment: Any = None
        self._name = ""

    def reset(self, task: str, split: str, seed: int) -> None:
        """Begin the episode of that task, split and seed.

        Raises:
            MetaWorldError: There is no such task or split, or something is not installed.
        """
        if task not in TASKS:
            raise MetaWorldError(f"Meta-World has no task {task!r}; it has {', '.join(TASKS)}")
        if split not in SPLITS:
            raise MetaWorldError(f"Meta-World has no split {split!r}; it has {', '.join(SPLITS)}")
        self._name = task
        self._environment = environment = _environment(task)
        environment.seed(scene_seed(task, seed))
        self._state, _ = environment.reset()
        # Otherwise the first picture shows the goal where it was before the reset.
        load("mujoco").mj_forward(environment.model, environment.data)
        self._expert = load("metaworld.policies").ENV_POLICY_MAP[f"{task}-v3"]()
        self._action = np.array([0.0, 0.0, 0.0, -1.0])
        self._steps, self._asked = 0, 0.0
        self._done = False
        self._closest = math.inf, 0.0
        self._note()

    @property
    def time(self) -> float:
        """Simulated time since the reset [s]."""
        return self._steps * STEP

    def observe(self) -> Observation:
        """What a policy is given: one picture, four numbers, the task in words."""
        return Observation(
            stamp=self.time,
            images={CAMERA: self._draw(self._drawing)},
            proprioception=self._state[: len(FIELDS)].copy(),
            fields=FIELDS,
            instruction=self._task.words,
        )

    def command(self, twist: FloatArray, gripper: float) -> None:
        """Set what the hand follows: (3,) or more, velocity [m/s]; it never turns.

        The gripper's opening is a grip force, as in Meta-World: 1 opens and 0 closes with all of
        it, and 0.5 does neither.
        """
        self._action = np.array([*(np.asarray(twist)[:3] * STEP / REACH), 1.0 - 2.0 * gripper])

    def step(self, seconds: float) -> None:
        """Let simulated time pass [s], in steps of :data:`STEP`."""
        self._asked += seconds
        while self._steps < round(self._asked / STEP):
            self.act(self._action)

    def act(self, action: FloatArray) -> None:
        """Take one step of the environment.

        Args:
            action: (4,) as Meta-World has it: x, y, z in units of :data:`REACH` and the grip, 1
                for closed and -1 for open; limited to -1 to 1.
        """
        limited = np.clip(action, -1.0, 1.0).astype(np.float32)
        self._state, _, _, _, info = self._running.step(limited)
        self._steps += 1
        self._asked = max(self._asked, (self._steps - 0.5) * STEP)
        self._done |= bool(info["success"])
        self._note()

    def done(self) -> bool:
        """Whether the task has been done at any step since the reset."""
        return self._done

    @property
    def closest(self) -> tuple[float, float]:
        """Least distance of hand and object so far [m], and when that was [s]."""
        return self._closest

    def failure(self) -> Failure | None:
        """Why the episode would be no success if it ended now; None when it is one."""
        if self._done:
            return None
        return Failure.NOT_DONE if self._closest[0] < NEAR else Failure.NOT_REACHED

    def tool_position(self) -> FloatArray:
        """Place of the hand, (3,) [m]."""
        return np.array(self._state[:3])

    def swapped_instruction(self) -> str:
        """The words of another task, of the same objects where there is one."""
        return self._task.swapped_words

    def swapped_done(self) -> None:
        """Nothing: whether another task has been done is not defined in this one's scene."""
        return

    def places(self) -> dict[str, FloatArray]:
        """Where the hand, the object and the goal are, (3,) [m] each."""
        return {
            "hand": self.tool_position(),
            "object": np.array(self._state[OBJECT]),
            "goal": np.array(self._state[-3:]),
        }

    def pixels(self) -> dict[str, FloatArray]:
        """Where the camera sees them, (2,) each: column and row, 0 to 1 across the picture."""
        model, data = self._running.model, self._running.data
        return {
            name: self._drawing.in_view(project(model, data, place))
            for name, place in self.places().items()
        }

    def trace_marks(self, *, swapped: bool) -> Mapping[str, FloatArray]:
        """Where hand and object appear in the image, (2, 2) on the trace grid."""
        del swapped  # the other task's objects are not in the scene
        pixels = self.pixels()
        return {CAMERA: np.stack([pixels["hand"], pixels["object"]]) * TRACE_GRID}

    def picture(self, width: int, height: int) -> ImageArray:
        """The camera's whole view, (height, width, 3) uint8 RGB."""
        return self._draw(replace(PROTOCOL, width=width, height=height))

    def expert(self) -> FloatArray:
        """What the shipped expert does now, (4,) as :meth:`act` takes it, within the limits."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each step that the limits cut is warned of
            asked = np.asarray(self._expert.get_action(self._state), float)
        return np.asarray(np.clip(asked, -1.0, 1.0))

    def expert_action(self) -> FloatArray:
        """The same as a displacement per :data:`STEP` [m] and an opening, (7,)."""
        action = np.zeros(len(ACTION_DIMS))
        *action[:3], grip = self.expert()
        action[:3] *= REACH
        action[GRIPPER] = 0.5 - 0.5 * grip
        return action

    def close(self) -> None:
        """Forget the scene; a second call does nothing."""
        self._environment = None

    @property
    def _task(self) -> Task:
        return TASKS[self._name]

    @property
    def _running(self) -> Any:
        if self._environment is None:
            raise MetaWorldError("reset the world before it is used")
        return self._environment

    def _note(self) -> None:
        """Keep how near the hand came."""
        distance = float(np.linalg.norm(self._state[:3] - self._state[OBJECT]))
        self._closest = min(self._closest, (distance, self.time))

    def _draw(self, drawing: Drawing) -> ImageArray:
        environment = self._running
        return _canvas(self._name, drawing).draw(environment.model, environment.data)


def scene_seed(task: str, seed: int) -> int:
    """The seed of a scene: other layouts in every task."""
    mixed = np.random.SeedSequence([zlib.crc32(task.encode()), seed])
    return int(mixed.generate_state(1)[0])


def _environment(task: str) -> Any:
    """A fresh environment: what one played before would otherwise shift the next reset a little."""
    environment: Any = _prepared(task)()
    environment._set_task_called = True  # noqa: SLF001  # scenes are drawn, none is set
    environment._freeze_rand_vec = False  # noqa: SLF001
    environment._partially_observable = False  # noqa: SLF001  # the expert is told the goal
    del environment.sawyer_observation_space
    environment.seeded_rand_vec = True
    environment.max_path_length = sys.maxsize  # the horizon is the evaluation's
    return environment


@cache
def _prepared(task: str) -> Any:
    """The class of a task's environments, with a model that is copied instead of compiled.

    Compiling it takes longer than all the rest of a reset. One class serves all episodes: a class
    is part of reference cycles, so one of each episode would keep its model, tens of megabytes,
    until the garbage collector came by.
    """

    def simulation(_: Any) -> tuple[Any, Any]:
        model = copy.copy(_model(task))
        return model, load("mujoco").MjData(model)

    kind = _kind(task)
    return type(kind.__name__, (kind,), {"_initialize_simulation": simulation})


def _kind(task: str) -> Any:
    """The class of a task's environments."""
    return load("metaworld.env_dict").ALL_V3_ENVIRONMENTS[f"{task}-v3"]


@lru_cache(maxsize=2)
def _model(task: str) -> Any:
    """The task's model with the camera in its place; to be copied."""
    path = _kind(task).model_name.fget(None)
    model = load("mujoco").MjModel.from_xml_path(path)
    model.camera(CAMERA).pos = CAMERA_PLACE
    return model


@lru_cache(maxsize=4)
def _canvas(task: str, drawing: Drawing) -> Canvas:
    return Canvas(copy.copy(_model(task)), drawing)
