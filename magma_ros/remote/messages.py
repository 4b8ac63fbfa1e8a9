# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What robot and server say to each other, in the frames of :mod:`magma_ros.remote.wire`.

The protocol is openpi's: on connecting the server sends its metadata; then each observation from
the client is answered, a map by a map, or by a text frame that holds one sentence if it cannot be.
Everything beyond that is optional, and a peer that does not know it is none the worse.

*Metadata* (server, once): :class:`Metadata`. A stranger's server may send any map.

*Observation* (client)::

    images    {camera: uint8 (H, W, 3) RGB, or bytes of a JPEG}
    depths    {camera: float32 (H, W) [m]}               where the policy takes depth
    state     (P,) in the order of the metadata's ``observation.proprioception``
    prompt    the instruction
    point     [column, row] on the grid of 256 x 256      where the policy takes marks
    request   :class:`Terms`                              optional

openpi's usual keys are understood as well; docs/serving.md lists them.

*Reply* (server): :class:`Reply`, of which a stranger's server sends ``actions`` and often
``server_timing``. An observation with ``request`` is answered by a map in any case, with ``error``
in the place of ``actions`` where there is no answer, and in any order; its ``request.id`` tells
which. One without is answered in order.

Clocks of two machines differ, so no moment is ever compared across the line. A deadline travels as
the time that is left, as in gRPC (``grpc-timeout``), counted from when the frame is received: the
client takes off what the line is expected to take. ``stamp``, ``step`` and ``id`` are the client's
own; they come back as they were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import numpy as np
import simplejpeg
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    ValidationError,
)

from magma_ros.files import first_fault
from magma_ros.remote.wire import WireError
from magma_ros.types import FloatArray, ImageArray

MAX_PIXELS = 4096 * 4096
"""Most pixels of a picture that is decoded."""

Part = TypeVar("Part", bound=BaseModel)
Short = Annotated[str, StringConstraints(max_length=128)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Known(BaseModel):
    """A part of a message; what this release does not know is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Terms(_Known):
    """What a client asks of one answer, under ``request``.

    Attributes:
        id: Number of the request, the client's own.
        robot: Name that requests are shared out by; of several connections, one robot. Empty takes
            each connection for a robot.
        stamp: Time of the observation on the client's clock [s].
        step: Actions that the robot had taken by then.
        time_left: Time from receipt within which the answer must leave the server [s]; None for
            the server's own limit.
        useful: Time from receipt within which an answer is of use that cannot be ready in
            ``time_left`` [s]; None for the server's limit longer than that.
        risk: 0 to 1; see :class:`magma_ros.types.Budget`.
        energy: 1 to 0; likewise.
        deepest: Deepest exit wanted, or None.
        speculative: Whether the answer may not be needed: it comes after all that is.
    """

    id: NonNegativeInt = 0
    robot: Short = ""
    stamp: float = 0.0
    step: int = 0
    time_left: float | None = None
    useful: float | None = None
    risk: Share = 0.0
    energy: Share = 1.0
    deepest: PositiveInt | None = None
    speculative: bool = False


class Timing(_Known):
    """Where the time of a request went, under ``server_timing`` [ms].

    Attributes:
        infer_ms: In the stages of the policy; openpi's name.
        queue_ms: Waiting.
        total_ms: From receipt until the answer was ready.
        stages_ms: Of each stage that ran.
    """

    infer_ms: NonNegativeFloat = 0.0
    queue_ms: NonNegativeFloat = 0.0
    total_ms: NonNegativeFloat = 0.0
    stages_ms: tuple[NonNegativeFloat, ...] = ()


class Queue(_Known):
    """How busy the server is, under ``queue``.

    Attributes:
        waiting: Requests that wait.
        clients: Connections.
        wait_ms: Forecast of how long a request that came now would wait [ms].
        exits_ms: Forecast of how long the stages up to each exit take then, tails included [ms].
        deepest: Exit that answers hardly go beyond under the present load.
    """

    waiting: NonNegativeInt = 0
    clients: NonNegativeInt = 0
    wait_ms: NonNegativeFloat = 0.0
    exits_ms: tuple[NonNegativeFloat, ...] = ()
    deepest: NonNegativeInt = 0


class Reply(_Known):
    """An answer.

    Attributes:
        actions: (K, D), in the units of the metadata's ``action``; None where there is none.
        exit: Exit that they came from, 1 for the shallowest; 0 where the server does not say.
        exits: Exits of the policy; likewise.
        admitted: Whether the request was promised an answer in the time that it stated. Otherwise
            this is the first exit's, as soon as there was time for it.
        probability: The gate's estimate that full depth would agree, or None.
        entropy: See :class:`magma_ros.types.Confidence`, or None; so are the next two.
        margin: Likewise.
        disagreement: Likewise; None at the first exit.
        reason: Name of the :class:`magma_ros.types.Reason` why thinking stopped there.
        flops: Floating-point operations that this answer took.
        weight_bytes: Bytes of weights that were read for it.
        request: What was asked.
        server_timing: Where the time went.
        queue: How busy the server is.
        error: Why there are no actions, in one sentence.
        busy: Whether that is for want of time.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, arbitrary_types_allowed=True
    )

    actions: np.ndarray[Any, Any] | None = None
    exit: NonNegativeInt = 0
    exits: NonNegativeInt = 0
    admitted: bool = True
    probability: Share | None = None
    entropy: float | None = None
    margin: float | None = None
    disagreement: float | None = None
    reason: Short = ""
    flops: NonNegativeInt = 0
    weight_bytes: NonNegativeInt = 0
    request: Terms = Terms()
    server_timing: Timing = Timing()
    queue: Queue = Queue()
    error: Annotated[str, StringConstraints(max_length=2048)] = ""
    busy: bool = False


class Metadata(_Known):
    """What a server says of itself on connecting; everything may be missing from a stranger's.

    Attributes:
        server: ``magma_ros``, or empty.
        policy: Name of the policy.
        bundle: SHA-256 of its manifest, or empty.
        action: The ``action`` part of that manifest: columns, units, steps.
        observation: The ``observation`` part: cameras, names of the entries of ``state``, words.
        exits: Exits of the policy.
        max_frame: Largest frame that is read [bytes].
        rate: Most requests a second of one client; 0 for no limit.
    """

    server: Short = ""
    policy: Short = ""
    bundle: Short = ""
    action: dict[str, Any] = {}
    observation: dict[str, Any] = {}
    exits: NonNegativeInt = 0
    max_frame: NonNegativeInt = 0
    rate: NonNegativeFloat = 0.0


def read_terms(message: Mapping[str, Any]) -> Terms | None:
    """What an observation's sender asks, or None where it asks nothing.

    Raises:
        WireError: It asks in a way that is none.
    """
    found = message.get("request")
    return None if found is None else _checked(Terms, found, "the request")


def read_metadata(message: Mapping[str, Any]) -> Metadata:
    """What a server said on connecting.

    Raises:
        WireError: A field that this release knows holds something else.
    """
    return _checked(Metadata, message, "the server's metadata")


def read_reply(message: Mapping[str, Any]) -> Reply:
    """An answer, of this server or of another that speaks openpi's protocol.

    Raises:
        WireError: It holds neither finite actions (K, D) nor an error, or contradicts the schema.
    """
    reply = _checked(Reply, message, "the server's answer")
    if reply.error:
        return reply
    actions = reply.actions
    if actions is None or actions.ndim != 2 or not actions.size or actions.dtype.kind not in "fiu":
        raise WireError("the server's answer holds no actions (steps, columns)")
    if not np.isfinite(actions).all():
        raise WireError("the server's answer holds actions that are not finite")
    return reply


def plain(model: BaseModel) -> dict[str, Any]:
    """A part of a message as it is sent: without what is not known."""
    return model.model_dump(exclude_none=True)


def encode_picture(image: ImageArray, quality: int) -> bytes:
    """A picture (H, W, 3) as JPEG of a quality from 1 to 100, to send in the image's place."""
    contiguous: ImageArray = np.ascontiguousarray(image)
    return bytes(simplejpeg.encode_jpeg(contiguous, quality=quality, colorspace="RGB"))


def decode_picture(data: bytes) -> ImageArray:
    """The picture (H, W, 3) in a JPEG.

    Raises:
        WireError: It is damaged, or has more than :data:`MAX_PIXELS`.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > MAX_PIXELS:
            raise WireError(f"a JPEG of {width} x {height} pixels is too large to be decoded")
        # Strict, because libjpeg otherwise fills what it cannot read with grey.
        decoded = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        raise WireError(f"a JPEG is damaged: {' '.join(str(error).split())}") from None
    return np.asarray(decoded, np.uint8)


def vector(value: object, what: str) -> FloatArray:
    """Numbers that came as an array or as a list, as float64.

    Raises:
        WireError: They are not a list of finite numbers.
    """
    if isinstance(value, list) and all(isinstance(x, bool | int | float) for x in value):
        value = np.array(value, float)
    if isinstance(value, bool | int | float | np.generic):
        value = np.array([value])
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "fiub":
        raise WireError(f"{what} must be a list of numbers")
    found: FloatArray = value.astype(np.float64)
    if not np.isfinite(found).all():
        raise WireError(f"{what} is not finite")
    return found


def _checked(schema: type[Part], found: object, what: str) -> Part:
    try:
        return schema.model_validate(found)
    except ValidationError as error:
        raise WireError(f"{what} is not understood: {first_fault(error)}") from None
