# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be served: a bundle, or whatever else offers the same few methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from magma_ros.gate.gates import Gate, make_gate
from magma_ros.gate.latency import Stage
from magma_ros.gate.loop import Inference
from magma_ros.policy.manifest import MANIFEST, sha256_of
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.remote.messages import Metadata, Terms
from magma_ros.serving.observations import read_observation


class Session(Protocol):
    """One client's use of a policy: what is remembered between its requests is its own."""

    @property
    def gate(self) -> Gate:
        """Judges this client's answers."""
        ...

    def begin(self, message: Mapping[str, Any], terms: Terms) -> Inference:
        """Begin an inference on a message; the one before ends.

        Raises:
            MagmaError: The message is not what the policy takes.
        """
        ...


class ServedPolicy(Protocol):
    """A policy that answers messages; all but :meth:`session` is for one thread."""

    @property
    def metadata(self) -> Metadata:
        """What clients are told of it."""
        ...

    @property
    def ways(self) -> Sequence[Sequence[Stage]]:
        """The stages from each exit to the next, as they will run."""
        ...

    def session(self) -> Session:
        """One more client."""
        ...

    def rehearse(self) -> Inference:
        """Begin an inference on a blank observation, to measure how long the stages take."""
        ...


class ServedBundle:
    """A bundle as it is served; clients share its graphs and have tensors of their own.

    Args:
        folder: The bundle.
        policy: It, loaded.
        gate: Name of the gate.
        options: The gate's attributes.

    Raises:
        GateError: There is no such gate, or it cannot work.
    """

    def __init__(self, folder: Path, policy: StagedPolicy, gate: str, **options: Any) -> None:
        self._policy = policy
        # Every gate is a dataclass, which its protocol cannot say.
        self._gate: Any = make_gate(gate, bundle=folder, **options)
        manifest = policy.manifest
        self.metadata = Metadata(
            server="magma_ros",
            policy=manifest.name,
            bundle=sha256_of(folder / MANIFEST),
            action=manifest.action.model_dump(mode="json", exclude_defaults=True),
            observation=manifest.observation.model_dump(mode="json", exclude_defaults=True),
            exits=manifest.exits,
        )
        self.ways = _ways(manifest.stages)

    def session(self) -> BundleSession:
        """One more client."""
        gate: Gate = replace(self._gate)
        return BundleSession(self._policy.twin(), gate)

    def rehearse(self) -> Inference:
        """Begin an inference on a blank observation."""
        return self._policy.rehearse()


class BundleSession:
    """One client of a bundle.

    Args:
        policy: With tensors and a history of pictures of its own.
        gate: Likewise.
    """

    def __init__(self, policy: StagedPolicy, gate: Gate) -> None:
        self._policy = policy
        self.gate = gate

    def begin(self, message: Mapping[str, Any], terms: Terms) -> Inference:
        """Begin an inference on a message; the one before ends.

        Raises:
            MagmaError: The message is not what the policy takes.
        """
        contract = self._policy.manifest.observation
        return self._policy.start(read_observation(message, contract, terms.stamp))


def _ways(stages: Sequence[Any]) -> list[list[Stage]]:
    ways: list[list[Stage]] = [[]]
    for stage in stages:
        ways[-1].append(stage)
        if stage.depth is not None:
            ways.append([])
    return ways[:-1]
