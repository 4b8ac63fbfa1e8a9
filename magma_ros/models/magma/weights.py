# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fills the network from a checkpoint, tensor by tensor, so that parts of it can be held alone.

A network of the full size is made on the meta device, where it takes no memory; :func:`fill` gives
the named weights memory and values, :func:`drop` takes them away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from magma_ros.models.magma.layout import TRUNK, CheckpointLayoutError, MagmaShape
from magma_ros.models.magma.network import MagmaNetwork
from magma_ros.models.magma.tower import timm_name, transformers_name

TOWER = "vision_tower."
"""Beginning of the names of the tower's parameters in the network."""


class Tensors(Protocol):
    """Where weights come from."""

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name in the checkpoint."""
        ...


def parameter_name(name: str) -> str:
    """The name in the network of a tensor of the checkpoint."""
    if name.startswith(TRUNK):
        return TOWER + transformers_name(name.removeprefix(TRUNK))
    return name


def checkpoint_name(name: str) -> str:
    """The name in the checkpoint of a parameter of the network."""
    if name.startswith(TOWER):
        return TRUNK + timm_name(name.removeprefix(TOWER))
    return name


def empty_network(shape: MagmaShape) -> MagmaNetwork:
    """A network without memory for its weights, to be filled."""
    with torch.device("meta"):
        return MagmaNetwork(shape).eval().requires_grad_(requires_grad=False)


def fill(
    network: MagmaNetwork,
    source: Tensors,
    names: Iterable[str] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Give weights of the network memory and the checkpoint's values, one after the other.

    Args:
        network: Made by :func:`empty_network`, or filled before.
        source: The checkpoint.
        names: Of the tensors in the checkpoint; all that the network has when none are given.
        dtype: In which they are held.

    Raises:
        CheckpointLayoutError: The network has no such parameter, or one of another shape.
    """
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    for name in network.shape.tensors() if names is None else names:
        parameter = parameter_name(name)
        if parameter not in shapes:
            raise CheckpointLayoutError(f"the network has no weight {name}")
        value = source.tensor(name)
        if value.shape != shapes[parameter]:
            found, wanted = tuple(value.shape), tuple(shapes[parameter])
            raise CheckpointLayoutError(f"{name} has the shape {found}; it must be {wanted}")
        _place(network, parameter, value.to(dtype))


def drop(network: MagmaNetwork, names: Iterable[str]) -> None:
    """Take the memory of weights away; the names are those in the checkpoint."""
    for name in names:
        parameter = parameter_name(name)
        _place(network, parameter, network.get_parameter(parameter).to("meta"))


def _place(network: MagmaNetwork, name: str, value: Tensor) -> None:
    """Put a tensor in the place of a parameter."""
    owner, _, own = name.rpartition(".")
    parameter = nn.Parameter(value, requires_grad=False)
    setattr(network.get_submodule(owner), own, parameter)
