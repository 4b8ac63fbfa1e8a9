# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads an episode into rows of one clock: what a policy saw, and what the arm was made to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from magma_ros.episodes import resample, topics
from magma_ros.episodes.bag import EpisodeError
from magma_ros.episodes.episode import POLICY, Episode, driver
from magma_ros.episodes.grippers import GripperEnds, GripperTrack
from magma_ros.episodes.joints import JointTracks
from magma_ros.episodes.messages import Bag, Message
from magma_ros.episodes.pictures import pixels
from magma_ros.episodes.tracks import Camera, Tracks, collect
from magma_ros.spaces import ACTION_DIMS
from magma_ros.types import FloatArray, ImageArray

STEP_PERIOD = 0.1
"""Period of the clock [s]: a step of the shipped policies."""

COMMAND_HOLD = 0.1
"""Longest time for which the arm carries out a twist when no other comes [s]."""

FIELDS = ("ee_x", "ee_y", "ee_z", "ee_sin_yaw", "ee_cos_yaw", "gripper_opening")
"""Proprioception, as policies name it: position [m], yaw, opening (1 = open, 0 = closed)."""

OLD_PICTURE = 0.5
"""Age of a picture beyond which its camera is said to have stood still [s]."""


def read_episode(
    path: Path,
    *,
    period: float = STEP_PERIOD,
    namespace: str | None = None,
    gripper: GripperEnds | None = None,
    command_hold: float = COMMAND_HOLD,
) -> Episode:
    """Read a recording of the recorder, or of ``ros2 bag record -s mcap`` with the same topics.

    Args:
        path: The MCAP file, or the folder of one episode.
        period: Of the rows [s].
        namespace: The robot's namespace; None for the only one that was recorded.
        gripper: The gripper's joint and its ends; None for what the recorder noted, else for the
            range seen.
        command_hold: Longest time for which the arm carries out a twist when no other comes [s].

    Raises:
        EpisodeError: The file is missing, empty or cut off, holds nothing of a robot, several
            robots, or less than one row.
    """
    if not 0.001 <= period <= 10.0:
        raise EpisodeError(
            f"a period of {period:g} s is none to read episodes at; give 0.001 to 10"
        )
    bag = Bag(path)
    tracks = collect(bag, topics.find_namespace(bag.types, namespace), gripper)
    times, methods = _clock(tracks, bag.path, period)
    fields, state = _proprioception(tracks, times)
    action_names, actions = _actions(tracks, times, period, command_hold)
    modes = tracks.modes.at(times + 0.5 * period)
    sources = tuple(driver(source) for source in tracks.sources.at(times + 0.5 * period))
    depths = [int(depth or 0) for depth in tracks.depths.at(times + 0.5 * period)]
    ages = {
        name: times - camera.times[resample.newest(camera.times, times)]
        for name, camera in tracks.cameras.items()
    }
    return Episode(
        name=str(bag.path),
        period=period,
        times=times,
        cameras=tuple(tracks.cameras),
        look=partial(_look, bag.path, tracks.cameras, times),
        picture_ages=ages,
        fields=fields,
        proprioception=state,
        instructions=tuple(tracks.instructions.at(times)),
        points=tracks.points_at(times),
        point_camera=tracks.point_camera,
        actions=actions,
        action_names=action_names,
        sources=sources,
        interventions=np.array([mode == "TELEOP" for mode in modes], bool),
        modes=tuple(modes),
        depths=np.array(
            [d if s == POLICY else 0 for d, s in zip(depths, sources, strict=True)], np.int64
        ),
        outcome=tracks.outcome,
        events=tuple(tracks.events),
        methods=methods | _methods(tracks, command_hold),
        warnings=(*tracks.warnings, *_stills(times, ages)),
    )


def _look(
    path: Path,
    cameras: Mapping[str, Camera],
    times: FloatArray,
    camera: str,
    rows: Sequence[int],
) -> Iterator[tuple[int, ImageArray]]:
    """See :data:`~episode.Look`; rows that share a picture are given the same array."""
    track = cameras[camera]
    chosen = track.positions[resample.newest(track.times, times)]
    rows_left = deque(rows)
    wanted = {int(chosen[row]) for row in rows_left}
    waiting: dict[int, Message] = {}  # pictures that were heard before older ones
    for number, message in enumerate(Bag(path).messages([track.topic])):
        if number in wanted:
            waiting[number] = message
        while rows_left and (shown := int(chosen[rows_left[0]])) in waiting:
            picture = pixels(waiting[shown])
            while rows_left and chosen[rows_left[0]] == shown:
                yield rows_left.popleft(), picture
            del waiting[shown]
        if not rows_left:
            return


def _clock(tracks: Tracks, path: Path, period: float) -> tuple[FloatArray, dict[str, str]]:
    """The rows' times: all that there is of cameras and state has been heard, and still is."""
    spans = tracks.spans()
    if not spans:
        raise EpisodeError(
            f"{path} holds no picture, no pose and no command, so no row can be made of it"
        )
    first = max(begin for begin, _ in spans.values())
    last = min(end for _, end in spans.values())
    camera = max(tracks.cameras.values(), key=lambda c: len(c.times), default=None)
    phase = resample.best_phase(camera.times, period) if camera else first % period
    start = first + (phase - first) % period
    count = int(np.floor((last - start) / period + 1e-3)) if last > start else 0
    if count < 1:
        names = ", ".join(spans)
        raise EpisodeError(
            f"{path} holds less than one row of {period:g} s in which {names} were all heard"
        )
    times = start + period * np.arange(count)
    means = [
        float(np.mean(times - c.times[resample.newest(c.times, times)]))
        for c in tracks.cameras.values()
    ]
    young = f", on average {1e3 * max(means):.0f} ms" if means else ""
    return times, {
        "clock": f"{1.0 / period:g} Hz, its phase such that pictures are young",
        "images": f"the newest not later than the row{young}",
    }


def _methods(tracks: Tracks, command_hold: float) -> dict[str, str]:
    hold = f"at most {command_hold:g} s"
    sent = f"twists sent to the robot, integrated over the row, each until the next and {hold}"
    if (joints := tracks.joints) is not None:
        sent = f"joint positions, the newest before the row's end, which holds {hold} beyond a row"
        if joints.by_velocity:
            sent = f"where joint velocities, each until the next and {hold}, lead within the row"
    return {
        "proprioception": "interpolated between the measurements around the row's beginning",
        "instruction": "the newest not later than the row",
        "action": f"{sent}; the gripper's newest target before the row's end",
        "source": "who drove at the row's middle",
        "intervention": "whether the guard was in TELEOP at the row's middle",
        "depth": "exit of the newest plan at the row's middle, 0 where the policy did not drive",
    }


def _proprioception(tracks: Tracks, times: FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    columns = _pose(tracks, times) if tracks.joints is None else _joints(tracks.joints, times)
    for name, (openings, _) in tracks.grippers.items():
        if len(openings.times):
            opening = resample.interpolate(openings.times, openings.values, times)
            columns[f"{name}_opening"] = np.clip(opening, 0.0, 1.0)
    table = np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(times), 0))
    return tuple(columns), table.astype(np.float32)


def _pose(tracks: Tracks, times: FloatArray) -> dict[str, FloatArray]:
    if not len(poses := tracks.poses.times):
        return {}
    position = resample.interpolate(poses, tracks.poses.values[:, :3], times)
    x, y, z, w = resample.interpolate_rotations(poses, tracks.poses.values[:, 3:], times).T
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return dict(zip(FIELDS, (*position.T, np.sin(yaw), np.cos(yaw)), strict=False))


def _joints(joints: JointTracks, times: FloatArray) -> dict[str, FloatArray]:
    columns = zip(joints.names, joints.positions(times).T, strict=True)
    return {f"{name}.position": column for name, column in columns if name in joints.measured}


def _actions(
    tracks: Tracks, times: FloatArray, period: float, command_hold: float
) -> tuple[tuple[str, ...], FloatArray]:
    if (joints := tracks.joints) is None:
        twists = tracks.twists
        moved = resample.displacements(twists.times, twists.values, times, period, command_hold)
        first = next(iter(tracks.grippers.values()))
        table = np.column_stack([moved, _asked(first, times, period)])
        return ACTION_DIMS, table.astype(np.float32)
    moved = joints.actions(times, period, command_hold)
    heard = {n: g for n, g in tracks.grippers.items() if any(len(s.times) for s in g)}
    asked = [_asked(gripper, times, period) for gripper in heard.values()]
    return (*joints.names, *heard), np.column_stack([moved, *asked]).astype(np.float32)


def _asked(gripper: GripperTrack, times: FloatArray, period: float) -> FloatArray:
    """(T,) opening asked of a gripper in each row; before that, the one measured, or open."""
    opening = np.full(len(times), 1.0)
    if len(gripper.openings.times):
        measured = gripper.openings
        opening = resample.interpolate(measured.times, measured.values, times)
    if len(asked := gripper.targets.times):
        # Half a nanosecond keeps the command that opens the next row out of this one.
        chosen = resample.newest(asked, times + period - 5e-10)
        opening = np.where(chosen >= 0, gripper.targets.values[chosen], opening)
    return np.asarray(np.clip(opening, 0.0, 1.0))


def _stills(times: FloatArray, ages: Mapping[str, FloatArray]) -> Iterator[str]:
    for name, age in ages.items():
        if (oldest := float(age.max())) > OLD_PICTURE:
            when = float(times[int(age.argmax())] - times[0])
            yield f"camera {name} stood still: {when:.1f} s on, its picture was {oldest:.1f} s old"
