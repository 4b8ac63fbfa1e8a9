# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot for tests of the console without ROS: shows what it is told, notes what is asked."""

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np
import simplejpeg

from magma_ros.console.robot import (
    CameraView,
    Diagnostic,
    GuardView,
    Jog,
    JogFrame,
    Mark,
    PolicyView,
    RecorderView,
    RobotView,
    Verb,
)
from magma_ros.guard.modes import ModeSwitch, Request
from magma_ros.types import Answer, Mode

SQUARE = ((60.0, 150.0), (100.0, 150.0), (100.0, 190.0), (60.0, 190.0))
PATH = ((0.4, 0.3), (0.5, 0.45), (0.55, 0.6))


def a_view(**changes) -> RobotView:
    """A robot that works, in AUTO, with two cameras, two marks and an episode being recorded."""
    view = RobotView(
        guard=GuardView(Mode.AUTO, "", Mode.AUTO.sentence, "policy", 1.0, "", 0.02, 0.12, 0.25),
        policy=PolicyView(3, 5, "CONFIDENT", 0.021, 120, 1, 0.08, 0.04, age=0.03),
        recorder=RecorderView(True, "/data/episodes/2026-11-26_21-30-00", 4321, age=0.5),
        instruction="put the red block in the bowl",
        cameras=tuple(
            CameraView(name, 0.03, 15.0, 64, 64, {"gripper": PATH}, 0.05)
            for name in ("front", "wrist")
        ),
        marks=(
            Mark(1, "front", (80.0, 170.0), SQUARE),
            Mark(2, "front", (180.0, 120.0)),
        ),
        diagnostics=(
            Diagnostic("policy: gate", "WARN", "one plan was late", {"late": "1"}, 0.4),
            Diagnostic("guard: commands", "OK", "50.0 Hz", {"rate_hz": "50.0"}, 0.4),
        ),
        position=(0.45, -0.02, 0.31),
        opening=0.8,
        state_age=0.02,
        jog_frames=tuple(JogFrame),
    )
    return replace(view, **changes)


@dataclass
class RobotStandIn:
    """Implements :class:`magma_ros.console.robot.Robot`.

    Attributes:
        shown: What :meth:`view` returns, with the mode of ``switch`` in it.
        asked: Everything that was asked, in order.
        frozen: Cameras that give no new picture.
    """

    shown: RobotView = field(default_factory=a_view)
    switch: ModeSwitch = field(default_factory=ModeSwitch)
    asked: list = field(default_factory=list)
    frozen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.switch.mode, self.switch.reason = self.shown.guard.mode, None

    def view(self) -> RobotView:
        mode = self.switch.mode
        guard = replace(
            self.shown.guard,
            mode=mode,
            reason=self.switch.reason.name if self.switch.reason else "",
            sentence=self.switch.reason.sentence if self.switch.reason else mode.sentence,
        )
        return replace(self.shown, guard=guard)

    def picture(self, camera: str, after: float = -math.inf) -> tuple[bytes, float] | None:
        heard = self.frozen.get(camera, math.floor(time.monotonic() * 15) / 15)
        if heard <= after:
            return None
        pixels = np.full((64, 64, 3), int(heard * 15) % 128 + 64, np.uint8)
        return simplejpeg.encode_jpeg(pixels, colorspace="RGB"), heard

    def request(self, verb: Verb) -> Answer:
        self.asked.append(verb)
        return self.switch.request(Request[verb.name])

    def instruct(self, instruction: str) -> Answer:
        self.asked.append(instruction)
        self.shown = replace(self.shown, instruction=instruction)
        return Answer(True, "The robot was told.")

    def record(self, *, on: bool) -> Answer:
        self.asked.append(("record", on))
        self.shown = replace(self.shown, recorder=replace(self.shown.recorder, recording=on))
        return Answer(True, "Recording." if on else "The episode is closed.")

    def label(self, verdict: str, note: str = "") -> Answer:
        self.asked.append((verdict, note))
        if verdict in ("good", "bad"):
            self.shown = replace(self.shown, recorder=replace(self.shown.recorder, label=verdict))
        return Answer(True, "Labelled.")

    def jog(self, jog: Jog) -> None:
        self.asked.append(jog)

    def release(self) -> None:
        if self.asked[-1:] != ["release"]:
            self.asked.append("release")

    leave = release
