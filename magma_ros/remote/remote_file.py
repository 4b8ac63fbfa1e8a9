# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``remote.yaml``: what a policy elsewhere is asked with, and what its answers mean.

It lies in the folder of a bundle whose exits it continues, or is a file of its own for a robot
without a bundle. What it leaves out is as in the bundle: then the policy elsewhere takes and gives
the same as the one here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from magma_ros.files import read_yaml
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import Contract, Name, ObservationContract, Text
from magma_ros.policy.manifest import Manifest
from magma_ros.remote.error import RemoteError
from magma_ros.remote.plans import Expected

REMOTE_FILE = "remote.yaml"
"""Its name inside a bundle."""


class Keys(Contract):
    """Under which names a server of openpi's protocol takes and gives what.

    Attributes:
        images: By camera; of one that is not named, ``observation/`` and its name.
        state: Measured values.
        prompt: What to do.
        actions: The plan, in its answers.
    """

    images: dict[Name, Text] = Field(default_factory=dict)
    state: Text = "observation/state"
    prompt: Text = "prompt"
    actions: Text = "actions"

    def image(self, camera: str) -> str:
        """The name of a camera's image."""
        return self.images.get(camera, f"observation/{camera}")


class RemoteFile(Contract):
    """The content of ``remote.yaml``.

    Attributes:
        schema_version: Layout of the file.
        address: Of the server, where the robot's parameters name none.
        observation: What the policy takes; that of the bundle if None.
        action: What its actions mean; likewise.
        keys: Names in questions and answers.
        encoding: How pictures are sent: as they are, or as JPEG where the server reads it.
        normalised: Whether actions come as shares of the range of ``action`` from -1 to 1.
    """

    schema_version: Literal[1] = 1
    address: str = ""
    observation: ObservationContract | None = None
    action: ActionContract | None = None
    keys: Keys = Keys()
    encoding: Literal["raw", "jpeg"] | None = None
    normalised: bool = False


@dataclass(frozen=True, slots=True)
class FarContract:
    """What a policy elsewhere is asked with, and what its answers must be.

    Attributes:
        observation: What it takes.
        expected: What its plans must be.
        keys: Names in questions and answers.
        encoding: How pictures are sent, or None for whichever the server reads.
    """

    observation: ObservationContract
    expected: Expected
    keys: Keys = field(default_factory=Keys)
    encoding: Literal["raw", "jpeg"] | None = None


def find_remote_file(folder: Path) -> RemoteFile | None:
    """Read the ``remote.yaml`` of a bundle, or None if it has none.

    Raises:
        RemoteError: It is damaged.
    """
    path = folder / REMOTE_FILE
    return read_remote_file(path) if path.exists() or path.is_symlink() else None


def read_remote_file(path: Path) -> RemoteFile:
    """Read a file of this layout.

    Raises:
        RemoteError: It cannot be read, or does not follow the layout.
    """
    return read_yaml(path, RemoteFile, error=RemoteError, remedy="see docs/remote.md")


def contract_of(
    file: RemoteFile | None, manifest: Manifest | None, bundle: str = ""
) -> FarContract:
    """What the policy elsewhere takes and gives.

    Args:
        file: What was said of it, if anything.
        manifest: That of the bundle whose exits it continues, or None for a robot without one.
        bundle: SHA-256 of the manifest's file, by which the same policy elsewhere is known.

    Raises:
        RemoteError: It is not known what it takes or gives, or its plans cannot follow those of the
            bundle.
    """
    file = file or RemoteFile()
    observation, action = file.observation, file.action
    if manifest is not None:
        observation, action = observation or manifest.observation, action or manifest.action
    if observation is None or action is None:
        raise RemoteError(
            "it is not known what the policy elsewhere takes and gives; name a file that states "
            "its observation and action in remote.contract (docs/remote.md)"
        )
    if manifest is not None and action.space != manifest.action.space:
        raise RemoteError(
            f"the policy elsewhere gives {_named(action)}, but {manifest.name} gives "
            f"{_named(manifest.action)}; one stream leads the robot by both, so take a policy of "
            "the same action space"
        )
    depth = 1 if manifest is None else manifest.exits + 1
    expected = Expected(action, depth, file.keys.actions, file.normalised, bundle)
    return FarContract(observation, expected, file.keys, file.encoding)


def both(here: ObservationContract, elsewhere: ObservationContract) -> ObservationContract:
    """What a robot must observe for two policies: each picture as large as the larger.

    Raises:
        RemoteError: One camera gives colours to the one and distances to the other.
    """
    cameras = {camera.name: camera for camera in here.cameras}
    for camera in elsewhere.cameras:
        known = cameras.get(camera.name, camera)
        if known.kind != camera.kind:
            raise RemoteError(
                f"the policy elsewhere takes {camera.kind} of camera {camera.name}, the bundle "
                f"{known.kind}; name the camera of one of them otherwise"
            )
        size = {"height": max(known.height, camera.height), "width": max(known.width, camera.width)}
        cameras[camera.name] = known.model_copy(update=size)
    values = tuple(dict.fromkeys((*here.proprioception, *elsewhere.proprioception)))
    return here.model_copy(
        update={
            "cameras": tuple(cameras.values()),
            "proprioception": values,
            "max_tokens": here.max_tokens or elsewhere.max_tokens,
            "point": here.point or elsewhere.point,
        }
    )


def _named(action: ActionContract) -> str:
    return f"{action.kind} of {', '.join(action.space.names)}"
