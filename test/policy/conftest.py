# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small but real bundle: ONNX graphs with two cameras, five stages and three exits.

The stages are look, think_1 (exit 1), think_2 (exit 2), detail (a second look, at the image the
first one took too), think_3 (exit 3). Exits 1 and 3 draw a trace. Where onnx is not installed, the
tests that need the bundle are skipped and the others run.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from magma_ros.gate.confidence import FEATURES
from magma_ros.gate.gate_file import (
    ExitEntry,
    GateFile,
    Guarantee,
    RegretEntry,
    RegretRule,
    Trial,
    manifest_checksum,
    write_gate_file,
)
from magma_ros.policy import contract as c
from magma_ros.policy import manifest as m
from magma_ros.policy import stages as s
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import Observation

if TYPE_CHECKING:
    import onnx

K, TOKENS, HIDDEN = 4, 8, 16
TRACE = c.TraceContract(camera="front", times=(0.2, 0.4, 0.6))
WORDS = ("pick", "push", "reach", "the", "red", "green", "blue", "cube", "to", "zone")
ONNX_DTYPES = {"float32": "FLOAT", "uint8": "UINT8", "int64": "INT64"}


def _tensor(name: str, dtype: str, *shape: int) -> c.TensorSpec:
    return c.TensorSpec(name=name, dtype=dtype, shape=shape)


def _save(folder: Path, name: str, nodes, weights, inputs, outputs) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(tensors):
        return [
            helper.make_tensor_value_info(
                t.name, getattr(TensorProto, ONNX_DTYPES[t.dtype]), t.shape
            )
            for t in tensors
        ]

    initialisers = [numpy_helper.from_array(value, key) for key, value in weights.items()]
    graph = helper.make_graph(nodes, name, info(inputs), info(outputs), initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / f"{name}.onnx")


def _weights(rng, *shape: int):
    return rng.normal(0.0, 0.5, shape).astype(np.float32)


def _look(folder, rng, name, cameras, others, output):
    """Averages each image, appends ``others``, and projects."""
    from onnx import TensorProto, helper

    nodes, parts, width = [], [], len(cameras)
    for tensor in (*cameras, *others):
        nodes.append(
            helper.make_node("Cast", [tensor.name], [f"{tensor.name}_f"], to=TensorProto.FLOAT)
        )
        if tensor in cameras:
            nodes += [
                helper.make_node("Flatten", [f"{tensor.name}_f"], [f"{tensor.name}_flat"]),
                helper.make_node(
                    "ReduceMean", [f"{tensor.name}_flat"], [f"{tensor.name}_v"], axes=[1]
                ),
            ]
            parts.append(f"{tensor.name}_v")
        else:
            parts.append(f"{tensor.name}_f")
            width += tensor.shape[1]
    nodes += [
        helper.make_node("Concat", parts, ["features"], axis=1),
        helper.make_node("Mul", ["features", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "w"], [output.name]),
    ]
    weights = {"w": _weights(rng, width, HIDDEN), "scale": np.float32(0.01).reshape(())}
    _save(folder, name, nodes, weights, (*cameras, *others), [output])


def _think(folder, rng, name, inputs, outputs):
    """Adds its inputs, projects, and reads an action, an entropy, a margin and perhaps a trace."""
    from onnx import helper

    hidden, *readings = outputs
    total = inputs[0].name if len(inputs) == 1 else "total"
    nodes = (
        [] if len(inputs) == 1 else [helper.make_node("Add", [t.name for t in inputs], ["total"])]
    )
    nodes += [
        helper.make_node("MatMul", [total, "w"], ["projected"]),
        helper.make_node("Tanh", ["projected"], [hidden.name]),
    ]
    weights = {"w": _weights(rng, HIDDEN, HIDDEN)}
    for output in readings:
        read = output.name
        weights[f"w_{read}"] = _weights(rng, HIDDEN, math.prod(output.shape))
        weights[f"shape_{read}"] = np.array(output.shape, np.int64)
        nodes += [
            helper.make_node("MatMul", [hidden.name, f"w_{read}"], [f"{read}_raw"]),
            helper.make_node("Reshape", [f"{read}_raw", f"shape_{read}"], [f"{read}_shaped"]),
            helper.make_node("Tanh" if read == "action" else "Sigmoid", [f"{read}_shaped"], [read]),
        ]
    _save(folder, name, nodes, weights, inputs, outputs)


def _readings(*, draws: bool):
    exits = [_tensor(name, "float32", 1, K, 7) for name in c.EXIT_OUTPUTS]
    return [*exits, TRACE.tensor()] if draws else exits


def build_bundle(folder: Path, point: c.PointContract | None = None) -> None:
    """Write the whole bundle into ``folder``; its first look may take a point."""
    rng = np.random.default_rng(0)
    observation = c.ObservationContract(
        cameras=(
            c.CameraContract(name="front", height=12, width=16),
            c.CameraContract(name="wrist", height=8, width=8),
        ),
        proprioception=("ee_x", "ee_y", "gripper_opening"),
        max_tokens=TOKENS,
        point=point,
    )
    front, wrist, state, *words = observation.tensors()
    hidden = [_tensor(f"hidden_{i}", "float32", 1, HIDDEN) for i in range(4)]
    detail = _tensor("details", "float32", 1, HIDDEN)
    _look(folder, rng, "look", (front, wrist), (state, *words), hidden[0])
    outputs = [
        (hidden[depth], *_readings(draws=draws))
        for depth, draws in ((1, True), (2, False), (3, True))
    ]
    _think(folder, rng, "think_1", hidden[0:1], outputs[0])
    _think(folder, rng, "think_2", hidden[1:2], outputs[1])
    _look(folder, rng, "detail", (front,), (state,), detail)
    _think(folder, rng, "think_3", [hidden[2], detail], outputs[2])
    _tokenizer().save(str(folder / "tokenizer.json"))

    def stage(name, kind, inputs, outputs, depth):
        file = f"{name}.onnx"
        size = (folder / file).stat().st_size
        return s.StageSpec(
            name=name, kind=kind, file=file, sha256=m.sha256_of(folder / file), flops=2 * size,
            weight_bytes=size, inputs=inputs, outputs=outputs, exit=depth,
        )  # fmt: skip

    stages = (
        stage("look", "look", (front, wrist, state, *words), (hidden[0],), None),
        stage("think_1", "think", (hidden[0],), outputs[0], 1),
        stage("think_2", "think", (hidden[1],), outputs[1], 2),
        stage("detail", "look", (front, state), (detail,), None),
        stage("think_3", "think", (hidden[2], detail), outputs[2], 3),
    )
    content = m.Manifest(
        name="tiny",
        description="Random weights.",
        licence="Apache-2.0",
        created=date(2026, 1, 2),
        action=ActionContract(
            chunk_length=K,
            step_period=0.1,
            frame="base",
            q01=(-0.03, -0.02, -0.03, -0.1, -0.1, -0.3, 0.0),
            q99=(0.03, 0.04, 0.03, 0.1, 0.1, 0.3, 1.0),
            mask=(True,) * 6 + (False,),
        ),
        observation=observation,
        trace=TRACE,
        tokenizer=s.BundleFile(
            file="tokenizer.json", sha256=m.sha256_of(folder / "tokenizer.json")
        ),
        stages=stages,
        provenance=m.Provenance(
            command="pytest", seed=0, commit="none", data="none", metrics={"reach": 0.5}
        ),
    )
    m.write_manifest(folder, content)
    (folder / "MODEL_CARD.md").write_text("# tiny\n")


def _tokenizer() -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture(scope="session")
def pristine_bundle(tmp_path_factory) -> Path:
    """A bundle that no test may change."""
    folder = tmp_path_factory.mktemp("pristine") / "tiny"
    folder.mkdir()
    build_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def pointing_bundle(tmp_path_factory) -> Path:
    """The same bundle, but its policy takes the place of a mark; no test may change it."""
    folder = tmp_path_factory.mktemp("pointing") / "tiny"
    folder.mkdir()
    build_bundle(folder, c.PointContract(camera="front"))
    return folder


@pytest.fixture
def bundle(pristine_bundle, tmp_path) -> Path:
    """A bundle of the test's own, to be damaged."""
    return Path(shutil.copytree(pristine_bundle, tmp_path / "tiny"))


@pytest.fixture
def edit_manifest(bundle) -> Callable[[Callable[[dict], None]], None]:
    """Change the manifest of ``bundle`` as plain data."""

    def edit(change: Callable[[dict], None]) -> None:
        path = bundle / m.MANIFEST
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return edit


@pytest.fixture
def edit_stage(bundle, edit_manifest) -> Callable[[int, Callable[[onnx.ModelProto], None]], None]:
    """Change one graph of ``bundle``, and sign it again so that its checksum is right."""
    import onnx

    def edit(index: int, change: Callable[[onnx.ModelProto], None]) -> None:
        path = bundle / m.read_manifest(bundle).stages[index].file
        model = onnx.load(path)
        change(model)
        onnx.save(model, path)
        edit_manifest(lambda c: c["stages"][index].update(sha256=m.sha256_of(path)))

    return edit


@pytest.fixture
def policy(pristine_bundle) -> StagedPolicy:
    """The loaded bundle, on one thread."""
    return StagedPolicy.load(pristine_bundle, threads=1)


@pytest.fixture
def observation() -> Observation:
    """A well-formed observation; the front camera is larger than the policy needs."""
    rng = np.random.default_rng(1)
    return Observation(
        stamp=12.5,
        images={
            "front": rng.integers(0, 255, (48, 64, 3), np.uint8),
            "wrist": rng.integers(0, 255, (8, 8, 3), np.uint8),
            "unused": rng.integers(0, 255, (4, 4, 3), np.uint8),
        },
        proprioception=np.array([0.9, 0.3, 0.2, 0.1]),
        fields=("gripper_opening", "ee_y", "ee_x", "ee_z"),
        instruction="Push the red cube to the zone",
    )


@pytest.fixture
def calibrated(bundle) -> Callable[..., None]:
    """Calibrates the bundle."""

    def write(probability: float, loss: float | None = None) -> None:
        """Write a gate file by which every early exit agrees with that probability.

        Given a loss, each costs so much success and saves half of full depth, at a price of 0.1.
        """
        bias = float(np.log(probability / (1.0 - probability)))
        entry = ExitEntry(
            bias=bias,
            weights=(0.0,) * len(FEATURES),
            price=1.0,
            calibration_error=0.0,
            reliability=(),
        )
        guarantee = Guarantee(
            epsilon=0.1,
            delta=0.1,
            alpha=0.05,
            episodes=100,
            suites=("tabletop",),
            tasks=("reach",),
            split="seen",
            seeds=(0, 99),
        )
        judged = RegretEntry(bias=loss or 0.0, weights=(0.0,) * len(FEATURES), saving=0.5)
        rule = RegretRule(
            price=0.1,
            exits=(judged, judged),
            fit_episodes=100,
            budget=0.7,
            episodes=100,
            seeds=(0, 199),
            successes=90,
            flops=0.5,
            violations=0.1,
            violations_at_most=0.2,
        )
        file = GateFile(
            manifest_sha256=manifest_checksum(bundle),
            guarantee=guarantee,
            threshold=0.7,
            trials=(Trial(threshold=0.7, violations=0.0, p_value=0.01, depth=1.0, flops=0.5),),
            ranges=(1.0,) * 7,
            steps=2,
            exits=(entry, entry),
            baselines=(),
            regret=None if loss is None else rule,
        )
        write_gate_file(bundle, file)

    return write
