# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plain baseline: Action Chunking with Transformers, after Zhao et al. (arXiv 2304.13705).

A ResNet turns the images into tokens, a transformer encoder reads them together with the measured
values and the style z, and a transformer decoder writes the whole plan at once, as plain numbers.
In training, z is sampled from the output of a second encoder that reads the demonstrated plan (a
conditional variational autoencoder), with a penalty on its divergence from a normal distribution;
at run time z is the mean of the prior, zero. The loss is the L1 distance of the plan.

What differs from the paper, so that it learns the same tasks from the same demonstrations:

- Tasks are given by language: the words of the instruction enter the encoder as tokens.
- The images are small, so the trunk keeps one token per 16 pixels instead of 32. It starts from
  random weights, and its norms are group norms, which averaged weights ask for (arXiv 2303.04137).
- Positions are learned instead of sinusoidal, and layers normalise what they are given instead of
  what they give, which tolerates the higher learning rate.

There is one exit. A regressor has no distribution: the exit always reports entropy 0, margin 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.resnet.modeling_resnet import ResNetConfig, ResNetModel

from magma_ros.models.network.config import CHANNELS_PER_GROUP, ActConfig, LossConfig
from magma_ros.models.network.graphs import StageGraph
from magma_ros.models.network.losses import Batch, Losses
from magma_ros.models.network.network import IMAGE_MEAN, IMAGE_STD, PAD, Inputs
from magma_ros.models.network.policy import Policy
from magma_ros.policy.contract import EXIT_OUTPUTS


class Imitation(NamedTuple):
    """Output of the network when the demonstrated plan is one of its inputs.

    Attributes:
        actions: (B, K, D) predicted plan.
        mean: (B, Z) of the style encoded from the demonstrated plan.
        log_variance: (B, Z) of that style.
    """

    actions: Tensor
    mean: Tensor
    log_variance: Tensor


class ActPolicy(Policy):
    """The policy in two stages: the encoder of observations, and the decoder of plans.

    Args:
        config: Shape of the network.
        vocabulary: Number of word ids, padding and unknown included.
    """

    bins = None

    def __init__(self, config: ActConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.observer = Observer(config, vocabulary)
        self.actor = Actor(config)
        self.style = StyleEncoder(config)

    def forward(self, inputs: Inputs, actions: Tensor, valid: Tensor) -> Imitation:
        """Predict a plan given the demonstrated one (B, K, D) where ``valid`` (B, K)."""
        measured = self.observer.normalise(inputs.proprioception)
        mean, log_variance = self.style(measured, actions, valid)
        style = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return Imitation(self.actor(self.observer(*inputs[:3], style)), mean, log_variance)

    def set_proprioception_statistics(self, mean: Tensor, std: Tensor) -> None:
        """See :class:`Policy`."""
        self.observer.proprioception_mean.copy_(mean)
        self.observer.proprioception_std.copy_(std.clamp_min(1e-3))

    def losses(self, batch: Batch, weights: LossConfig) -> Losses:
        """See :class:`Policy`."""
        wanted, valid = batch.labels.actions, batch.labels.valid
        output: Imitation = self(batch.inputs, wanted, valid)
        share = valid.float() / valid.sum().clamp_min(1)
        error = ((output.actions.float() - wanted).abs().mean(dim=-1) * share).sum()
        divergence = normal_divergence(output.mean, output.log_variance)
        total = error + weights.divergence * divergence
        return Losses(total, {"error": error, "divergence": divergence})

    def plan(self, inputs: Inputs) -> Tensor:
        """See :class:`Policy`."""
        return self.actor.within_range(self.actor(self.observer(*inputs[:3])))

    def stage_graphs(self) -> list[StageGraph]:
        """See :class:`Policy`."""
        self.eval()
        cameras = tuple(camera.name for camera in self.config.cameras)
        images = tuple(f"image_{camera}" for camera in cameras)
        look = _Look(self.observer, cameras)
        given = (*images, "proprioception", "tokens")
        return [
            StageGraph("look_0", "look", look, given, ("state_0",), None),
            StageGraph("think_1", "think", _Think(self.actor), ("state_0",), EXIT_OUTPUTS, 1),
        ]


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over the batch of KL(N(mean, variance) || N(0, 1)), summed over Z; from (B, Z) each."""
    terms = mean.square() + log_variance.exp() - 1.0 - log_variance
    return 0.5 * terms.sum(dim=-1).mean()


class Observer(nn.Module):
    """Encodes an observation and the style into the memory that the actor attends to."""

    proprioception_mean: Tensor
    proprioception_std: Tensor

    def __init__(self, config: ActConfig, vocabulary: int) -> None:
        super().__init__()
        fields, width = len(config.proprioception), config.width
        self.register_buffer("proprioception_mean", torch.zeros(fields))
        self.register_buffer("proprioception_std", torch.ones(fields))
        self.style_dims = config.style
        self.trunk = Trunk(config)
        self.style = nn.Linear(config.style, width)
        self.proprioception = nn.Linear(fields, width)
        self.words = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.position = positions(2 + config.max_tokens + config.image_tokens, width)
        self.encoder = Encoder(config)

    def normalise(self, proprioception: Tensor) -> Tensor:
        """Measured values (B, P) in units of their standard deviation."""
        measured: Tensor = (proprioception - self.proprioception_mean) / self.proprioception_std
        return measured

    def forward(
        self,
        images: dict[str, Tensor],
        proprioception: Tensor,
        tokens: Tensor,
        style: Tensor | None = None,
    ) -> Tensor:
        """The memory (B, S, D): style (B, Z), zero by default, values, words and images."""
        if style is None:
            style = proprioception.new_zeros(len(proprioception), self.style_dims)
        body = self.proprioception(self.normalise(proprioception))
        seen = [self.trunk(image) for image in images.values()]
        alone = torch.stack([self.style(style), body], dim=1)
        known = torch.cat([alone, self.words(tokens), *seen], dim=1)
        memory: Tensor = self.encoder(known + self.position)
        return memory


class Actor(nn.Module):
    """Writes the plan: one query per step attends to the others and to the memory."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.queries = positions(config.chunk_length, config.width)
        self.layers = nn.ModuleList(
            Layer(config, reads_memory=True) for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.floor = config.action.floor
        self.actions = nn.Linear(config.width, len(config.action.dims))

    def forward(self, memory: Tensor) -> Tensor:
        """Actions (B, K, D) from the memory (B, S, D)."""
        plan = self.queries.repeat(len(memory), 1, 1)
        for layer in self.layers:
            plan = layer(plan, memory=memory)
        actions: Tensor = self.actions(self.norm(plan))
        return actions

    def within_range(self, actions: Tensor) -> Tensor:
        """The (..., D) actions cut to [-1, 1], a gripper's to [0, 1]."""
        return torch.maximum(actions.clamp(-1.0, 1.0), actions.new_tensor(self.floor))


class StyleEncoder(nn.Module):
    """Encodes the style of a demonstrated plan; used in training alone, and not exported."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        width = config.width
        self.proprioception = nn.Linear(len(config.proprioception), width)
        self.actions = nn.Linear(len(config.action.dims), width)
        self.summary = positions(1, width)
        self.position = positions(2 + config.chunk_length, width)
        self.encoder = Encoder(config)
        self.style = nn.Linear(width, 2 * config.style)

    def forward(self, measured: Tensor, actions: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, Z) from values (B, P) and a plan (B, K, D).

        Elements of the plan that are not ``valid`` (B, K) are masked.
        """
        summary = self.summary.repeat(len(actions), 1, 1)
        body = self.proprioception(measured).unsqueeze(1)
        tokens = torch.cat([summary, body, self.actions(actions)], dim=1) + self.position
        hidden = functional.pad(~valid, (2, 0), value=False)
        seen = self.encoder(tokens, hidden)[:, 0]
        mean, log_variance = self.style(seen).float().chunk(2, dim=-1)
        return mean, log_variance


class Trunk(nn.Module):
    """transformers' ResNet with group norms, as a row of tokens; all cameras share it."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        resnet = ResNetModel(
            ResNetConfig(
                embedding_size=config.channels[0],
                hidden_sizes=list(config.channels),
                depths=list(config.depths),
                layer_type="basic",
            )
        )
        use_group_norms(resnet)
        self.stem, self.stages = resnet.embedder, resnet.encoder.stages
        self.projector = nn.Linear(config.channels[-1], config.width)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Tokens (B, N, D) of a (B, H, W, 3) image, uint8 or float on 0 to 255."""
        pixels = image.permute(0, 3, 1, 2).float() / 255.0
        features = self.stem((pixels - self.mean) / self.std)
        for stage in self.stages:
            features = stage(features)
        tokens: Tensor = self.projector(features.flatten(2).transpose(1, 2))
        return tokens


class Encoder(nn.Module):
    """Transformer layers in which every token attends to every other, and a norm."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Tokens (B, S, D); none attends to those that are ``hidden`` (B, S)."""
        for layer in self.layers:
            tokens = layer(tokens, hidden=hidden)
        encoded: Tensor = self.norm(tokens)
        return encoded


class Layer(nn.Module):
    """A transformer layer: attention to each other, to a memory if it reads one, then an MLP."""

    def __init__(self, config: ActConfig, *, reads_memory: bool = False) -> None:
        super().__init__()
        width = config.width
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(config)
        self.before_reading = nn.LayerNorm(width) if reads_memory else None
        self.reading = Attention(config) if reads_memory else None
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, tokens: Tensor, memory: Tensor | None = None, hidden: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, S, D) after attending to those not ``hidden`` (B, S), and to the memory."""
        normed = self.before_attention(tokens)
        tokens = tokens + self.dropout(self.attention(normed, normed, hidden))
        if self.before_reading is not None and self.reading is not None:
            tokens = tokens + self.dropout(self.reading(self.before_reading(tokens), memory))
        changed: Tensor = tokens + self.dropout(self.mlp(tokens))
        return changed


class Attention(nn.Module):
    """Multi-head attention, written out so that it exports to plain matrix products."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.width // config.heads) ** -0.5
        self.queries = nn.Linear(config.width, config.width)
        self.pairs = nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, memory: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Attention of tokens (B, S, D) to a memory (B, M, D) where it is not ``hidden`` (B, M)."""
        queries = self._split(self.queries(tokens))
        keys, values = (self._split(half) for half in self.pairs(memory).chunk(2, dim=-1))
        fit = (queries @ keys.transpose(2, 3)) * self.scale
        if hidden is not None:
            fit = fit.masked_fill(hidden[:, None, None, :], float("-inf"))
        found = self.dropout(torch.softmax(fit, dim=-1)) @ values
        mixed: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return mixed

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, S, D) to (B, heads, S, D / heads)."""
        split: Tensor = tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split


def positions(count: int, width: int) -> nn.Parameter:
    """(1, count, width) learned positions, initialised to about the magnitude of the tokens."""
    return nn.Parameter(0.5 * torch.randn(1, count, width))


def use_group_norms(module: nn.Module) -> None:
    """Replace all batch norms inside a module."""
    for name, part in module.named_children():
        if isinstance(part, nn.BatchNorm2d):
            groups = part.num_features // CHANNELS_PER_GROUP
            setattr(module, name, nn.GroupNorm(groups, part.num_features))
        else:
            use_group_norms(part)


class _Look(nn.Module):
    """The observer with its images as separate inputs."""

    def __init__(self, observer: Observer, cameras: tuple[str, ...]) -> None:
        super().__init__()
        self.observer, self.cameras = observer, cameras

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        *images, proprioception, tokens = inputs
        seen = dict(zip(self.cameras, images, strict=True))
        return (self.observer(seen, proprioception, tokens),)


class _Think(nn.Module):
    """The actor with an exit's figures."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        action = self.actor.within_range(self.actor(memory))
        return action, torch.zeros_like(action), torch.ones_like(action)
