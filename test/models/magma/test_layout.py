# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layout agrees with what is published of Magma-8B."""

import math

from magma_ros.models.magma.layout import MAGMA_8B, PROJECTOR, TRUNK, is_unused


def weights(prefix: str) -> int:
    tensors = MAGMA_8B.tensors()
    return sum(math.prod(size) for name, size in tensors.items() if name.startswith(prefix))


def test_weights_add_up_to_what_is_published():
    assert weights(TRUNK) == 843_391_872  # OpenCLIP's 846.54 M less the pooled head
    assert weights(PROJECTOR) == 29_372_416
    assert 8.90e9 < MAGMA_8B.parameters < 8.91e9  # 17.81 GB in four bf16 shards


def test_an_image_is_given_a_token_for_every_feature_and_every_row():
    grids = {(1, 1): 272, (1, 2): 528, (2, 1): 544, (2, 2): 1056}
    assert {grid: MAGMA_8B.image_tokens(*grid) for grid in grids} == grids


def test_every_layer_scale_is_expected():
    gammas = [name for name in MAGMA_8B.tensors() if name.endswith(".gamma")]
    assert len(gammas) == 3 + 4 + 30 + 3
    assert all(name.startswith(f"{TRUNK}stages.") for name in gammas)


def test_the_pooled_head_may_be_there_and_nothing_else_may():
    assert is_unused(f"{TRUNK}head.norm.weight")
    assert is_unused("vision_tower.clip_vision_model.head.proj.weight")
    assert is_unused("language_model.model.layers.3.self_attn.rotary_emb.inv_freq")
    assert not any(is_unused(name) for name in MAGMA_8B.tensors())
    assert not is_unused("language_model.lora.weight")
