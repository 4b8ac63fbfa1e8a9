# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint written for tests has the files and the token ids of the released one."""

import json

import pytest

from magma_ros.models.magma.configuration import read_shape
from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.synthetic import TINY, random_weight, scaled, write_checkpoint
from magma_ros.models.magma.synthetic_tokenizer import make_tokenizer


@pytest.mark.parametrize("spelling", ["repository", "transformers"])
def test_what_is_written_is_read(tmp_path, spelling):
    write_checkpoint(tmp_path, shard_bytes=1 << 24, spelling=spelling)
    assert read_shape(tmp_path) == TINY
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    files = set(index["weight_map"].values())
    assert len(files) > 1
    assert files == {path.name for path in tmp_path.glob("*.safetensors")}
    assert index["weight_map"].keys() >= TINY.tensors().keys()


def test_a_weight_depends_on_its_name_and_the_seed_alone():
    one = random_weight("a.weight", (3, 4))
    assert random_weight("a.weight", (3, 4)).equal(one)
    assert not random_weight("b.weight", (3, 4)).equal(one)
    assert not random_weight("a.weight", (3, 4), seed=1).equal(one)


def test_a_scaled_shape_keeps_the_proportions():
    eighth = scaled(1 / 8)
    assert eighth.vision.widths == (48, 96, 192, 384)
    assert (eighth.text.width, eighth.text.heads, eighth.text.kv_heads) == (512, 4, 1)
    assert eighth.text.head_width == MAGMA_8B.text.head_width
    assert eighth.text.layers == 32


def test_token_ids_are_llama_3s():
    tokenizer = make_tokenizer()
    assert tokenizer.get_vocab_size(with_added_tokens=False) == 128_000
    for text, token in (
        ("<|begin_of_text|>", 128_000),
        ("<|start_header_id|>", 128_006),
        ("<|end_header_id|>", 128_007),
        ("<|eot_id|>", 128_009),
        ("<pad>", 128_256),
        ("<image>", 128_257),
        ("<image_start>", 128_259),
        ("<image_end>", 128_260),
        ("\n", 198),
        ("\n\n", 271),
    ):
        assert tokenizer.encode(text, add_special_tokens=False).ids == [token], text


def test_any_text_survives_the_way_there_and_back():
    tokenizer = make_tokenizer()
    text = "Pick up the teacup, s'il vous plaît: 漢字 127!\n\n"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
