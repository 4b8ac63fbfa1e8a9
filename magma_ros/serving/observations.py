# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Observations of messages: under our names, or under those of openpi's and LeRobot's users.

A picture of camera ``front`` is looked for under ``images`` / ``front``, then ``front``,
``observation/front``, ``observation/front_image``, ``observation.images.front``; that of the only
camera, or of one that is not a wrist's, also under ``observation/image`` and ``image``; a wrist's
also under ``observation/wrist_image`` and ``wrist_image``. The state is looked for under ``state``,
``observation/state`` and ``observation.state``, then under the name of each entry; the instruction
under ``prompt`` and ``task``. A picture may be (3, H, W), and of floats from 0 to 1, as openpi's
examples send them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from magma_ros.policy.contract import CameraContract, ObservationContract
from magma_ros.remote.messages import decode_picture, vector
from magma_ros.remote.wire import WireError
from magma_ros.types import DepthArray, FloatArray, ImageArray, Observation

STATE = ("state", "observation/state", "observation.state")
PROMPT = ("prompt", "task")
WRIST = "wrist"
"""What the name of a camera at the wrist holds."""


def read_observation(
    message: Mapping[str, Any], contract: ObservationContract, stamp: float
) -> Observation:
    """The observation in a message.

    Args:
        message: As it came.
        contract: What the policy takes.
        stamp: Time of the observation [s].

    Raises:
        WireError: Something is missing, or not what it should be.
    """
    images = {c.name: _image(message, c, contract) for c in contract.cameras if c.kind == "rgb"}
    depths = {c.name: _depth(message, c.name) for c in contract.cameras if c.kind == "depth"}
    return Observation(
        stamp=stamp,
        images=images,
        depths=depths,
        proprioception=_state(message, contract.proprioception),
        fields=contract.proprioception,
        instruction=_instruction(message) if contract.max_tokens is not None else "",
        point=_point(message),
    )


def _keys(camera: CameraContract, contract: ObservationContract) -> Iterator[str]:
    name = camera.name
    yield from (name, f"observation/{name}", f"observation/{name}_image")
    yield f"observation.images.{name}"
    if WRIST in name:
        yield from ("observation/wrist_image", "wrist_image")
    if sum(c.kind == "rgb" and WRIST not in c.name for c in contract.cameras) == 1 and (
        WRIST not in name or len(contract.cameras) == 1
    ):
        yield from ("observation/image", "image", "observation.image")


def _image(
    message: Mapping[str, Any], camera: CameraContract, contract: ObservationContract
) -> ImageArray:
    found = _part(message, "images").get(camera.name)
    for key in _keys(camera, contract):
        if found is not None:
            break
        found = message.get(key)
    if found is None:
        raise WireError(
            f"there is no picture of camera {camera.name}; send images/{camera.name} "
            f"(the message holds {_listed(message)})"
        )
    if isinstance(found, bytes):
        return decode_picture(found)
    if not isinstance(found, np.ndarray) or found.ndim != 3 or not found.size:
        raise WireError(
            f"the picture of camera {camera.name} must be (height, width, 3), or a JPEG"
        )
    if found.shape[0] == 3 != found.shape[2]:
        found = np.moveaxis(found, 0, 2)
    if found.dtype.kind == "f":
        if not (np.isfinite(found).all() and found.min() >= 0.0 and found.max() <= 1.0):
            raise WireError(f"the picture of camera {camera.name} has floats beyond 0 to 1")
        found = np.rint(255.0 * found).astype(np.uint8)
    if found.dtype != np.uint8 or found.shape[2] != 3:
        raise WireError(f"the picture of camera {camera.name} must be RGB, of uint8 or floats")
    return np.asarray(found, np.uint8)


def _depth(message: Mapping[str, Any], camera: str) -> DepthArray:
    found = _part(message, "depths").get(camera)
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f":
        raise WireError(f"there is no depth image of camera {camera}; send depths/{camera} in m")
    return np.asarray(found, np.float32)


def _state(message: Mapping[str, Any], names: tuple[str, ...]) -> FloatArray:
    if not names:
        return np.zeros(0)
    for key in STATE:
        if key in message:
            found = vector(message[key], f"the {key}")
            if len(found) != len(names):
                raise WireError(
                    f"the {key} has {len(found)} entries, but the policy takes {', '.join(names)}"
                )
            return found
    if missing := [name for name in names if name not in message]:
        raise WireError(f"there is no state; send state with {', '.join(names)} ({missing[0]} ...)")
    return np.concatenate([_single(message[name], name) for name in names])


def _single(value: object, name: str) -> FloatArray:
    found = vector(value, name)
    if len(found) != 1:
        raise WireError(f"{name} must be one number, not {len(found)}")
    return found


def _instruction(message: Mapping[str, Any]) -> str:
    found = next((message[key] for key in PROMPT if key in message), None)
    if not isinstance(found, str):
        raise WireError("there is no instruction; send prompt as text")
    return found


def _point(message: Mapping[str, Any]) -> tuple[float, float] | None:
    found = message.get("point")
    if found is None:
        return None
    point = vector(found, "the point")
    if len(point) != 2:
        raise WireError("the point must be a column and a row")
    return float(point[0]), float(point[1])


def _part(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = message.get(key, {})
    if not isinstance(found, dict):
        raise WireError(f"{key} must be a map of camera names to pictures")
    return found


def _listed(message: Mapping[str, Any]) -> str:
    keys = ["".join(c if c.isprintable() else "?" for c in key[:40]) for key in message]
    return ", ".join(keys[:8]) + (" ..." if len(keys) > 8 else "") if keys else "nothing"
