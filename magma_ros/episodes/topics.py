# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The topics that give an episode its meaning, and the namespace that they were recorded in."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from magma_ros.episodes.bag import EpisodeError, remapping

INSTRUCTION = "instruction"
INSTRUCTION_POINT = "instruction/point"
EE_POSE = "ee_pose"
JOINT_STATES = "joint_states"
ROBOT_TWIST = "servo_node/delta_twist_cmds"
ROBOT_TRAJECTORY = "joint_trajectory_controller/joint_trajectory"
ROBOT_POSITIONS = "forward_position_controller/commands"
ROBOT_VELOCITIES = "forward_velocity_controller/commands"
ROBOT_GRIPPER = "gripper/command"
GUARD_MODE = "guard/mode"
GUARD_INSTRUCTION = "guard/instruction"
POLICY_STATUS = "policy/status"
POLICY_HELP = "policy/help"
TASK_STATUS = "task/status"
EPISODE_LABEL = "episode/label"
TF, TF_STATIC = "tf", "tf_static"

COMMANDS: Mapping[str, str] = {
    "twist": ROBOT_TWIST,
    "joint_trajectory": ROBOT_TRAJECTORY,
    "forward_position": ROBOT_POSITIONS,
    "forward_velocity": ROBOT_VELOCITIES,
}
"""Where the guard's commands go, by ``command_interface`` of the robot's file."""

PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
"""Types of a camera's pictures."""

_OWN = (GUARD_MODE, POLICY_STATUS, ROBOT_TWIST, EE_POSE, JOINT_STATES, TASK_STATUS)
"""Topics by which a robot is found, the surest first."""

_CAMERA = re.compile(r"(?:camera/)?(?P<name>.+?)(?:/image_raw)?(?:/compressed)?$")


def gripper(name: str) -> str:
    """Where the guard commands a gripper beside the first one."""
    return f"{name}/command"


def find_namespace(topics: Collection[str], wanted: str | None = None) -> str:
    """What stands before the relative names, such as ``/`` or ``/left/``.

    Args:
        topics: Full names of the recorded topics.
        wanted: The namespace, or None for the only one.

    Raises:
        EpisodeError: There are several robots, or none of that name.
    """
    found: list[str] = []
    for name in _OWN:
        prefixes = (t.removesuffix(name) for t in topics if t.endswith(f"/{name}"))
        found = found or sorted(prefixes)
    if wanted is not None:
        namespace = "/".join(["", *filter(None, wanted.split("/")), ""])
        if found and namespace not in found:
            raise EpisodeError(
                f"no robot in the namespace {namespace} was recorded; there {_are(found)}"
            )
        return namespace
    if len(found) > 1:
        raise EpisodeError(f"several robots were recorded: there {_are(found)}; name a namespace")
    return found[0] if found else "/"


def place(
    topics: Collection[str], namespace: str, name: str, facts: Mapping[str, str] | None = None
) -> str:
    """The full name of a robot's topic.

    It is in the robot's namespace, or else, if recorded there, outside.

    Args:
        topics: Full names of the recorded topics.
        namespace: As :func:`find_namespace` gives it.
        name: Its relative name.
        facts: What the recorder noted, among it the topics that were remapped.
    """
    if facts and (remapped := facts.get(remapping(name))) in topics:
        return str(remapped)
    inside, outside = f"{namespace}{name}", f"/{name}"
    return outside if inside not in topics and outside in topics else inside


def find_cameras(topics: Mapping[str, str], namespace: str) -> dict[str, str]:
    """The topic of each camera's pictures, by the camera's name.

    ``camera/<name>/image_raw`` is the camera ``<name>``; of a driver elsewhere the topic makes the
    name, with ``_`` for ``/``. Depth images and drawn-over ones are no cameras. Of a camera that
    was recorded both raw and compressed, the raw pictures are taken.

    Args:
        topics: Type of each recorded topic.
        namespace: As :func:`find_namespace` gives it.
    """
    cameras: dict[str, str] = {}
    for topic in sorted(topics, key=lambda t: (t.endswith("/compressed"), t)):
        if topics[topic] not in PICTURES or "/depth/" in topic or "overlay/" in topic:
            continue
        match = _CAMERA.match(topic.removeprefix(namespace).lstrip("/"))
        if match is not None:
            cameras.setdefault(match["name"].replace("/", "_"), topic)
    return dict(sorted(cameras.items()))


def _are(names: list[str]) -> str:
    shown = ", ".join(name.rstrip("/") or "/" for name in names)
    return f"are {shown}" if len(names) > 1 else f"is {shown}"
