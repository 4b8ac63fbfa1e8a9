# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The prompt is the official one, token by token, or the folder is refused in one sentence."""

import json
from dataclasses import replace

import pytest
from tokenizers import Tokenizer

from magma_ros.models.magma.layout import MAGMA_8B
from magma_ros.models.magma.synthetic import TINY
from magma_ros.models.magma.synthetic_tokenizer import TEMPLATE
from magma_ros.models.magma.words import read_words
from magma_ros.types import MagmaError

INSTRUCTION = "Pick coke can"

TEXT = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "You are agent that can see, talk and act.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n"
    "<image_start><image><image_end>\nWhat action should the robot take to pick coke can?"
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)


def change(path, **fields):
    content = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps(content | fields))


def test_the_published_example_has_42_tokens_with_the_image_at_23(tiny_checkpoint):
    words = read_words(tiny_checkpoint, TINY)
    ids = words.prompt.ids(words.tokenizer, INSTRUCTION)
    assert len(ids) == 42
    assert ids.index(128_257) == 23
    assert ids.count(128_257) == 1
    assert len(ids) - 1 + MAGMA_8B.image_tokens() == 313
    assert ids[:3] == [128_000, 128_000, 128_006]
    assert ids[21:26] == [271, 128_259, 128_257, 128_260, 198]
    assert ids[-5:-3] == [128_009, 128_006]
    assert ids[-2:] == [128_007, 271]
    assert words.end_of_turn == 128_009


def test_the_text_is_the_official_one_byte_for_byte(tiny_checkpoint):
    words = read_words(tiny_checkpoint, TINY)
    assert words.prompt.text(INSTRUCTION) == "<|begin_of_text|>" + TEXT
    # The official way: the template's text goes through a tokenizer that adds a beginning.
    official = Tokenizer.from_file(str(tiny_checkpoint / "tokenizer.json")).encode(TEXT).ids
    assert words.prompt.ids(words.tokenizer, INSTRUCTION) == official


def test_the_text_is_what_transformers_makes_of_the_folders_template(tiny_checkpoint):
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(tiny_checkpoint))
    messages = [
        {"role": "system", "content": "You are agent that can see, talk and act."},
        {
            "role": "user",
            "content": "<image_start><image><image_end>\n"
            "What action should the robot take to pick coke can?",
        },
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    words = read_words(tiny_checkpoint, TINY)
    assert text == TEXT
    assert words.prompt.ids(words.tokenizer, INSTRUCTION) == tokenizer(text).input_ids


def test_a_single_beginning_can_be_asked_for(tiny_checkpoint):
    twice, once = (read_words(tiny_checkpoint, TINY, beginnings=count) for count in (2, 1))
    ids = twice.prompt.ids(twice.tokenizer, INSTRUCTION)
    assert once.prompt.ids(once.tokenizer, INSTRUCTION) == ids[1:]


def test_the_image_may_stand_alone(tiny_checkpoint):
    words = read_words(tiny_checkpoint, replace(TINY, image_start_end=False))
    ids = words.prompt.ids(words.tokenizer, INSTRUCTION)
    assert len(ids) == 40
    assert not {128_259, 128_260} & set(ids)


def test_the_parts_round_the_image_make_up_the_whole(tiny_checkpoint):
    words = read_words(tiny_checkpoint, TINY)
    prompt, tokenizer = words.prompt, words.tokenizer
    for instruction in ("push the red block to the blue cube", "Öffne die Tür!", "a\n\nb"):
        parts = [*prompt.prefix(tokenizer), 128_257, *prompt.suffix(tokenizer, instruction)]
        assert parts == prompt.ids(tokenizer, instruction)
    assert len(prompt.prefix(tokenizer)) == 23


def test_actions_count_down_from_the_base_vocabulary(tiny_checkpoint):
    words = read_words(tiny_checkpoint, TINY)
    assert words.tokenizer.get_vocab_size() == 128_261
    assert words.codec.ids == range(127_744, 128_000)


def test_a_tokenizer_without_the_special_tokens_is_refused(changed_checkpoint):
    path = changed_checkpoint / "tokenizer.json"
    content = json.loads(path.read_text())
    kept = [token for token in content["added_tokens"] if token["id"] < 128_256]
    change(path, added_tokens=kept)
    with pytest.raises(MagmaError, match="has no special token <image>; take the tokenizer that"):
        read_words(changed_checkpoint, TINY)


def test_a_placeholder_of_another_id_is_refused(tiny_checkpoint):
    with pytest.raises(MagmaError, match="gives <image> the id 128257, but the configuration says"):
        read_words(tiny_checkpoint, replace(TINY, image_token=128_256))


def test_more_tokens_than_rows_are_refused(tiny_checkpoint):
    small = replace(TINY, text=replace(TINY.text, vocabulary=128_258))
    with pytest.raises(MagmaError, match="has 128261 tokens, but the checkpoint only 128258 rows"):
        read_words(tiny_checkpoint, small)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": 1}'])
def test_a_missing_or_damaged_tokenizer_is_named(changed_checkpoint, content):
    path = changed_checkpoint / "tokenizer.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(MagmaError, match=r"tokenizer\.json is (missing|no tokenizer)") as caught:
        read_words(changed_checkpoint, TINY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE.replace("<|eot_id|>", "<|end_of_text|>"),
        "{{ messages[0].content }}",
        "{% for message in messages %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 'x' * 20000 }}" + " " * 20_000,
    ],
)
def test_another_chat_template_is_refused_and_runs_no_code(changed_checkpoint, template):
    change(changed_checkpoint / "tokenizer_config.json", chat_template=template)
    with pytest.raises(MagmaError, match=r"the chat template of .*tokenizer_config\.json"):
        read_words(changed_checkpoint, TINY)


def test_a_template_in_a_file_of_its_own_is_compared_as_well(changed_checkpoint):
    (changed_checkpoint / "chat_template.jinja").write_text(TEMPLATE)
    read_words(changed_checkpoint, TINY)
    (changed_checkpoint / "chat_template.jinja").write_text("nothing")
    with pytest.raises(MagmaError, match=r"the chat template of .*chat_template\.jinja writes"):
        read_words(changed_checkpoint, TINY)
