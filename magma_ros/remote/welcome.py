# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a server says of itself when the line is opened, and whether its policy fits the robot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from magma_ros.files import first_fault
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import ObservationContract
from magma_ros.remote.error import RemoteError
from magma_ros.remote.messages import Metadata, read_metadata
from magma_ros.remote.remote_file import FarContract

OURS = "magma_ros"
"""What ``magma serve`` calls itself in its metadata."""

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Welcome:
    """How to talk to a server.

    Attributes:
        contract: What its policy takes and gives; of ``magma serve`` as its metadata say.
        ours: Whether it is ``magma serve``, which reads JPEG and deadlines.
    """

    contract: FarContract
    ours: bool = False


def read_welcome(message: Mapping[str, Any], contract: FarContract) -> Welcome:
    """Read what a server says on connecting.

    Args:
        message: The server's metadata; a stranger's may say anything.
        contract: What the robot expects.

    Raises:
        RemoteError: The policy there gives other actions than those expected, or needs what the
            robot does not observe.
        WireError: The metadata are those of ``magma serve``, and cannot be read.
    """
    if message.get("server") != OURS:
        return Welcome(contract)
    metadata = read_metadata(message)
    _require_actions(metadata, contract)
    same = bool(metadata.bundle) and metadata.bundle == contract.expected.bundle
    contract = replace(contract, expected=replace(contract.expected, same=same))
    if not metadata.observation:
        return Welcome(contract, ours=True)
    taken = _part(ObservationContract, metadata.observation, "observation")
    _require_observed(taken, contract.observation)
    return Welcome(replace(contract, observation=taken), ours=True)


def _require_actions(metadata: Metadata, contract: FarContract) -> None:
    if not metadata.action:
        return
    theirs, ours = _part(ActionContract, metadata.action, "action"), contract.expected.action
    for what, told, wanted in (
        ("the kind", theirs.kind, ours.kind),
        ("the columns", ", ".join(theirs.space.names), ", ".join(ours.space.names)),
        ("the units", _units(theirs), _units(ours)),
        ("the frame", theirs.space.frame, ours.space.frame),
        ("steps [s] of", theirs.step_period, ours.step_period),
    ):
        if told != wanted:
            raise RemoteError(
                f"the policy elsewhere ({metadata.policy or 'without a name'}) gives actions with "
                f"{what} {told}, but this robot takes {wanted}; serve a policy of the same actions"
            )


def _require_observed(taken: ObservationContract, seen: ObservationContract) -> None:
    """Refuse a policy that takes what the robot does not observe."""
    for what, wanted, given in (
        ("the camera", _cameras(taken), _cameras(seen)),
        ("the measured value", taken.proprioception, seen.proprioception),
    ):
        if missing := [name for name in wanted if name not in given]:
            raise RemoteError(
                f"the policy elsewhere takes {what} {missing[0]}, which this robot does not give; "
                "name it under observation in remote.yaml, or serve a policy that goes without"
            )


def _cameras(contract: ObservationContract) -> tuple[str, ...]:
    return tuple(camera.name for camera in contract.cameras)


def _units(action: ActionContract) -> str:
    return ", ".join(dimension.unit for dimension in action.space.dimensions)


def _part(schema: type[Part], content: Mapping[str, Any], name: str) -> Part:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise RemoteError(
            f"the {name} in the server's metadata is not understood: {first_fault(error)}; update "
            "the older of the two"
        ) from None
