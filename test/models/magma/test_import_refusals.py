# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``magma import`` cannot use it refuses in one sentence, and leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from magma_ros.cli import main


def without_a_shard(folder: Path) -> None:
    sorted(folder.glob("*.safetensors"))[1].unlink()


def with_a_cut_shard(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[3]
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[: len(content) // 2])


def with_a_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02.")


def without_special_tokens(folder: Path) -> None:
    change(folder / "tokenizer.json", added_tokens=[])


def of_another_architecture(folder: Path) -> None:
    change(folder / "config.json", model_type="llava")


def without_a_placeholder(folder: Path) -> None:
    change(folder / "config.json", image_token_index=None)


def with_another_chat(folder: Path) -> None:
    change(folder / "tokenizer_config.json", chat_template="{{ messages[0].content }}")


def with_another_placeholder(folder: Path) -> None:
    change(folder / "config.json", image_token_index=128_256)


def with_damaged_statistics(folder: Path) -> None:
    (folder / "dataset_statistics.json").write_text('{"bridge": {"q01": []}}')


def change(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text()) | fields
    path.unlink()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_a_shard, "1 of 5 shards that"),
        (with_a_cut_shard, "is cut short or no safetensors file"),
        (with_a_pickle, "is or may be a pickle"),
        (without_special_tokens, "has no special token"),
        (of_another_architecture, "of the kind 'llava'"),
        (without_a_placeholder, "neither image_token_index nor image_token_id"),
        (with_another_chat, "the chat template of"),
        (with_another_placeholder, "gives <image> the id 128257, but the configuration says"),
        (with_damaged_statistics, "dataset_statistics.json: bridge.q01"),
    ],
)
def test_a_spoilt_checkpoint_is_refused(
    changed_checkpoint: Path, tmp_path: Path, capsys, spoil: Callable[[Path], None], told: str
):
    spoil(changed_checkpoint)
    check_refusal(changed_checkpoint, tmp_path, capsys, told)


def test_unknown_statistics_are_refused_with_the_known_ones(tiny_checkpoint, tmp_path, capsys):
    told = "there are no statistics 'kuka'; known are bridge, bridge_orig, google_robot"
    check_refusal(tiny_checkpoint, tmp_path, capsys, told, "--statistics", "kuka")


def check_refusal(checkpoint: Path, tmp_path: Path, capsys, told: str, *more: str) -> None:
    out = tmp_path / "bundle"
    assert main(["import", "--checkpoint", str(checkpoint), "--out", str(out), *more]) == 2
    sentence = " ".join(capsys.readouterr().err.split())
    assert told in sentence
    assert sentence.startswith("error: ")
    assert "Traceback" not in sentence
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "copy") == []
