# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Summaries of a bundle: whether it is sound, and its content."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from magma_ros.files import read_text
from magma_ros.policy.bundle import open_stage, open_tokenizer, session_options
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import MANIFEST, Manifest, read_manifest
from magma_ros.policy.providers import CPU
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.policy.stages import StageSpec, graphs
from magma_ros.types import MagmaError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing verified: its name, and what is wrong with it, or None if it is sound."""

    subject: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class StageSummary:
    """One stage in figures.

    Attributes:
        spec: From the manifest.
        flops_share: Operations up to and including this stage, as a share of all, 0..1.
        weight_share: Weight bytes up to and including this stage, as a share of all, 0..1.
        file_bytes: Size of the ONNX file, or None if it is missing.
    """

    spec: StageSpec
    flops_share: float
    weight_share: float
    file_bytes: int | None


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """A bundle at a glance: the whole manifest, and the stages in figures."""

    folder: Path
    manifest: Manifest
    stages: tuple[StageSummary, ...]


CARD = "MODEL_CARD.md"
"""The bundle's description for people."""

COMPANIONS = frozenset({"README.md", "LICENSE", "NOTICE", ".gitattributes"})
"""Files that may lie beside those of the bundle; repositories of models have them."""

Attempt = Callable[[Path, Manifest], object]
"""A check of a file that another room knows; raises a MagmaError about what is wrong with it."""


def verify(folder: Path, others: Mapping[str, Attempt] = MappingProxyType({})) -> tuple[Check, ...]:
    """Check everything in the folder of a bundle, and run every stage once.

    Unlike :meth:`StagedPolicy.load` this goes on after a problem, so that all damaged files are
    named. The bundle is sound if no check has a problem.

    Args:
        folder: The bundle.
        others: Checks of files that need not be there, by name.
    """
    try:
        manifest = read_manifest(folder)
    except MagmaError as error:
        return (Check(MANIFEST, str(error)),)
    options = session_options(threads=1)
    tokenizers = [] if manifest.tokenizer is None else [manifest.tokenizer]
    checks = [
        Check(MANIFEST, None),
        *(_check(words.file, open_tokenizer, folder, words) for words in tokenizers),
        *(
            _check(graph.file, open_stage, folder, graph, (CPU,), options)
            for graph in graphs(manifest.stages, manifest.decoding)
        ),
        _check(CARD, _require_text, folder / CARD),
        *(
            _check(name, attempt, folder, manifest)
            for name, attempt in others.items()
            if os.path.lexists(folder / name)
        ),
        *(
            Check(name, f"{folder / name} is no part of the bundle; remove it")
            for name in _strays(folder, manifest, others)
        ),
    ]
    if all(check.problem is None for check in checks):
        checks.append(_check("one run", StagedPolicy.load(folder).warm_up, 1))
    return tuple(checks)


def inspect(folder: Path) -> BundleSummary:
    """Summarise the bundle in ``folder`` without opening its graphs.

    Raises:
        BundleError: There is no manifest, or it is not a valid one.
    """
    manifest = read_manifest(folder)
    flops = weight_bytes = 0
    total_flops = sum(stage.flops for stage in manifest.stages) or 1
    total_bytes = sum(stage.weight_bytes for stage in manifest.stages) or 1
    stages = []
    for stage in manifest.stages:
        flops += stage.flops
        weight_bytes += stage.weight_bytes
        path = folder / stage.file
        size = path.stat().st_size if path.is_file() else None
        stages.append(StageSummary(stage, flops / total_flops, weight_bytes / total_bytes, size))
    return BundleSummary(folder, manifest, tuple(stages))


def _require_text(path: Path) -> None:
    if not read_text(path).strip():
        raise BundleError(f"{path} is empty; export the bundle again")


def _strays(folder: Path, manifest: Manifest, others: Mapping[str, Attempt]) -> list[str]:
    """Names of what lies in the folder and belongs to nothing."""
    known = {MANIFEST, CARD, *others, *COMPANIONS}
    if manifest.tokenizer is not None:
        known.add(manifest.tokenizer.file)
    for graph in graphs(manifest.stages, manifest.decoding):
        known |= {graph.file, *(entry.file for entry in graph.external)}
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


def _check(subject: str, attempt: Callable[..., object], *args: object) -> Check:
    try:
        attempt(*args)
    except MagmaError as error:
        return Check(subject, str(error))
    return Check(subject, None)
