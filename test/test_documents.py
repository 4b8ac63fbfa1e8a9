# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds, reading it gives a checked value or one sentence that names it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from magma_ros import documents
from magma_ros.documents import DocumentError, parse_yaml
from magma_ros.embedded.launch import LaunchError
from magma_ros.embedded.launch.actions import load as load_launch
from magma_ros.embedded.rclpy.parameter_overrides import (
    ParameterOverrideError,
    parameter_overrides,
)
from magma_ros.evaluation.computers.hardware import load_costs, load_hardware
from magma_ros.evaluation.figures.compare import read_evaluation
from magma_ros.files import read_text, read_yaml
from magma_ros.gate.gate_file import find_gate_file
from magma_ros.models.training.config import load_config
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import share_file
from magma_ros.sim.language import Phrasebook
from magma_ros.sim.suite import ArmSpec, Suite
from magma_ros.types import MagmaError

KINDS = (MagmaError, LaunchError, ParameterOverrideError)


def parameters(path: Path) -> object:
    return parameter_overrides(["--params-file", str(path)], "/guard")


READERS: dict[str, tuple[str, Callable[[Path], object], Path]] = {
    # name in its folder, how it is read, a valid one
    "manifest": (
        "bundle.yaml",
        lambda path: read_manifest(path.parent),
        share_file("models", "magma-nano", "bundle.yaml"),
    ),
    "gate": (
        "gate.yaml",
        lambda path: find_gate_file(path.parent),
        share_file("models", "magma-nano", "gate.yaml"),
    ),
    "recipe": ("recipe.yaml", load_config, share_file("models", "magma-nano.train.yaml")),
    "hardware": (
        "hardware.yaml",
        lambda path: load_hardware.__wrapped__(str(path)),
        share_file("config", "hardware", "cpu-2core.yaml"),
    ),
    "costs": (
        "costs.yaml",
        lambda path: load_costs.__wrapped__(str(path)),
        next(iter(sorted(share_file("config", "costs").glob("*.yaml")))),
    ),
    "suite": (
        "suite.yaml",
        lambda path: read_yaml(path, Suite),
        share_file("sim", "suites", "tabletop.yaml"),
    ),
    "arm": (
        "arm.yaml",
        lambda path: read_yaml(path, ArmSpec),
        share_file("sim", "robots", "nano_arm.yaml"),
    ),
    "phrases": (
        "language.yaml",
        lambda path: read_yaml(path, Phrasebook),
        share_file("sim", "language.yaml"),
    ),
    "launch": ("some.launch.yaml", load_launch, share_file("launch", "demo.launch.yaml")),
    "parameters": ("parameters.yaml", parameters, share_file("config", "guard.yaml")),
    "evaluation": ("evaluation.json", read_evaluation, share_file("package.xml")),
}

IMPOSSIBLE = {
    "an impossible date": "created: 2026-13-45",
    "a tag that its text denies": '!!int "x"',
    "5000 lists inside each other": "[" * 5000,
    "5000 blocks inside each other": "- " * 5000 + "x",
    "billion laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(
        f"{name}: &{name} [{', '.join(['*' + last] * 9)}]"
        for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "an alias to itself": "a: &a [1, *a]",
    "an unknown tag": "a: !wanted 1",
    "a Python object": "!!python/object/apply:os.getpid []",
    "a key twice": "launch: []\nlaunch: []",
    "two documents": "a: 1\n---\nb: 2",
    "nothing": "",
    "a comment": "# nothing\n",
    "a list": "- 1",
    "a number": "1",
    "a number of 5000 digits": "schema_version: " + "1" * 5000,
    "a list as a key": "? [a]\n: 1",
    "a number as a key": "1: 1",
    "a bell": "a: \x07",
    "a missing anchor": "a: *nothing",
    "a bad base64": "a: !!binary é",
}


def told(reader: str, path: Path) -> str:
    """The sentence with which a reader refuses a file."""
    with pytest.raises(KINDS) as caught:
        READERS[reader][1](path)
    return str(caught.value)


@pytest.fixture(params=READERS)
def reader(request):
    return request.param


def test_every_shipped_file_is_read(reader):
    _, read, valid = READERS[reader]
    if reader != "evaluation":
        assert read(valid) is not None


@pytest.mark.parametrize("content", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_parses_into_something_impossible_is_one_sentence(reader, content, tmp_path):
    path = tmp_path / READERS[reader][0]
    path.write_text(content, encoding="utf-8")
    sentence = told(reader, path)
    assert path.name in sentence
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("content", [b"\x80\x81binary", b"\x00" * 64, b"\xff\xfea\x00"])
def test_a_binary_file_is_one_sentence(reader, content, tmp_path):
    path = tmp_path / READERS[reader][0]
    path.write_bytes(content)
    sentence = told(reader, path)
    assert path.name in sentence
    assert "\n" not in sentence


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MAX_JSON_BYTES", 1 << 20)
    path = tmp_path / READERS[reader][0]
    path.write_bytes(b"# " + b"x" * (2 << 20))
    start = time.monotonic()
    assert "larger than" in told(reader, path)
    assert time.monotonic() - start < 5.0


def test_a_folder_in_the_place_of_a_file_is_one_sentence(reader, tmp_path):
    path = tmp_path / READERS[reader][0]
    path.mkdir()
    assert "\n" not in told(reader, path)


def test_a_name_that_cannot_be_one_is_one_sentence():
    with pytest.raises(MagmaError, match="null byte"):
        read_text(Path("a\0b"))
    with pytest.raises(MagmaError, match=r"'a\\nb' cannot be read"):
        read_text(Path("a\nb"))


@examples(40)
@given(data=st.data())
def test_random_bytes_and_mutated_files_only_ever_give_a_sentence(data, tmp_path_factory):
    reader = data.draw(st.sampled_from(sorted(READERS)))
    name, read, valid = READERS[reader]
    path = tmp_path_factory.mktemp("file") / name
    path.write_bytes(mutated(valid.read_bytes(), data))
    try:
        read(path)
    except KINDS as error:
        assert "\n" not in str(error)  # noqa: PT017


PIECES = rb"""- |: |{|[|]|'|"|<<|!!int |&a |*a|null|true|.nan|1e999|-1|0|2026-99-99""".split(b"|")
PIECES.extend([b"\n", b"\n  ", b"\xff", b"\x00"])


def mutated(content: bytes, data: st.DataObject) -> bytes:
    """Random bytes, or a file with up to three pieces put in the place of others."""
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.binary(max_size=200))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 12)))
        content = content[:start] + data.draw(st.sampled_from(PIECES)) + content[end:]
    return content


def test_merge_keys_may_be_overruled_but_own_keys_not():
    assert parse_yaml("a: &a {x: 1, y: 1}\nb: {<<: *a, x: 2}")["b"] == {"x": 2, "y": 1}
    with pytest.raises(DocumentError, match=r"line 2, column 1: the key 'a' appears twice"):
        parse_yaml("a: 1\na: 2")


def test_a_value_twice_in_json_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "a": 2}')
    with pytest.raises(DocumentError, match=r"a\.json .*'a' appears twice"):
        documents.read_json(path)


def test_json_that_is_nested_too_deep_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 200_000)
    with pytest.raises(DocumentError, match=r"a\.json"):
        documents.read_json(path)


def test_the_place_of_a_fault_is_named():
    with pytest.raises(DocumentError, match=r"^line 2, column 4: '2026-13-45' is no valid"):
        parse_yaml("a: 1\nb: 2026-13-45")
