# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Success of every exit of a policy by itself, on the same episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from magma_ros.evaluation.play.evaluate import Evaluation, evaluate
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.policy.manifest import read_manifest

FORMAT = "magma-exits/1"
"""Mark of the JSON of all exits."""


@dataclass(frozen=True, slots=True)
class ExitStudy:
    """Evaluations of all exits.

    Attributes:
        exits: By depth, the shallowest first.
    """

    exits: Mapping[int, Evaluation]

    @property
    def deepest(self) -> Evaluation:
        """That of the deepest exit, the one with the controls."""
        return self.exits[max(self.exits)]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        exits = {str(depth): evaluation.to_json() for depth, evaluation in self.exits.items()}
        return {"format": FORMAT, "exits": exits}


def evaluate_exits(
    spec: EvaluationSpec, bundle_folder: Path, *, console: Console | None = None
) -> ExitStudy:
    """Play all episodes of ``spec`` at every exit, whatever its gate.

    The controls, where asked for, are played at the deepest exit alone.

    Raises:
        MagmaError: As :func:`~magma_ros.evaluation.play.evaluate.evaluate`.
    """
    deepest = read_manifest(bundle_folder).exits
    exits: dict[int, Evaluation] = {}
    for depth in range(1, deepest + 1):
        at_depth = replace(spec.at_depth(depth), controls=spec.controls and depth == deepest)
        exits[depth] = evaluate(at_depth, bundle_folder, console=console)
    return ExitStudy(exits)
