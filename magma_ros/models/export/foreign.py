# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy trained elsewhere becomes a bundle: its ONNX file, and a few answers about it.

An ONNX file tells names, types and shapes. What it cannot tell is asked: what the columns of its
action are and how long a step lasts, which measured values it takes, in which order, and how its
inputs were scaled in training. What follows from the shapes alone need not be said.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import onnx
from pydantic import ValidationError

from magma_ros.files import first_fault
from magma_ros.models.export.folder import bundle_folder, commit_of_code
from magma_ros.models.export.foreign_answers import Answers, InputAnswer, is_image, role_of
from magma_ros.models.export.foreign_graph import (
    Adapter,
    ForeignError,
    Port,
    cost,
    ports,
    read_graph,
)
from magma_ros.policy.action_contract import ActionContract
from magma_ros.policy.contract import (
    ACTION_OUTPUT,
    ATTENTION_MASK,
    CameraContract,
    ObservationContract,
    PromptContract,
    TensorSpec,
)
from magma_ros.policy.manifest import Manifest, Provenance, sha256_of, write_manifest
from magma_ros.policy.report import CARD, verify
from magma_ros.policy.stages import BundleFile, StageSpec

UNITS = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
"""What black and the brightest level of an image become, by what files say."""

FILE, TOKENIZER = "policy.onnx", "tokenizer.json"


def create_bundle(path: Path, answers: Answers, out: Path, command: str) -> Manifest:
    """Turn an ONNX file into a bundle with one exit; gives its manifest.

    Args:
        path: The ONNX file.
        answers: About it.
        out: The bundle's folder; it takes its place once it is whole and has run.
        command: For the manifest.

    Raises:
        ForeignError: The file cannot be read, something cannot be mapped, or the result is no
            sound bundle.
    """
    model = read_graph(path)
    given, made = ports(model)
    roles = {port.name: role_of(port, answers, given) for port in given}
    if strange := sorted(answers.inputs.keys() - roles.keys()):
        raise ForeignError(
            f"the answers speak of an input {strange[0]}, but the graph takes "
            f"{', '.join(roles) or 'none'}"
        )
    try:
        observation = _observation(given, roles, answers)
        output = _output(made, answers)
        action = _action(output, answers)
    except ValidationError as error:
        raise ForeignError(f"the answers make no bundle: {first_fault(error)}") from None
    with bundle_folder(out) as folder:
        spec = _written(
            _fed(model, given, roles, observation), folder, output, action, answers.columns
        )
        if answers.tokenizer is not None:
            _copy(answers.tokenizer, folder / TOKENIZER)
        manifest = _manifest(
            folder,
            answers,
            observation=observation,
            action=action,
            stage=spec,
            command=command,
        )
        write_manifest(folder, manifest)
        (folder / CARD).write_text(_card(manifest, path), encoding="utf-8")
        for check in verify(folder):
            if check.problem is not None:
                raise ForeignError(check.problem)
    return manifest


def _observation(
    given: list[Port], roles: Mapping[str, InputAnswer], answers: Answers
) -> ObservationContract:
    cameras, fields, tokens = [], [], None
    for port in given:
        role = roles[port.name]
        if role.camera is not None or role.depth is not None:
            cameras.append(_camera(port, role, answers.frames))
        fields += [name for name in role.fields or () if name not in fields]
        if role.fields is not None:
            _require_width(port, role)
        if role.tokens:
            tokens = port.shape[-1]
            if tokens is None:
                raise ForeignError(
                    f"the input {port} takes any number of tokens; export the graph for a fixed one"
                )
    if (tokens is None) != (answers.tokenizer is None):
        told = "no tokenizer is given" if tokens else "no input takes tokens, but a tokenizer is"
        raise ForeignError(f"{told}{' for the tokens' if tokens else ' given'}; make them agree")
    prompt = None
    if answers.template is not None:
        prompt = PromptContract(template=answers.template, lower=answers.lower)
    return ObservationContract(
        cameras=tuple(cameras),
        proprioception=tuple(fields),
        max_tokens=tokens,
        frames=answers.frames,
        frame_period=answers.frame_period,
        attention_mask=any(role.mask for role in roles.values()),
        prompt=prompt,
    )


def _camera(port: Port, role: InputAnswer, frames: int) -> CameraContract:
    colours = 1 if role.camera is None else 3
    if not is_image(port, frames, colours):
        what = "depth image" if role.camera is None else "image of three colours"
        raise ForeignError(f"the input {port} is no {what}{'' if frames == 1 else ' with frames'}")
    height, width = port.shape[-3:-1] if port.shape[-1] == colours else port.shape[-2:]
    if height is None or width is None:
        raise ForeignError(
            f"the input {port} takes images of any size; export the graph for a fixed one"
        )
    return CameraContract(
        name=role.camera or role.depth or "",
        height=height,
        width=width,
        fit=role.fit,
        kind="depth" if role.camera is None else "rgb",
    )


def _require_width(port: Port, role: InputAnswer) -> None:
    assert role.fields is not None
    width = port.shape[-1]
    if width is not None and width != len(role.fields):
        raise ForeignError(
            f"the input {port} takes {width} numbers, but {len(role.fields)} measured values are "
            f"named: {', '.join(role.fields)}"
        )


def _output(made: list[Port], answers: Answers) -> Port:
    named = answers.output
    fitting = [port for port in made if named in (None, port.name)]
    if len(fitting) > 1:
        fitting = [port for port in fitting if port.name in ("action", "actions")]
    if len(fitting) != 1:
        there = ", ".join(str(port) for port in made)
        raise ForeignError(f"the graph gives {there}; say under output which is the action")
    port, wanted = fitting[0], len(answers.dims)
    width, most = port.shape[-1], max(answers.columns, default=wanted - 1)
    if width is not None and (most >= width or (width > wanted and not answers.columns)):
        raise ForeignError(
            f"the output {port} has {width} columns, but the action has {wanted} dimensions; name "
            "as many, or say under columns which they are"
        )
    return port


def _action(port: Port, answers: Answers) -> ActionContract:
    steps = port.shape[1] if len(port.shape) == 3 else 1
    if len(port.shape) not in (2, 3) or (steps is None and answers.steps is None):
        raise ForeignError(
            f"the output {port} must be [1, steps, columns] or [1, columns] with a fixed number "
            "of steps; export the graph so, or say steps"
        )
    length = answers.steps or steps or 1
    if steps is not None and length > steps:
        raise ForeignError(f"the output {port} has {steps} steps, but {length} are asked for")
    pairs = list(zip(answers.mean, answers.std, strict=True))
    return ActionContract(
        kind=answers.kind,
        dims=answers.dims,
        chunk_length=length,
        step_period=answers.step_period,
        frame=answers.frame,
        tool_frame=answers.tool_frame,
        bins=None,
        q01=tuple(mean - std for mean, std in pairs),
        q99=tuple(mean + std for mean, std in pairs),
        mask=(True,) * len(pairs),
    )


def _fed(
    model: onnx.ModelProto,
    given: list[Port],
    roles: Mapping[str, InputAnswer],
    observation: ObservationContract,
) -> Adapter:
    """The graph with its inputs as a bundle gives them."""
    known = {tensor.name: tensor for tensor in observation.tensors()}
    adapter = Adapter(model)
    for port in given:
        role = roles[port.name]
        if role.camera is not None:
            image = known[f"image_{role.camera}"]
            adapter.image(port, image, UNITS[role.levels], role.scaling)
        elif role.depth is not None:
            adapter.depth(port, known[f"depth_{role.depth}"], role.scaling)
        elif role.fields is not None:
            columns = [observation.proprioception.index(name) for name in role.fields]
            adapter.values(port, known["proprioception"], columns, role.scaling)
        elif role.value is not None:
            adapter.constant(port, role.value)
        else:
            adapter.passed(port, known["tokens" if role.tokens else ATTENTION_MASK])
    return adapter


def _written(
    adapter: Adapter, folder: Path, output: Port, action: ActionContract, columns: tuple[int, ...]
) -> StageSpec:
    shape = (1, action.chunk_length, len(action.space))
    made = TensorSpec(name=ACTION_OUTPUT, dtype="float32", shape=shape)
    adapter.action(output, shape, columns or tuple(range(shape[2])))
    model, inputs = adapter.finished(made)
    path = folder / FILE
    onnx.save(model, path)
    flops, weight_bytes = cost(model)
    return StageSpec(
        name="policy",
        kind="think",
        file=FILE,
        sha256=sha256_of(path),
        flops=flops,
        weight_bytes=weight_bytes,
        inputs=inputs,
        outputs=(made,),
        exit=1,
    )


def _manifest(
    folder: Path,
    answers: Answers,
    *,
    observation: ObservationContract,
    action: ActionContract,
    stage: StageSpec,
    command: str,
) -> Manifest:
    words = None
    if answers.tokenizer is not None:
        words = BundleFile(file=TOKENIZER, sha256=sha256_of(folder / TOKENIZER))
    return Manifest(
        name=answers.name,
        description=answers.description,
        licence=answers.licence,
        created=datetime.now(UTC).date(),
        action=action,
        observation=observation,
        tokenizer=words,
        stages=(stage,),
        provenance=Provenance(
            command=command, seed=0, commit=commit_of_code(), data=answers.data, metrics={}
        ),
    )


def _card(manifest: Manifest, path: Path) -> str:
    action, seen = manifest.action, manifest.observation
    columns = ", ".join(f"`{dim.name}` [{dim.unit}]" for dim in action.space.dimensions)
    cameras = ", ".join(f"`{c.name}` {c.width} x {c.height}" for c in seen.cameras) or "none"
    return f"""# {manifest.name}

{manifest.description} Licence: {manifest.licence}. Trained on: {manifest.provenance.data}.

Made of `{path.name}` by `magma bundle create`; it has one exit.

- Actions: {action.kind}, {action.chunk_length} steps of {action.step_period:g} s: {columns}.
- Cameras: {cameras}.
- Measured values: {", ".join(f"`{name}`" for name in seen.proprioception) or "none"}.
- Instruction: {"none" if seen.max_tokens is None else f"at most {seen.max_tokens} tokens"}.

How well it does its task was not measured here.
"""


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise ForeignError(f"{source} cannot be read ({error.strerror})") from None
