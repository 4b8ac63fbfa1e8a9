# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a browser is told: a :class:`RobotView` as JSON, and pictures with their time."""

from __future__ import annotations

import json
import math
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from magma_ros.console.robot import Robot, RobotView, Verb
from magma_ros.guard.modes import REFUSALS, TRANSITIONS, Request
from magma_ros.types import Clock, Mode, MonotonicClock

VIEW_AGE = 0.05
"""Age up to which a view is told to the next page as well [s]."""

LONGEST_TEXT = 2000
"""Characters of a text that are told; nothing an operator reads is longer."""

UNKNOWN_MODE = "The guard has not been heard yet."

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that a browser would not show, or would let change the text around them."""


class Telemetry:
    """Tells any number of browsers about one robot, asking it once for all of them."""

    def __init__(self, robot: Robot, clock: Clock | None = None) -> None:
        self._robot = robot
        self._clock = clock or MonotonicClock()
        self._view = ""
        self._view_time = -math.inf
        self._cameras: frozenset[str] = frozenset()

    def view(self) -> str:
        """Everything a page shows, as JSON, at most :data:`VIEW_AGE` old."""
        now = self._clock.now()
        if now - self._view_time > VIEW_AGE:
            view = self._robot.view()
            self._cameras = frozenset(camera.name for camera in view.cameras)
            told = describe(view) | {"now": now}
            self._view = json.dumps(told, separators=(",", ":"), allow_nan=False)
            self._view_time = now
        return self._view

    def picture(self, camera: str, after: float) -> bytes | None:
        """A camera's newest picture, if one was heard later than ``after`` [s]; see :func:`pack`.

        A camera that does not exist has none.
        """
        if camera not in self._cameras:
            return None
        picture = self._robot.picture(camera, after)
        return picture and pack(camera, *picture)


def pack(camera: str, jpeg: bytes, heard: float) -> bytes:
    """A picture as one message: ``heard`` (float64, big-endian), length of name, name, JPEG."""
    name = camera.encode()
    return struct.pack(">dB", heard, len(name)) + name + jpeg


def describe(view: RobotView) -> dict[str, object]:
    """A view as JSON takes it, with what the guard would answer to each request.

    ``refusals`` holds a sentence for each :class:`Verb` that the mode table refuses.
    """
    described = {field.name: plain(getattr(view, field.name)) for field in fields(view)}
    return described | {"refusals": refusals(view.guard.mode)}


def refusals(mode: Mode | None) -> dict[str, str]:
    """Why requests would be refused in a mode, by verb; what is not in here would be granted."""
    if mode is None:
        return {verb.value: UNKNOWN_MODE for verb in Verb if verb is not Verb.STOP}
    asked = {verb: (mode, Request[verb.name]) for verb in Verb}
    return {verb.value: REFUSALS[key] for verb, key in asked.items() if key not in TRANSITIONS}


def plain(value: object) -> object:
    """A value as JSON takes it: enums by name, numbers to 0.1 mm or ms, None for what is not one.

    Raises:
        TypeError: For what no view holds.
    """
    match value:
        case None | bool() | int():
            told: object = value
        case float():
            told = round(value, 4) if math.isfinite(value) else None
        case str():
            told = visible(value)
        case Enum():
            told = value.name
        case Mapping():
            told = {visible(str(key)): plain(entry) for key, entry in value.items()}
        case tuple() | list():
            told = [plain(entry) for entry in value]
        case _ if is_dataclass(value):
            told = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            raise TypeError(f"a view holds no {type(value).__name__}")
    return told


def visible(text: str) -> str:
    """A text in which every character shows and none changes how the others do.

    Control characters become their pictures (U+2400 and on), other invisible ones U+FFFD.
    """
    shown = "".join(_shown(character) for character in text[:LONGEST_TEXT])
    return shown + "…" if len(text) > LONGEST_TEXT else shown


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"
