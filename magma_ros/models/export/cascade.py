# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A cascade: one bundle of two policies, whose exits are those of the first and then the second's.

A large policy whose first exit comes late leaves the gate nothing to choose from on a slow
computer. A small one in front of it, which reads the same observation by graphs of its own and
plans in the same action space, gives the gate an early exit without touching a weight of either.
Nothing is handed from one to the other but the gate's decision to go on.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import onnx

from magma_ros.evaluation.calibrate.report import without_card_section
from magma_ros.files import read_text
from magma_ros.models.export.folder import bundle_folder, commit_of_code
from magma_ros.policy.contract import (
    EXIT_OUTPUTS,
    TRACE_OUTPUT,
    BundleError,
    ObservationContract,
    TensorSpec,
)
from magma_ros.policy.manifest import Manifest, Provenance, read_manifest, sha256_of, write_manifest
from magma_ros.policy.report import CARD, verify
from magma_ros.policy.stages import StageSpec, graphs

PREFIX = "first_"
"""Goes before the names of the first policy's stages, files and tensors between stages; again where
the later policy is a cascade and has such names already."""


def make_cascade(
    first: Path, then: Path, out: Path, command: str, *, name: str = "", description: str = ""
) -> Manifest:
    """Put one policy in front of another; gives the manifest of the bundle that has both.

    Args:
        first: Bundle of the policy whose exits come first.
        then: Bundle of the policy that goes on.
        out: Folder of the new bundle; it takes its place once it is whole and has run. It may be
            that of ``then``.
        command: For the manifest.
        name: Of the new policy; that of ``then`` by default.
        description: Of the new policy; that of ``then`` by default.

    Raises:
        BundleError: One of them is damaged, or they do not go together: other measured values,
            words, cameras or actions, or an exit that does not say how sure it is.
    """
    fast, deep = read_manifest(first), read_manifest(then)
    _require_alike(first, fast, then, deep)
    with bundle_folder(out) as folder:
        stages = _copied(first, fast, then, deep, folder)
        manifest = deep.model_copy(
            update={
                "name": name or deep.name,
                "description": description or deep.description,
                "licence": _both(fast.licence, deep.licence),
                "created": datetime.now(UTC).date(),
                "observation": _united(fast.observation, deep.observation),
                "stages": stages,
                "provenance": _provenance(fast, deep, command),
            }
        )
        write_manifest(folder, manifest)
        (folder / CARD).write_text(_card(manifest, fast, deep, first, then), encoding="utf-8")
        # What was put together piece by piece is read and judged as a whole.
        for check in verify(folder):
            if check.problem is not None:
                raise BundleError(check.problem)
    return manifest


def _require_alike(first: Path, fast: Manifest, then: Path, deep: Manifest) -> None:
    """Refuse policies whose inputs or outputs mean different things."""
    if fast.decoding is not None:
        raise BundleError(
            f"{first} writes its actions token by token, which only the later policy of a cascade "
            "may do; put a policy before it that plans in one pass"
        )
    for path, manifest in ((first, fast), (then, deep)):
        if any(not stage.judged for stage in manifest.stages if stage.depth is not None):
            raise BundleError(
                f"an exit of {path} does not say how sure it is (entropy and margin), as every "
                "exit must where there are several; export it with these outputs"
            )
    theirs, ours = fast.action.model_dump(), deep.action.model_dump()
    _require_equal(first, then, "action", theirs, ours)
    seen, shown = fast.observation, deep.observation
    whole = ("proprioception", "max_tokens", "attention_mask", "frames", "frame_period", "prompt")
    theirs, ours = ({key: getattr(one, key) for key in whole} for one in (seen, shown))
    _require_equal(first, then, "observation", theirs, ours)
    known = {camera.name: camera for camera in shown.cameras}
    for camera in seen.cameras:
        if known.get(camera.name, camera) != camera:
            raise _different(first, then, f"images of camera {camera.name}")
    for what, one, other in (
        ("points", seen.point, shown.point),
        ("traces", fast.trace, deep.trace),
    ):
        if one is not None and one != other:
            raise _different(first, then, what)
    if fast.tokenizer and deep.tokenizer and fast.tokenizer.sha256 != deep.tokenizer.sha256:
        raise _different(first, then, "words (tokenizer)")


def _require_equal(
    first: Path, then: Path, section: str, theirs: Mapping[str, object], ours: Mapping[str, object]
) -> None:
    for key, value in ours.items():
        if theirs[key] != value:
            raise _different(first, then, f"{section}.{key}")


def _different(first: Path, then: Path, what: str) -> BundleError:
    return BundleError(
        f"{first} and {then} have different {what}; train both on the same data, so that one "
        "observation suits both and their plans mean the same"
    )


def _united(seen: ObservationContract, shown: ObservationContract) -> ObservationContract:
    """What both take together."""
    known = {camera.name for camera in shown.cameras}
    more = tuple(camera for camera in seen.cameras if camera.name not in known)
    return shown.model_copy(update={"cameras": (*shown.cameras, *more)})


def _copied(
    first: Path, fast: Manifest, then: Path, deep: Manifest, folder: Path
) -> tuple[StageSpec, ...]:
    """Write the graphs of both; gives the stages in the order they run."""
    between = {
        tensor.name
        for stage in fast.stages
        for tensor in stage.outputs
        if tensor.name not in (*EXIT_OUTPUTS, TRACE_OUTPUT)
    }
    prefix = PREFIX
    while any(stage.name.startswith(prefix) for stage in deep.stages):
        prefix += PREFIX
    names = {name: prefix + name for name in between}
    stages = [_renamed(first, stage, prefix, names, folder) for stage in fast.stages]
    for graph in graphs(deep.stages, deep.decoding):
        for file in (graph.file, *(entry.file for entry in graph.external)):
            _copy(then / file, folder / file)
    if deep.tokenizer is not None:
        _copy(then / deep.tokenizer.file, folder / deep.tokenizer.file)
    for stage in deep.stages:
        depth = None if stage.depth is None else fast.exits + stage.depth
        stages.append(stage.model_copy(update={"depth": depth}))
    return tuple(stages)


def _renamed(
    first: Path, stage: StageSpec, prefix: str, names: Mapping[str, str], folder: Path
) -> StageSpec:
    """Write a stage of the first policy under a name of its own."""
    source = first / stage.file
    if not source.is_file() or sha256_of(source) != stage.sha256:
        raise BundleError(f"{source} is missing or altered; copy or export the bundle again")
    model = onnx.load(source)
    rename(model.graph, names)
    path = folder / f"{prefix}{stage.file}"
    onnx.save(model, path)

    def called(tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return tuple(
            tensor.model_copy(update={"name": names.get(tensor.name, tensor.name)})
            for tensor in tensors
        )

    return stage.model_copy(
        update={
            "name": prefix + stage.name,
            "file": path.name,
            "sha256": sha256_of(path),
            "external": (),
            "inputs": called(stage.inputs),
            "outputs": called(stage.outputs),
        }
    )


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give values of a graph other names, wherever they are spoken of."""
    for node in _nodes(graph):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.name = names.get(info.name, info.name)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph, those of the graphs inside its nodes included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise BundleError(f"{source} cannot be read ({error.strerror})") from None


def _provenance(fast: Manifest, deep: Manifest, command: str) -> Provenance:
    made = deep.provenance
    same = fast.provenance.data == made.data
    data = made.data if same else f"{fast.provenance.data}; {made.data}"
    return Provenance(
        command=command, seed=made.seed, commit=commit_of_code(), data=data, metrics=made.metrics
    )


def _both(one: str, other: str) -> str:
    """The licence of a whole, as an SPDX expression."""
    return one if one == other else f"({one}) AND ({other})"


def _card(manifest: Manifest, fast: Manifest, deep: Manifest, first: Path, then: Path) -> str:
    total = sum(stage.flops for stage in manifest.stages) or 1
    share = sum(stage.flops for stage in fast.stages) / total
    parts = "\n\n".join(_deeper(read_text(path / CARD)) for path in (first, then))
    return f"""# {manifest.name}

{manifest.description} Licence: {manifest.licence}.

A cascade: {_exits(1, fast.exits)} of {fast.name}, a network of its own that takes \
{100 * share:.0f} % of all operations, and {_exits(fast.exits + 1, manifest.exits)} of \
{deep.name}, whose weights are as they were. Each has its own card below, which counts its exits \
from 1; what is measured of both together comes after them.

```bash
{manifest.provenance.command}
```

{parts}
"""


def _exits(first: int, last: int) -> str:
    return f"exit {first} is that" if first == last else f"exits {first} to {last} are those"


def _deeper(card: str) -> str:
    """A card as a part of another one: one level deeper, and without what held for its gate."""
    parts = without_card_section(card).split("```")
    parts[::2] = [re.sub("^(?=#)", "#", text, flags=re.MULTILINE) for text in parts[::2]]
    return "```".join(parts)
