# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folded weights answer as the unfolded definition of MAGIC does, on small random networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from torch import Tensor, nn

from magma_ros.models.merging.methods import Method, on_ellipsoid

CLOSE = {"rtol": 0.0, "atol": 1e-5}


class Small(nn.Module):
    """An embedding, a convolution and products with a nonlinearity between them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.words = nn.Embedding(7, width)
        self.picture = nn.Conv2d(3, width, 3)
        self.deep = nn.ModuleList(nn.Linear(width, width, bias=i % 2 == 0) for i in range(depth))

    def forward(self, tokens: Tensor, image: Tensor) -> Tensor:
        seen = self.picture(image).flatten(2).transpose(1, 2)
        state = torch.cat([self.words(tokens), seen], dim=1)
        for layer in self.deep:
            state = torch.tanh(layer(state))
        return state


def family(seed: int, width: int, depth: int, parents: int) -> tuple[Small, list[Small]]:
    torch.manual_seed(seed)
    base, others = Small(width, depth), [Small(width, depth) for _ in range(parents)]
    with torch.no_grad():
        for other in others:
            for mine, first in zip(other.parameters(), base.parameters(), strict=True):
                mine.copy_(first + 0.3 * torch.randn_like(first))
    return base, others


def merged_of(base: Small, others: list[Small]) -> Small:
    merged = Small(base.words.embedding_dim, len(base.deep))
    with torch.no_grad():
        for mine, first, *rest in zip(
            merged.parameters(), base.parameters(), *(o.parameters() for o in others), strict=True
        ):
            vectors = torch.stack([one - first for one in rest])
            mine.copy_(first + Method().merge(vectors, torch.zeros(len(rest))))
    return merged


def unfolded(
    network: Small, base: Small, scale: Callable[[str, Tensor], Tensor], given: tuple[Tensor, ...]
) -> Tensor:
    """Run the network; each module's output becomes f(x; base) + s (f(x) - f(x; base))."""
    firsts = dict(base.named_modules())

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def see(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            first: Tensor = firsts[name](*inputs)
            return first + scale(name, output - first)

        return see

    hooks = [
        module.register_forward_hook(hook(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding)
    ]
    answer: Tensor = network(*given)
    for one in hooks:
        one.remove()
    return answer


SHAPES = (st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 3), st.integers(1, 3))


@examples(30)
@given(*SHAPES)
@torch.no_grad()
def test_scales_of_features_fold_into_weights(
    seed: int, width: int, depth: int, parents: int
) -> None:
    base, others = family(seed, width, depth, parents)
    merged, folded = merged_of(base, others), Small(width, depth)
    scales = {name: float(torch.rand(()) + 0.5) for name, _ in merged.named_modules()}
    firsts = dict(base.named_parameters())
    for (name, mine), own in zip(folded.named_parameters(), merged.parameters(), strict=True):
        mine.copy_(firsts[name] + scales[name.rpartition(".")[0]] * (own - firsts[name]))
    given_inputs = torch.randint(7, (2, 3)), torch.randn(2, 3, 5, 5)
    wanted = unfolded(merged, base, lambda name, added: scales[name] * added, given_inputs)
    torch.testing.assert_close(folded(*given_inputs), wanted, **CLOSE)


@examples(30)
@given(*SHAPES)
@torch.no_grad()
def test_scales_of_rows_fold_into_weights(seed: int, width: int, depth: int, parents: int) -> None:
    base, others = family(seed, width, depth, parents)
    merged, folded = merged_of(base, others), merged_of(base, others)
    rows: dict[str, Tensor] = {}
    for index in range(depth):
        first, own = base.deep[index].weight, merged.deep[index].weight
        vectors = torch.stack([other.deep[index].weight - first for other in others])
        rows[f"deep.{index}"] = on_ellipsoid(own - first, vectors)
        scaled = rows[f"deep.{index}"][:, None] * (own - first)
        folded.deep[index].weight.copy_(first + scaled)
        # The definition scales what the weight adds; biases stay as they were merged.
        if merged.deep[index].bias is not None:
            for network in (merged, folded, base):
                network.deep[index].bias.zero_()

    def scale(name: str, added: Tensor) -> Tensor:
        return rows[name] * added if name in rows else added

    given_inputs = torch.randint(7, (2, 3)), torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(
        folded(*given_inputs), unfolded(merged, base, scale, given_inputs), **CLOSE
    )
