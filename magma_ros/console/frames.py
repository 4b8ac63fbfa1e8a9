# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion link's frames: JSON objects in WebSocket text messages, each with a ``type``.

A browser sends the frames below, ``hello`` first. Times are seconds on its own clock, with any
origin, as long as the clock runs evenly. docs/console.md describes the exchange.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from magma_ros.console.robot import JogFrame, Verb
from magma_ros.types import MagmaError

PROTOCOL = 1
"""Version of the frames; a browser with a script of another version is told to reload."""

MAX_BYTES = 4096
"""Greatest size of a message from a browser."""

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Fraction = Annotated[float, Field(allow_inf_nan=False, ge=-1.0, le=1.0)]
Opening = Annotated[float, Field(allow_inf_nan=False, ge=0.0, le=1.0)]


class FrameError(MagmaError):
    """A message is not one of the frames."""


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hello(_Frame):
    """The first frame: who is there."""

    type: Literal["hello"]
    protocol: int
    name: str = Field(default="", max_length=200)


class Pong(_Frame):
    """Answers ``ping`` at once; ``at`` is the browser's time."""

    type: Literal["pong"]
    id: Count
    at: Number


class Motion(_Frame):
    """What frames of the motion stream share.

    Attributes:
        seq: Greater than in every frame of the stream before, across all holds.
        at: When the operator's keys were read, by the browser's clock [s].
    """

    seq: Count
    at: Number


class JogNow(Motion):
    """The keys that are held now.

    Attributes:
        hold: Number of the hold, counted up whenever keys are pressed after none were.
        frame: Frame of the twist.
        twist: Share of the top speed: linear x, y, z, then angular.
        gripper: Opening to move to, 1 open to 0 closed; null to leave it.
    """

    type: Literal["jog"]
    hold: Count
    frame: Annotated[JogFrame, Field(strict=False)]
    twist: Annotated[list[Fraction], Field(min_length=6, max_length=6)]
    gripper: Opening | None = None


class LetGo(Motion):
    """No key is held any more."""

    type: Literal["release"]


class Ask(_Frame):
    """What requests share: an id that the answer repeats."""

    id: Count


class LeaseAsk(Ask):
    """``ask`` for the lease, ``grant`` or ``keep`` it when another asks, or ``drop`` it."""

    type: Literal["lease"]
    wish: Literal["ask", "grant", "keep", "drop"]


class VerbAsk(Ask):
    """A request to the guard."""

    type: Literal["verb"]
    verb: Annotated[Verb, Field(strict=False)]


class InstructAsk(Ask):
    """What the robot shall do."""

    type: Literal["instruct"]
    text: str = Field(max_length=500)


class RecordAsk(Ask):
    """Begin or end an episode."""

    type: Literal["record"]
    on: bool


class LabelAsk(Ask):
    """Label the episode that is recorded, or the last one."""

    type: Literal["label"]
    verdict: Literal["good", "bad", ""]
    note: str = Field(default="", max_length=500)


RobotAsk = VerbAsk | InstructAsk | RecordAsk | LabelAsk
"""A request that the robot answers."""

AnyFrame = Hello | Pong | JogNow | LetGo | LeaseAsk | RobotAsk
"""Everything that a browser may send."""

_READER: TypeAdapter[AnyFrame] = TypeAdapter(Annotated[AnyFrame, Field(discriminator="type")])


def read_frame(message: str | bytes) -> AnyFrame:
    """The frame in a message.

    Args:
        message: A WebSocket message, text as str and binary as bytes.

    Raises:
        FrameError: It is none; the sentence says why and repeats nothing of the message.
    """
    if isinstance(message, bytes):
        raise FrameError("the link takes text messages only; this one was binary")
    if len(message) > MAX_BYTES or len(message.encode(errors="replace")) > MAX_BYTES:
        raise FrameError(f"a message may have at most {MAX_BYTES} bytes")
    try:
        return _READER.validate_json(message)
    except ValidationError as error:
        raise FrameError(_sentence(error)) from None
    except ValueError:
        raise FrameError("the message is not valid Unicode") from None


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, without the input itself."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "the message is not valid JSON"
    if first["type"] == "union_tag_invalid":
        return "the message is of no known type"
    if first["type"] == "union_tag_not_found" or not first["loc"]:
        return "a message must be a JSON object with a 'type'"
    kind, *where = first["loc"]
    if first["type"] == "extra_forbidden":
        return f"the {kind} frame holds something unknown"
    place = ".".join(str(part) for part in where)
    what = first["msg"][0].lower() + first["msg"][1:]
    return f"the {kind} frame has a bad '{place}': {what}"


def one_line(text: str, length: int) -> str:
    """The text without control and formatting characters, in one line, cut to a length."""
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return " ".join(shown.split())[:length].rstrip()
