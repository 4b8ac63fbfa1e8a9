# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is read tensor by tensor, exactly as stored, or refused in one sentence."""

import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from magma_ros.models.magma.layout import (
    EMBEDDING,
    HEAD,
    ROW_SEPARATOR,
    TRUNK,
    CheckpointLayoutError,
)
from magma_ros.models.magma.reader import INDEX, Checkpoint
from magma_ros.models.magma.synthetic import TINY, random_weight, write_checkpoint

GAMMA = f"{TRUNK}stages.2.blocks.1.gamma"
KEYS = "language_model.model.layers.2.self_attn.k_proj.weight"

MEASURE = """
import re, sys
from pathlib import Path
import torch
from magma_ros.models.magma.reader import Checkpoint
torch.set_num_threads(1)
checkpoint = Checkpoint.open(Path(sys.argv[1]))
checkpoint.tensor("language_model.model.norm.weight")
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = kilobytes("VmRSS")
for _, tensor in checkpoint.tensors():
    pass
print(1024 * (kilobytes("VmHWM") - before), checkpoint.bytes)
"""


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointLayoutError) as caught:
        for _ in Checkpoint.open(folder).tensors():
            pass
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_every_tensor_is_read_bit_by_bit(tiny_checkpoint):
    checkpoint = Checkpoint.open(tiny_checkpoint)
    stored = {}
    for path in tiny_checkpoint.glob("*.safetensors"):
        stored |= load_file(path)
    read = dict(checkpoint.tensors())
    assert list(read) == list(TINY.tensors())
    assert all(tensor.equal(stored[name]) for name, tensor in read.items())
    assert checkpoint.bytes == sum(2 * tensor.numel() for tensor in read.values())


def test_layer_scale_keeps_its_name_and_its_values(tiny_checkpoint):
    # Loaders that rename every "gamma" to "weight" lose it silently.
    found = Checkpoint.open(tiny_checkpoint).tensor(GAMMA)
    assert found.equal(random_weight(GAMMA, (48,)).bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_is_converted_on_request(tiny_checkpoint, dtype):
    found = Checkpoint.open(tiny_checkpoint).tensor(KEYS, dtype)
    assert found.dtype == dtype
    assert torch.allclose(found.float(), random_weight(KEYS, (32, 64)), rtol=1e-2, atol=1e-3)


def test_a_single_file_needs_no_index(tmp_path, changed_checkpoint):
    tensors = {}
    for path in changed_checkpoint.glob("*.safetensors"):
        tensors |= load_file(path)
        path.unlink()
    (changed_checkpoint / INDEX).unlink()
    save_file(tensors, changed_checkpoint / "model.safetensors")
    assert Checkpoint.open(changed_checkpoint).tensor(EMBEDDING).equal(tensors[EMBEDDING])


def test_rows_of_the_vocabulary_are_the_checkpoints(changed_checkpoint):
    config = json.loads((changed_checkpoint / "config.json").read_text())
    config["text_config"]["vocab_size"] = 128_256
    (changed_checkpoint / "config.json").unlink()
    (changed_checkpoint / "config.json").write_text(json.dumps(config))
    assert Checkpoint.open(changed_checkpoint).shape == TINY


def test_reading_needs_no_more_memory_than_the_largest_tensor(tmp_path):
    shape = replace(TINY, text=replace(TINY.text, width=256, hidden=2048, layers=12))
    write_checkpoint(tmp_path, shape, shard_bytes=1 << 26)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, total = map(int, done.stdout.split())
    largest = 2 * 128_320 * 256
    assert total > 2.5 * largest
    assert peak < largest + (8 << 20), f"{peak / 1e6:.0f} MB, largest tensor {largest / 1e6:.0f} MB"


def test_a_missing_shard_is_named(changed_checkpoint):
    shard = sorted(changed_checkpoint.glob("*.safetensors"))[2]
    shard.unlink()
    assert f"lacks {shard.name}, 1 of 5 shards" in refusal(changed_checkpoint)


def test_a_truncated_shard_is_named_before_any_weight_is_read(changed_checkpoint):
    shard = sorted(changed_checkpoint.glob("*.safetensors"))[1]
    content = shard.read_bytes()
    for length in (0, 5, 40, len(content) // 2, len(content) - 1):
        shard.unlink()
        shard.write_bytes(content[:length])
        with pytest.raises(CheckpointLayoutError) as caught:
            Checkpoint.open(changed_checkpoint)
        assert f"{shard} is cut short or no safetensors file" in str(caught.value)


def test_a_missing_tensor_is_named(changed_checkpoint, rewrite):
    rewrite(GAMMA, lambda tensors: tensors.pop(GAMMA))
    assert f"holds {GAMMA}, but it does not" in refusal(changed_checkpoint)
    index = json.loads((changed_checkpoint / INDEX).read_text())
    del index["weight_map"][GAMMA]
    (changed_checkpoint / INDEX).unlink()
    (changed_checkpoint / INDEX).write_text(json.dumps(index))
    assert f"lacks the tensor {GAMMA}" in refusal(changed_checkpoint)


def test_an_unexpected_tensor_is_named(changed_checkpoint, rewrite):
    lora = "language_model.model.layers.0.self_attn.q_proj.lora_A.weight"
    rewrite(GAMMA, lambda tensors: tensors.update({lora: torch.zeros(2)}))
    assert f"holds {lora}, which Magma of this configuration has not" in refusal(changed_checkpoint)


def test_a_misshaped_tensor_is_named(changed_checkpoint, rewrite):
    rewrite(KEYS, lambda tensors: tensors.update({KEYS: tensors[KEYS].T.contiguous()}))
    assert "is 64 x 32, but the configuration needs 32 x 64" in refusal(changed_checkpoint)


def test_embedding_and_head_need_as_many_rows(changed_checkpoint, rewrite):
    rewrite(HEAD, lambda tensors: tensors.update({HEAD: tensors[HEAD][:-1].contiguous()}))
    assert f"{HEAD} in " in refusal(changed_checkpoint)


def test_a_quantised_tensor_is_refused(changed_checkpoint, rewrite):
    rewrite(KEYS, lambda tensors: tensors.update({KEYS: tensors[KEYS].to(torch.int8)}))
    assert "is stored as I8; only F32, F16, BF16 are read" in refusal(changed_checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_refused(changed_checkpoint, rewrite, value):
    rewrite(ROW_SEPARATOR, lambda tensors: tensors[ROW_SEPARATOR].view(-1)[7].fill_(value))
    assert f"{ROW_SEPARATOR} in" in refusal(changed_checkpoint)
    assert "values that are not finite" in refusal(changed_checkpoint)


def test_a_value_beyond_fp16_is_refused_and_not_made_infinite(changed_checkpoint, rewrite):
    rewrite(KEYS, lambda tensors: tensors[KEYS].view(-1)[3].fill_(-70_000.0))
    checkpoint = Checkpoint.open(changed_checkpoint)
    assert checkpoint.tensor(KEYS, torch.float32).min() < -65_504.0
    with pytest.raises(CheckpointLayoutError, match=r"reaches 7\.01e\+04, more than the 65504 of"):
        checkpoint.tensor(KEYS, torch.float16)


def test_a_folder_with_a_pickle_is_refused(changed_checkpoint):
    zipped = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, zipped)
    for name, content in (
        ("pytorch_model.bin", b"anything"),
        ("training_args", pickle.dumps({"a": 1})),
        ("state", zipped.getvalue()),
        ("below/optimizer.pt", b""),
    ):
        path = changed_checkpoint / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        sentence = refusal(changed_checkpoint)
        assert f"{path} is or may be a pickle" in sentence
        path.unlink()
    Checkpoint.open(changed_checkpoint)


def test_python_files_are_never_run(changed_checkpoint):
    trap = changed_checkpoint / "ran"
    (changed_checkpoint / "modeling_magma.py").write_text(f"open({str(trap)!r}, 'w')\n")
    Checkpoint.open(changed_checkpoint)
    assert not trap.exists()


def test_an_index_never_reaches_outside_its_folder(changed_checkpoint):
    (changed_checkpoint / INDEX).unlink()
    (changed_checkpoint / INDEX).write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    assert "weight_map.a" in refusal(changed_checkpoint)


def test_a_folder_without_weights_or_no_folder_is_refused(changed_checkpoint, tmp_path):
    for path in changed_checkpoint.glob("model*"):
        path.unlink()
    assert "has neither model.safetensors.index.json nor" in refusal(changed_checkpoint)
    assert "there is no folder" in refusal(tmp_path / "nowhere")
