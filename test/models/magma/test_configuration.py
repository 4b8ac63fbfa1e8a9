# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both spellings of the configuration mean the same; everything else is one clear sentence."""

import json
from pathlib import Path

import pytest

from magma_ros.models.magma.configuration import CONFIG, PROCESSOR, read_shape
from magma_ros.models.magma.layout import MAGMA_8B, CheckpointLayoutError

VISION = {
    "vision_backbone": "convnextxxlarge",
    "vision_feature_layer": "clip_vis_dense",
    "img_anyres_strategy": "crop",
    "img_size": 512,
    "max_num_crops": 4,
    "mm_hidden_size": 3072,
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_start_end": False,
    "mm_use_row_seperator": True,
}
LLAMA = {
    "model_type": "llama",
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "max_position_embeddings": 8192,
    "vocab_size": 128_320,
}
REPOSITORY = {
    "model_type": "magma",
    "image_token_index": 128_257,
    "mm_use_image_start_end": True,
    "vision_config": VISION,
    "text_config": LLAMA | {"rope_theta": 500_000.0, "rope_scaling": None},
}
TRANSFORMERS = {
    "model_type": "magma",
    "image_token_id": 128_257,
    "vision_config": VISION,
    "text_config": LLAMA
    | {"rope_parameters": {"rope_theta": 500_000.0, "rope_type": "default"}, "head_dim": 128},
}


def write(folder: Path, config: dict, processor: dict | None = None) -> Path:
    (folder / CONFIG).write_text(json.dumps(config))
    if processor is not None:
        (folder / PROCESSOR).write_text(json.dumps(processor))
    return folder


def without(config: dict, *names: str) -> dict:
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize("config", [REPOSITORY, TRANSFORMERS], ids=["repository", "transformers"])
def test_both_spellings_describe_magma_8b(tmp_path, config):
    assert read_shape(write(tmp_path, config)) == MAGMA_8B


def test_fields_that_only_stand_at_the_top_are_the_decoders(tmp_path):
    text = without(REPOSITORY["text_config"], "intermediate_size", "rope_theta")
    config = REPOSITORY | {
        "text_config": text,
        "intermediate_size": 14336,
        "rope_theta": 500_000.0,
    }
    assert read_shape(write(tmp_path, config)) == MAGMA_8B


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "llava"}, "a model of the kind 'llava', not of the kind 'magma'"),
        ({"image_token_index": None}, "neither image_token_index nor image_token_id"),
        ({"text_config": LLAMA | {"model_type": "phi3"}}, "text_config.model_type"),
        ({"text_config": LLAMA | {"attention_bias": True}}, "text_config.attention_bias"),
        ({"text_config": LLAMA | {"num_key_value_heads": 7}}, "multiple of num_key_value_heads"),
        (
            {"text_config": LLAMA | {"rope_scaling": {"rope_type": "llama3"}}},
            "a rotary embedding of the kind llama3 is not supported",
        ),
        ({"vision_config": VISION | {"vision_backbone": "siglip"}}, "there is no backbone siglip"),
        ({"vision_config": VISION | {"img_size": 500}}, "img_size must be a multiple of 32"),
        ({"vision_config": VISION | {"mm_hidden_size": 1024}}, "mm_hidden_size is 1024"),
        ({"vision_config": VISION | {"img_anyres_strategy": "global"}}, "img_anyres_strategy"),
        ({"vision_config": VISION | {"mm_use_im_start_end": True}}, "mm_use_im_start_end"),
        ({"vision_config": None}, "vision_config"),
    ],
)
def test_a_configuration_that_is_not_magmas_is_refused_in_a_sentence(tmp_path, change, sentence):
    with pytest.raises(CheckpointLayoutError) as caught:
        read_shape(write(tmp_path, REPOSITORY | change))
    assert sentence in str(caught.value)
    assert str(caught.value).endswith("give the folder of a checkpoint like microsoft/Magma-8B")


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(CheckpointLayoutError, match=r"config\.json cannot be read"):
        read_shape(tmp_path)


def test_the_image_processor_gives_mean_and_deviation(tmp_path):
    processor = {"image_mean": [0.5, 0.5, 0.5], "base_img_size": 512, "num_crops": 4}
    shape = read_shape(write(tmp_path, REPOSITORY, processor))
    assert shape.image_mean == (0.5, 0.5, 0.5)
    assert shape.image_std == MAGMA_8B.image_std


def test_an_image_processor_of_another_tile_size_is_refused(tmp_path):
    write(tmp_path, REPOSITORY, {"base_img_size": 768})
    with pytest.raises(
        CheckpointLayoutError, match=r"base_img_size 768, but config\.json says 512"
    ):
        read_shape(tmp_path)
