# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network to train on, from a bundle: undoes what the exporter folded together.

The inverse of :mod:`magma_ros.models.export.optimise`. A bundle lacks what only training needs: the
auxiliary position heads are fresh, and weights that were rounded to int8 stay rounded. Whatever
else the network has and the bundle has not (a point's token, new words) is fresh as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from magma_ros.models.data.statistics import Statistics
from magma_ros.models.data.words import RESERVED
from magma_ros.models.network.config import NetworkConfig
from magma_ros.models.network.magma import MagmaPolicy
from magma_ros.models.network.network import FirstLookStage, LookStage, VisionTower
from magma_ros.models.network.policy import Policy
from magma_ros.models.training.checkpoint import (
    AVERAGE,
    CheckpointError,
    Recipe,
    latest,
    load_policy,
    read_recipe,
)
from magma_ros.models.training.config import StartConfig, TrainingConfig, differing_field
from magma_ros.models.training.graph_weights import graph_weights
from magma_ros.policy.bundle import open_tokenizer
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import Manifest, read_manifest, sha256_of

Weights = dict[str, Tensor]

FRESH = (".positions.", ".point.")
"""Parts of a network that a bundle may lack: they keep the weights they were made with."""


def is_fresh(name: str) -> bool:
    """Whether a bundle may lack the weight of that name."""
    return any(part in f".{name}" for part in FRESH)


def started_recipe(
    start: StartConfig, config: TrainingConfig, more_words: tuple[str, ...] = ()
) -> Recipe:
    """What is trained on with from trained weights: their words and their statistics.

    Args:
        start: Where the weights come from.
        config: The recipe; its network must be theirs.
        more_words: As for :func:`recipe_of`; a checkpoint's words stay as they are.

    Raises:
        MagmaError: The weights are missing, damaged, or of another network.
    """
    if start.bundle is not None:
        return recipe_of(start.bundle, config, more_words)
    folder = _checkpoint(start)
    known = read_recipe(folder)
    mine, wanted = (one.network.model_dump(mode="json") for one in (known.config, config))
    if field := differing_field(mine, wanted, "network."):
        raise CheckpointError(
            f"{folder} has another {field} than the recipe; start from a checkpoint of its network"
        )
    if missing := sorted(set(more_words) - set(known.vocabulary)):
        raise CheckpointError(
            f"{folder} does not know the word {missing[0]!r}; start from a checkpoint that was "
            "trained with all words of the tasks"
        )
    started = sha256_of(folder / AVERAGE)
    return Recipe(config, known.vocabulary, known.statistics, started)


def restore_start(network: Policy, start: StartConfig) -> None:
    """Put the trained weights that a recipe starts from into its network.

    Raises:
        MagmaError: They are missing, damaged, or of another network.
    """
    if start.bundle is not None:
        restore_bundle(network, start.bundle)
        return
    known, _ = load_policy(_checkpoint(start))
    network.load_state_dict(known.state_dict())


def _checkpoint(start: StartConfig) -> Path:
    assert start.checkpoint is not None
    return latest(start.checkpoint)


def recipe_of(bundle: Path, config: TrainingConfig, more_words: tuple[str, ...] = ()) -> Recipe:
    """What a bundle's network is trained on with: its words, then new ones, and its statistics.

    Args:
        bundle: The bundle's folder.
        config: The recipe; its network must be the bundle's, but may have more inputs.
        more_words: Words that the instructions may hold; those that the bundle has not come last.

    Raises:
        BundleError: The bundle is damaged, or its network is another one than the recipe's.
    """
    manifest = read_manifest(bundle)
    _check(bundle, manifest, config)
    ids = open_tokenizer(bundle, manifest.tokenizer).get_vocab()
    words = tuple(sorted(ids, key=ids.__getitem__))[len(RESERVED) :]
    words += tuple(word for word in more_words if word not in ids)
    first = _stage_weights(bundle, manifest)[0]
    try:
        mean, std = (first[f"proprioception_{name}"].tolist() for name in ("mean", "std"))
    except KeyError as error:
        raise _foreign(bundle, str(error)) from error
    action = manifest.action
    scale = action.q01, action.q99, tuple(mean), tuple(std), action.mask
    return Recipe(config, words, Statistics(*scale))


def restore_bundle(network: Policy, bundle: Path) -> None:
    """Put the weights of a bundle into a network of the same shape.

    Args:
        network: Receives them; what the bundle has not keeps its fresh weights.
        bundle: The bundle's folder.

    Raises:
        BundleError: The bundle is damaged, or its network is another one.
    """
    manifest = read_manifest(bundle)
    if not isinstance(network, MagmaPolicy):
        raise _foreign(bundle, "a network of kind magma, and the recipe's is another")
    weights = network.state_dict()
    parts = _stage_weights(bundle, manifest)[_its_stages(network, bundle, manifest)]
    for index, (stage, given) in enumerate(zip(network.stages, parts, strict=True)):
        try:
            found = dict(_unfolded(stage, given))
        except (KeyError, RuntimeError) as error:
            raise _foreign(bundle, f"stage {index} lacks {error}") from error
        for name, fresh in stage.state_dict().items():
            if name not in found and is_fresh(name):
                continue
            if name not in found:
                raise _foreign(bundle, f"stage {index} has no {name}")
            weights[f"stages.{index}.{name}"] = _fitted(bundle, name, found[name], fresh)
    network.load_state_dict(weights)


def _its_stages(network: MagmaPolicy, bundle: Path, manifest: Manifest) -> slice:
    """Which stages of a bundle are this network's: all, or of a cascade those of one policy."""
    looks = [isinstance(stage, FirstLookStage | LookStage) for stage in network.stages]
    begins = [
        index
        for index, stage in enumerate(manifest.stages)
        if any(tensor.name == "tokens" for tensor in stage.inputs)
    ]
    runs = [slice(begin, end) for begin, end in pairwise([*begins, len(manifest.stages)])]
    alike = [
        run for run in runs if looks == [stage.kind == "look" for stage in manifest.stages[run]]
    ]
    if not alike:
        names = ", ".join(stage.name for stage in manifest.stages)
        raise _foreign(bundle, f"its stages {names}")
    width = network.config.width
    return max(alike, key=lambda run: manifest.stages[run.start].outputs[0].shape[-1] == width)


def _fitted(bundle: Path, name: str, found: Tensor, fresh: Tensor) -> Tensor:
    """The found weights; words that the bundle had not begin as the mean of those that it had."""
    if name.endswith("embedding.weight") and found.shape[1:] == fresh.shape[1:]:
        middle = found[len(RESERVED) :].mean(dim=0, keepdim=True)
        return torch.cat([found, middle.expand(len(fresh) - len(found), -1)])
    if found.shape != fresh.shape:
        sizes = (" x ".join(map(str, tensor.shape)) for tensor in (found, fresh))
        raise _foreign(bundle, "{} is {} instead of {}".format(name, *sizes))
    return found


def _stage_weights(bundle: Path, manifest: Manifest) -> list[Weights]:
    parts = []
    for stage in manifest.stages:
        path = bundle / stage.file
        if not path.is_file() or sha256_of(path) != stage.sha256:
            raise BundleError(f"{path} is missing or altered; copy or export the bundle again")
        parts.append(graph_weights(path))
    return parts


def _check(bundle: Path, manifest: Manifest, config: TrainingConfig) -> None:
    """Refuse a recipe whose network has other inputs or outputs than the bundle's."""
    network = config.network
    if not isinstance(network, NetworkConfig):
        raise _foreign(bundle, f"a network of kind magma, and the recipe's is {network.kind}")
    seen = [(c.name, c.height, c.width) for c in manifest.observation.cameras]
    if seen != [(c.name, c.height, c.width) for c in network.cameras]:
        raise _foreign(bundle, "other cameras")
    if manifest.observation.proprioception != network.proprioception:
        raise _foreign(bundle, "other measured values")
    if manifest.action.space.names != network.action.space.names:
        raise _foreign(bundle, "other actions")
    if manifest.action.chunk_length != network.chunk_length:
        raise _foreign(bundle, f"plans of {manifest.action.chunk_length} steps")


def _foreign(bundle: Path, what: str) -> BundleError:
    return BundleError(
        f"{bundle} does not fit the recipe's network ({what}); "
        "start from a bundle that was exported from a network of this shape"
    )


def _unfolded(stage: nn.Module, given: Weights) -> Iterator[tuple[str, Tensor]]:
    """The weights of a stage by the names that they have in training."""
    yield from given.items()
    for prefix, module in stage.named_modules():
        for kind, unfold in UNFOLD.items():
            if isinstance(module, kind):
                start = f"{prefix}." if prefix else ""
                for name, value in unfold(module, _below(given, start)):
                    yield start + name, value


def _below(given: Weights, prefix: str) -> Weights:
    size = len(prefix)
    return {name[size:]: value for name, value in given.items() if name.startswith(prefix)}


def _decoder_layer(_: LlamaDecoderLayer, given: Weights) -> Iterator[tuple[str, Tensor]]:
    """Undoes :class:`magma_ros.models.export.optimise.DecoderLayer`."""
    if "packed.weight" in given:
        attention = given["packed.weight"].chunk(3)
    else:
        attention = (given["queries.weight"], *given["pairs.weight"].chunk(2))
    for name, value in zip("qkv", attention, strict=True):
        yield f"self_attn.{name}_proj.weight", value
    yield "self_attn.o_proj.weight", given["out.weight"]
    for name, value in zip(("gate", "up"), given["gate_up.weight"].chunk(2), strict=True):
        yield f"mlp.{name}_proj.weight", value
    yield "mlp.down_proj.weight", given["down.weight"]
    yield "input_layernorm.weight", given["before.weight"]
    yield "post_attention_layernorm.weight", given["between.weight"]


def _tower(tower: VisionTower, given: Weights) -> Iterator[tuple[str, Tensor]]:
    """Undoes :class:`magma_ros.models.export.optimise.Tower`."""
    yield from _stem(tower, _below(given, "steps.0."))
    used = 0
    for index, stage in enumerate(tower.stages):
        step, to = _below(given, f"steps.{index}."), f"stages.{index}."
        if index:
            convolution = cast("nn.Conv2d", stage.downsampling_layer[1])
            kernels = _kernels(step["1.product.weight"], convolution)
            yield from _renamed(_below(step, "0."), f"{to}downsampling_layer.0.")
            yield f"{to}downsampling_layer.1.weight", kernels
            yield f"{to}downsampling_layer.1.bias", step["1.product.bias"]
        for number, layer in enumerate(stage.layers):
            block = _below(step, f"{number + 2}.")
            yield from _renamed(dict(_block(layer, block)), f"{to}layers.{number}.")
        if len(tower.films):
            size = cast("nn.Linear", tower.films[index].linear).out_features
            rows = slice(used, used + size)
            bias = given["films.bias"][rows].clone()
            bias[: size // 2] -= 1.0  # the exporter adds FiLM's one to the scales
            yield f"films.{index}.linear.weight", given["films.weight"][rows]
            yield f"films.{index}.linear.bias", bias
            used += size


def _block(layer: Any, given: Weights) -> Iterator[tuple[str, Tensor]]:
    """A ConvNeXt block, whose layer scale the exporter has multiplied in."""
    scale = layer.layer_scale_parameter.detach()
    yield "layer_scale_parameter", scale
    yield from _renamed(_below(given, "depthwise."), "dwconv.")
    yield from _renamed(_below(given, "norm."), "layernorm.")
    yield from _renamed(_below(given, "widen."), "pwconv1.")
    yield "pwconv2.weight", given["narrow.weight"] / scale[:, None]
    yield "pwconv2.bias", given["narrow.bias"] / scale


def _stem(tower: VisionTower, given: Weights) -> Iterator[tuple[str, Tensor]]:
    """The first convolution without the shrinking and the normalisation of the pixels."""
    rows, columns = tower.shrink
    convolution = cast("nn.Conv2d", tower.stem.patch_embeddings)
    height, width = convolution.kernel_size
    whole = given["0.product.weight"].unflatten(1, (height, rows, width, columns, 3))
    # Every pixel of those that are averaged has the same weight, up to rounding.
    weight = whole.mean(dim=(2, 4)).permute(0, 3, 1, 2) * (255.0 * rows * columns)
    yield "stem.patch_embeddings.weight", weight * tower.std
    yield (
        "stem.patch_embeddings.bias",
        given["0.product.bias"] + (weight * tower.mean).sum(dim=(1, 2, 3)),
    )
    yield from _renamed(_below(given, "1."), "stem.layernorm.")


def _kernels(product: Tensor, convolution: nn.Conv2d) -> Tensor:
    """The weights of a convolution from those of the product over its patches."""
    height, width = convolution.kernel_size
    kernels: Tensor = product.unflatten(1, (height, width, -1)).permute(0, 3, 1, 2)
    return kernels


def _renamed(given: Weights, prefix: str) -> Iterator[tuple[str, Tensor]]:
    return ((prefix + name, value) for name, value in given.items())


UNFOLD: dict[type[nn.Module], Callable[..., Iterator[tuple[str, Tensor]]]] = {
    LlamaDecoderLayer: _decoder_layer,
    VisionTower: _tower,
}
"""What undoes which part; everything else has kept its names."""
