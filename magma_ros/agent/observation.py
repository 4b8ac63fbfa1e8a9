# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes observations of one moment: images taken together, and the robot's state at that time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from magma_ros.agent.history import NotKnownError
from magma_ros.agent.measured import POSE, Measured, frame_input, gripper_input, joint_input
from magma_ros.agent.picture import Picture, Pictures
from magma_ros.agent.pointing import MarkedPoint, Pointing
from magma_ros.agent.repetition import Repetition
from magma_ros.agent.stamps import StampCheck
from magma_ros.spaces import GRIPPER_NAME, ActionSpace
from magma_ros.types import FloatArray, MagmaError, Observation, Pose

INSTRUCTION, POINT = "instruction", "instruction_point"
SYNCHRONY = "synchronisation"
"""Inputs, and what else may keep an observation from being made; besides, there are those of
:func:`camera_input` and of :meth:`~magma_ros.agent.measured.Measured.newest`."""

PLACE_SLOP = 0.01
"""How far from a picture a pose may be that tells where the arm was then [s]."""

KEPT_PICTURES = 16
"""Pictures kept of each camera, to find those of one moment."""


def camera_input(camera: str) -> str:
    """The name of a camera among the inputs, one of which may be called like the camera."""
    return f"camera_{camera}"


class NotReadyError(MagmaError):
    """An observation cannot be made yet; the text names what is missing or too old."""


class ObservationBuffer:
    """The newest images and the robot's state of the last moments, each by its stamp.

    All times are on the clock of the messages [s]. Ages come from stamps, never from arrival.

    Attributes:
        instruction: The task in plain language; set by :meth:`tell`.
        measured: The robot's state.
    """

    def __init__(
        self,
        cameras: Mapping[str, tuple[int, int]],
        fields: Sequence[str],
        *,
        max_age: float,
        sync_slop: float,
        point_camera: str | None = None,
        space: ActionSpace | None = None,
        instructed: bool = True,
    ) -> None:
        """Start empty.

        Args:
            cameras: Least height and width [px] wanted of each camera's images.
            fields: Names of the proprioception, in the order wanted.
            max_age: Age beyond which nothing is used [s].
            sync_slop: How far apart the stamps of one observation's images may be [s], and how
                far from them the state where it cannot be interpolated.
            point_camera: Camera in whose image the place of a mark is wanted, or None if no
                instruction may name a mark.
            space: The policy's action space, some of which start from where the robot is.
            instructed: Whether the policy must be told what to do.

        Raises:
            UnknownFieldError: Nothing measures one of ``fields``.
        """
        self.instruction = ""
        self.measured = Measured(fields, space, max_age=max_age, slop=sync_slop)
        self._instructed = instructed
        self._sizes = dict(cameras)
        self._max_age = max_age
        self._slop = sync_slop
        self._stamps = {name: StampCheck(f"camera {name!r}", max_age) for name in cameras}
        self._pictures: dict[str, deque[Picture]] = {
            name: deque(maxlen=KEPT_PICTURES) for name in cameras
        }
        self._newest_set: dict[str, Picture] = {}
        self._repetitions: dict[str, Repetition] = {name: Repetition() for name in cameras}
        self._refused: dict[str, str] = {}
        self._point_camera = point_camera
        self._pointing = Pointing(point_camera)

    def tell(self, instruction: str, now: float) -> None:
        """Take in what to do, said at ``now`` [s]."""
        self.instruction = instruction
        self._pointing.tell(instruction, now)

    def add_point(self, point: MarkedPoint) -> None:
        """Take in where something that bears a mark was seen."""
        self._pointing.see(point)

    def add_picture(self, camera: str, picture: Picture, now: float) -> None:
        """Take in what ``camera`` sent.

        Raises:
            StampError: It is not of now, or older than one before.
        """
        if not self._stamps[camera].accept(picture.stamp, now):
            return
        kept = self._pictures[camera]
        while kept and kept[-1].stamp > picture.stamp:
            kept.pop()  # the clock has jumped back
        kept.append(picture)
        self._repetitions[camera].note(picture.digest, picture.stamp, self._place)
        self._refused.pop(camera_input(camera), None)
        self._synchronise()

    def add_pose(self, pose: Pose) -> None:
        """Take in the pose of the end effector in the base frame, its stamp checked already."""
        self.measured.add_pose(pose)
        self._refused.pop(POSE, None)

    def add_frame(self, frame: str, pose: Pose) -> None:
        """Take in where one of the frames that are needed is, its stamp checked already."""
        self.measured.add_frame(frame, pose)
        self._refused.pop(frame_input(frame), None)

    def add_gripper(
        self, stamp: float, opening: float, now: float, gripper: str = GRIPPER_NAME
    ) -> None:
        """Take in the opening, 0..1, of one of the grippers that are needed.

        Raises:
            StampError: It is not of now, or older than one before.
        """
        if self.measured.add_gripper(stamp, opening, now, gripper):
            self._refused.pop(gripper_input(gripper), None)

    def add_joint(self, joint: str, stamp: float, values: FloatArray, now: float) -> None:
        """Take in position, velocity and effort of one of the joints that are needed.

        Raises:
            StampError: It is not of now, or older than one before.
        """
        if self.measured.add_joint(joint, stamp, values, now):
            self._refused.pop(joint_input(joint), None)

    def explain(self, name: str, why: str) -> None:
        """Note why the newest message of an input cannot be used, in case no other comes."""
        self._refused[name] = why

    def why(self, name: str) -> str:
        """Why the newest message of an input could not be used, or ''."""
        return self._refused.get(name, "")

    def clear(self) -> None:
        """Forget all but the instruction, after the clock has jumped."""
        for kept in self._pictures.values():
            kept.clear()
        self._newest_set = {}
        self._repetitions = {name: Repetition() for name in self._sizes}
        self.measured.clear()
        self._pointing.clear()
        self._refused.clear()

    @property
    def point(self) -> tuple[float, float] | None:
        """Where the mark that the instruction names was seen, or None; see :class:`Observation`."""
        return self._pointing.place

    @property
    def newest_stamp(self) -> float:
        """Time of the newest images that belong together [s]; ``-inf`` before the first.

        Of a policy without cameras it is that up to which all of the state is known.
        """
        if self._sizes:
            return min((p.stamp for p in self._newest_set.values()), default=-math.inf)
        newest = self.measured.newest().values()
        return min((stamp for _, stamp in newest), default=-math.inf)

    def observe(self, now: float) -> Observation:
        """The newest observation at ``now`` [s].

        Raises:
            NotReadyError: Something is missing, stale, or not of one moment.
        """
        for why in self.problems(now).values():
            raise NotReadyError(why)
        stamp = self.newest_stamp
        return Observation(
            stamp=stamp,
            images=self._pictures_of(coloured=True),
            proprioception=self.measured.at(stamp),
            fields=self.measured.fields,
            instruction=self.instruction,
            point=self.point,
            depths=self._pictures_of(coloured=False),
            anchor=self.measured.anchor(stamp),
        )

    def problems(self, now: float) -> dict[str, str]:
        """All that keeps an observation from being made at ``now`` [s]: what, and a sentence."""
        found = self.missing(now)
        if found:
            return found
        if why := self._pointing.problem(self._point_frame):
            found[POINT] = why
        if not now - self.newest_stamp <= self._max_age:
            found[SYNCHRONY] = self._apart()
            return found
        try:
            self.measured.at(self.newest_stamp)
            self.measured.anchor(self.newest_stamp)
        except NotKnownError as error:
            found[SYNCHRONY] = str(error)
        return found

    def missing(self, now: float) -> dict[str, str]:
        """What a policy must be given and is not at ``now`` [s], with a sentence each."""
        found: dict[str, str] = {}
        if self._instructed and not self.instruction:
            found[INSTRUCTION] = "waiting for an instruction on the topic 'instruction'"
        for camera in self._sizes:
            newest = self._pictures[camera][-1].stamp if self._pictures[camera] else -math.inf
            self._judge(found, camera_input(camera), f"camera {camera!r}", newest, now)
            if frozen := self._repetitions[camera].why(camera, self._place):
                found.setdefault(camera_input(camera), frozen)
        for name, (what, newest) in self.measured.newest().items():
            self._judge(found, name, what, newest, now)
        return found

    def ages(self, now: float) -> dict[str, float]:
        """Age of the newest usable message of each input at ``now`` [s]; ``inf`` for none."""
        newest = {
            camera_input(camera): kept[-1].stamp if kept else -math.inf
            for camera, kept in self._pictures.items()
        }
        newest |= {name: stamp for name, (_, stamp) in self.measured.newest().items()}
        return {name: now - stamp for name, stamp in newest.items()}

    def _pictures_of(self, *, coloured: bool) -> Pictures:
        """The newest pictures that belong together, or the depth images among them."""
        chosen = {n: p for n, p in self._newest_set.items() if p.coloured is coloured}
        return Pictures(chosen, self._sizes)

    @property
    def _point_frame(self) -> str:
        """Frame of the camera in whose image the place of a mark is wanted."""
        source = None if self._point_camera is None else self._newest_set.get(self._point_camera)
        return "" if source is None else source.frame_id

    def _judge(
        self, found: dict[str, str], name: str, what: str, newest: float, now: float
    ) -> None:
        age = now - newest
        if age <= self._max_age:
            return
        if (why := self._refused.get(name)) is not None:
            found[name] = why
        elif math.isinf(age):
            found[name] = f"nothing has been heard of {what} yet; is it published?"
        else:
            found[name] = (
                f"{what} has been silent for {age:.2f} s; at most {self._max_age:g} s is usable"
            )

    def _place(self, stamp: float) -> FloatArray | None:
        """Where the end effector was at ``stamp`` [s], or None if no pose is near it."""
        try:
            return self.measured.position(stamp, PLACE_SLOP)
        except NotKnownError:
            return None

    def _synchronise(self) -> None:
        """Look for a newer set of images, and drop those that can be in no newer one."""
        stamps = sorted((p.stamp for kept in self._pictures.values() for p in kept), reverse=True)
        for start in stamps:
            chosen = {name: self._first_since(name, start) for name in self._pictures}
            together = {
                name: picture
                for name, picture in chosen.items()
                if picture is not None and picture.stamp <= start + self._slop
            }
            if len(together) == len(chosen):
                self._newest_set = together
                for kept in self._pictures.values():
                    while kept and kept[0].stamp < start:
                        kept.popleft()
                return

    def _first_since(self, camera: str, stamp: float) -> Picture | None:
        return next((p for p in self._pictures[camera] if p.stamp >= stamp), None)

    def _apart(self) -> str:
        spreads = [math.inf]
        for start in [p.stamp for kept in self._pictures.values() for p in kept]:
            firsts = [self._first_since(name, start) for name in self._pictures]
            stamps = [p.stamp for p in firsts if p is not None]
            if len(stamps) == len(firsts):
                spreads.append(max(stamps) - start)
        return (
            f"the images of the cameras {', '.join(self._sizes)} are taken {min(spreads):.2f} s "
            f"apart at best, and sync_slop is {self._slop:g} s; trigger them together or raise it"
        )
