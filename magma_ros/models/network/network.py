# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy network: looks (ConvNeXt towers) and thinks (Llama layers), with exits after thinks.

The building blocks are transformers' own: ConvNeXt for vision and Llama layers for the decoder,
joined by LLaVA-1.5's two-layer projector as in Magma. What a small policy trained from scratch
needs beyond that is an option of the configuration: vision modulated by the instruction (FiLM,
arXiv 1709.07871), grounding tokens (a spatial softmax as in arXiv 1504.00702, steered by the
instruction), and learned action queries that attend to everything and are attended by everything.

All tokens form one *state* (B, S, D): K action queries, one proprioception token, the words, the
point if the network takes one, the places if it reads them, then the tokens of each look in the
order in which they entered. A later look only appends.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers.models.convnext.modeling_convnext import ConvNextConfig, ConvNextModel
from transformers.models.llama.modeling_llama import (
    LlamaConfig,
    LlamaDecoderLayer,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
)

from magma_ros.models.network.actions import BINS
from magma_ros.models.network.config import (
    LookConfig,
    NetworkConfig,
    ThinkConfig,
    TraceConfig,
    ViewConfig,
)
from magma_ros.models.network.places import FineGrounding, PlaceHead
from magma_ros.models.network.point import PointEncoder, PointMark, PointTrust

# Magma's image statistics: those of OpenAI's CLIP.
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)

PAD = 0
"""Token id that fills an instruction up to its fixed length."""


class Inputs(NamedTuple):
    """A batch of observations.

    Attributes:
        images: By camera name, (B, H, W, 3) uint8 RGB.
        proprioception: (B, P) in raw units.
        tokens: (B, T) int64 word ids, 0 = padding.
        point: (B, 3) column and row of what a mark names, 0 to 1 across the image, then 1; or
            zeros for no mark. None for a network that takes none.
    """

    images: dict[str, Tensor]
    proprioception: Tensor
    tokens: Tensor
    point: Tensor | None = None


class ExitOutput(NamedTuple):
    """Output of one exit.

    Attributes:
        logits: (B, K, 7, 255) bin logits.
        positions: (B, 6) target and goal relative to the end effector; a training aid only.
        trace: (B, H, 2, 2) where gripper and target will be, column and row, 0 to 1 across the
            image; None for a network without traces.
    """

    logits: Tensor
    positions: Tensor
    trace: Tensor | None


class PolicyOutput(NamedTuple):
    """Output of the whole network.

    Attributes:
        exits: One output per exit, shallowest first.
        heat: By view, (B, G, N) logits of the grounding tokens' heat maps.
        places: (B, 6) target and goal relative to the end effector, as the heat maps have them;
            None for a network without places.
    """

    exits: list[ExitOutput]
    heat: dict[str, Tensor]
    places: Tensor | None = None


def tokens_of(view: ViewConfig, config: NetworkConfig) -> int:
    """Tokens that a view adds to the state."""
    rows, columns = view.grid
    return rows * columns + config.grounding


class FirstLookStage(nn.Module):
    """Builds the state: queries, proprioception, words, point, and the first views' tokens."""

    proprioception_mean: Tensor
    proprioception_std: Tensor

    def __init__(self, config: NetworkConfig, stage: LookConfig, vocabulary: int) -> None:
        super().__init__()
        width, fields = config.width, len(config.proprioception)
        self.register_buffer("proprioception_mean", torch.zeros(fields))
        self.register_buffer("proprioception_std", torch.ones(fields))
        self.instruction = InstructionEncoder(config, vocabulary)
        self.proprioception = mlp(fields, width)
        self.queries = nn.Parameter(0.02 * torch.randn(1, config.chunk_length, width))
        self.point = None if config.point is None else PointEncoder(width)
        self.vision = VisionTowers(config, stage)
        self.placed, self.grounding = config.places, config.grounding
        self.places = (
            None if config.places is None else PlaceHead(config, config.view(config.places))
        )

    def forward(
        self,
        images: dict[str, Tensor],
        proprioception: Tensor,
        tokens: Tensor,
        point: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, dict[str, Tensor], Tensor | None]:
        """The state (B, S, D), the instruction's summary (B, D), heat maps, and places (B, 6)."""
        words, instruction = self.instruction(tokens)
        pointed: list[Tensor] = []
        if self.point is not None:
            token, shift = self.point(point)
            pointed, instruction = [token], instruction + shift
        measured = (proprioception - self.proprioception_mean) / self.proprioception_std
        body = self.proprioception(measured).unsqueeze(1)
        queries = self.queries.expand(len(tokens), -1, -1)
        seen, heat = self.vision(images, instruction, point)
        places = None
        if self.places is not None and self.placed is not None:
            grounded = seen[list(heat).index(self.placed)][:, -self.grounding :]
            token, places = self.places(heat[self.placed], grounded, measured, instruction)
            pointed = [*pointed, token]
        return torch.cat([queries, body, words, *pointed, *seen], dim=1), instruction, heat, places


class LookStage(nn.Module):
    """Appends the tokens of further views to the state."""

    def __init__(self, config: NetworkConfig, stage: LookConfig) -> None:
        super().__init__()
        self.vision = VisionTowers(config, stage)

    def forward(
        self,
        images: dict[str, Tensor],
        state: Tensor,
        instruction: Tensor,
        point: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The longer state and the heat maps."""
        seen, heat = self.vision(images, instruction, point)
        return torch.cat([state, *seen], dim=1), heat


class ThinkStage(nn.Module):
    """Decoder layers with attention both ways, and an action head after them if asked."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: NetworkConfig, stage: ThinkConfig, length: int) -> None:
        super().__init__()
        llama = llama_config(config)
        self.layers = nn.ModuleList(LlamaDecoderLayer(llama, i) for i in range(stage.think))
        self.exit = ExitHead(config) if stage.exit else None
        cos, sin = LlamaRotaryEmbedding(llama)(torch.zeros(1), torch.arange(length)[None])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        initialise(self.layers)

    def forward(self, state: Tensor) -> Tensor:
        """The state (B, S, D) after these layers."""
        for layer in self.layers:
            state = layer(state, position_embeddings=(self.cos, self.sin))
        return state


class ExitHead(nn.Module):
    """Reads a plan from the action queries."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.chunk_length = config.chunk_length
        self.norm = LlamaRMSNorm(config.width, eps=1e-5)
        self.floor = config.action.floor
        self.bins = nn.Linear(config.width, len(self.floor) * BINS)
        self.positions = nn.Linear(config.width, 6)
        self.trace = None if config.trace is None else TraceHead(config, config.trace)

    def forward(self, state: Tensor) -> ExitOutput:
        """Logits, auxiliary positions and trace from the state (B, S, D)."""
        queries = self.norm(state[:, : self.chunk_length])
        logits = self.bins(queries).unflatten(-1, (len(self.floor), BINS))
        trace = None if self.trace is None else self.trace(queries)
        return ExitOutput(logits, self.positions(queries[:, 0]), trace)


class TraceHead(nn.Module):
    """Reads where gripper and target will be; each moment from the query of its step."""

    def __init__(self, config: NetworkConfig, trace: TraceConfig) -> None:
        super().__init__()
        self.queries = [min(step, config.chunk_length) - 1 for step in trace.steps]
        self.hidden = nn.Linear(config.width, config.width)
        # Moments beyond the chunk share its last query, so each has weights of its own.
        self.weight = nn.Parameter(torch.empty(len(trace.steps), config.width, 4))
        self.bias = nn.Parameter(torch.full((len(trace.steps), 1, 4), 0.5))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, queries: Tensor) -> Tensor:
        """(B, H, 2, 2) from the queries (B, K, D)."""
        chosen = nn.functional.gelu(self.hidden(queries[:, self.queries]))
        places = chosen.unsqueeze(2) @ self.weight + self.bias
        points: Tensor = places.unflatten(-1, (2, 2)).squeeze(2)
        return points


class InstructionEncoder(nn.Module):
    """Words to tokens and to one vector, through one bidirectional Llama layer."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: NetworkConfig, vocabulary: int) -> None:
        super().__init__()
        llama = llama_config(config)
        self.embedding = nn.Embedding(vocabulary, config.width, padding_idx=PAD)
        self.layer = LlamaDecoderLayer(llama, 0)
        positions = torch.arange(config.max_tokens)[None]
        cos, sin = LlamaRotaryEmbedding(llama)(torch.zeros(1), positions)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        initialise(self.layer)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The words (B, T, D) and their mean (B, D), padding left out."""
        present = (tokens != PAD).unsqueeze(-1).float()
        blocked = (1.0 - present).transpose(1, 2).unsqueeze(1) * -1e4
        words = self.layer(
            self.embedding(tokens),
            attention_mask=blocked,
            position_embeddings=(self.cos, self.sin),
        )
        words = words * present
        return words, words.sum(dim=1) / present.sum(dim=1).clamp_min(1.0)


class VisionTowers(nn.Module):
    """The towers of one look."""

    def __init__(self, config: NetworkConfig, stage: LookConfig) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(
            {name: VisionTower(config.view(name), config) for name in stage.look}
        )
        self.cameras = {name: config.view(name).camera for name in stage.look}

    @property
    def takes_point(self) -> bool:
        """Whether a view shows the image that points lie in."""
        return any(tower.point is not None for tower in self.towers.values())

    def forward(
        self, images: dict[str, Tensor], instruction: Tensor, point: Tensor | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Tokens per view, and the heat maps of views with grounding."""
        seen: list[Tensor] = []
        heat: dict[str, Tensor] = {}
        for name, tower in self.towers.items():
            tokens, logits = tower(images[self.cameras[name]], instruction, point)
            seen.append(tokens)
            if logits is not None:
                heat[name] = logits
        return seen, heat


class VisionTower(nn.Module):
    """ConvNeXt stages, modulated by the instruction, and the projector to the decoder's width."""

    mean: Tensor
    std: Tensor

    def __init__(self, view: ViewConfig, config: NetworkConfig) -> None:
        super().__init__()
        convnext = ConvNextModel(
            ConvNextConfig(
                patch_size=view.patch,
                num_stages=len(view.depths),
                depths=list(view.depths),
                hidden_sizes=list(view.channels),
                layer_scale_init_value=config.layer_scale,
            )
        )
        self.stem = convnext.embeddings
        self.stages = convnext.encoder.stages
        self.films = nn.ModuleList(
            Film(config.width, channels) for channels in view.channels if config.modulation
        )
        rows, columns = view.grid
        self.norm = nn.LayerNorm(view.channels[-1])
        self.projector = mlp(view.channels[-1], config.width)
        self.position = nn.Parameter(0.02 * torch.randn(1, rows * columns, config.width))
        marked = config.point is not None and config.point.camera == view.camera
        self.point = PointMark(config.width, view.grid) if marked else None
        self.fine = view.fine
        self.grounding: Grounding | FineGrounding | None = None
        if view.fine is not None:
            self.grounding = FineGrounding(config, view)
        elif config.grounding:
            self.grounding = Grounding(config, view.grid, marked=marked)
        camera = next(c for c in config.cameras if c.name == view.camera)
        self.shrink = (camera.height // view.height, camera.width // view.width)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1), persistent=False)

    def forward(
        self, image: Tensor, instruction: Tensor, point: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, N + G, D) of a (B, H, W, 3) image, and the heat logits (B, G, N).

        The image is uint8, or already float on 0 to 255 when it was augmented.
        """
        pixels = image.permute(0, 3, 1, 2).float() / 255.0
        if self.shrink != (1, 1):
            pixels = nn.functional.avg_pool2d(pixels, self.shrink)
        features = self.stem((pixels - self.mean) / self.std)
        early = features
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if self.films:
                features = self.films[index](features, instruction)
            early = features if index + 1 == self.fine else early
        flat = self.norm(features.flatten(2).transpose(1, 2))
        tokens = self.projector(flat) + self.position
        near = None
        if self.point is not None:
            tokens, near = self.point(tokens, point)
        if self.grounding is None:
            return tokens, None
        if self.fine is None:
            grounded, heat = self.grounding(tokens, instruction, near)
        else:
            grounded, heat = self.grounding(early.flatten(2).transpose(1, 2), tokens, instruction)
        return torch.cat([tokens, grounded], dim=1), heat


class Film(nn.Module):
    """Scales and shifts channels by the instruction; starts as the identity."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, instruction: Tensor) -> Tensor:
        """Modulated features (B, C, H, W)."""
        scale, shift = self.linear(instruction)[:, :, None, None].chunk(2, dim=1)
        modulated: Tensor = features * (1.0 + scale) + shift
        return modulated


class Grounding(nn.Module):
    """Tokens that locate the objects of the instruction: a heat map and its mean position."""

    grid: Tensor

    def __init__(self, config: NetworkConfig, shape: tuple[int, int], *, marked: bool) -> None:
        super().__init__()
        width, self.count = config.width, config.grounding
        self.point = PointTrust(width, self.count) if marked else None
        self.scale = width**-0.5
        self.queries = nn.Linear(width, self.count * width)
        self.keys = nn.Linear(width, width)
        self.content = nn.Linear(width, width)
        self.place = mlp(2, width)
        self.identity = nn.Parameter(0.02 * torch.randn(1, self.count, width))
        y, x = (torch.linspace(-1.0, 1.0, n) for n in shape)
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flip(-1)
        self.register_buffer("grid", grid.reshape(-1, 2), persistent=False)

    def forward(
        self, tokens: Tensor, instruction: Tensor, near: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Grounding tokens (B, G, D) and heat logits (B, G, N) from vision tokens (B, N, D).

        Args:
            tokens: Of the view.
            instruction: Summary (B, D).
            near: (B, N) how near each token is to a marked place, if the view shows marks.
        """
        queries = self.queries(instruction).unflatten(-1, (self.count, -1))
        heat = (queries @ self.keys(tokens).transpose(1, 2)).float() * self.scale
        if self.point is not None:
            heat = self.point(heat, near, instruction)
        weights = torch.softmax(heat, dim=-1)
        position = weights @ self.grid
        content = self.content(weights.to(tokens.dtype) @ tokens)
        return content + self.place(position) + self.identity, heat


def llama_config(config: NetworkConfig) -> LlamaConfig:
    """Llama's configuration; eager attention exports to plain matrix products."""
    llama = LlamaConfig(
        hidden_size=config.width,
        intermediate_size=config.hidden,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        rms_norm_eps=1e-5,
    )
    llama._attn_implementation = "eager"  # noqa: SLF001
    return llama


def mlp(inputs: int, width: int) -> nn.Sequential:
    """LLaVA-1.5's projector: linear, GELU, linear."""
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))


def initialise(module: nn.Module) -> None:
    """Llama's initialisation, which the bare layers do not apply themselves."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
