# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``magma eval``: how good a policy is."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from magma_ros.cli.common import Bundle, JsonFile, complaints, console, write_json
from magma_ros.doctor import require
from magma_ros.share import find_bundle

eval_app = App(name="eval")


@eval_app.default
def run_evaluation(
    *,
    suite: str = "tabletop",
    tasks: str = "reach,push,pick,place",
    episodes: int = 50,
    seed: int = 1000,
    split: Literal["seen", "shift"] = "seen",
    clock: Literal["ideal", "wall"] = "ideal",
    bundle: Bundle = "magma-nano",
    gate: str = "adaptive",
    depth: int | None = None,
    execute: int = 2,
    deadline: float = 0.08,
    controls: Annotated[bool, Parameter(negative="")] = False,
    workers: int = 2,
    json_file: JsonFile = None,
) -> int:
    """Measure a policy in simulation: success with intervals, depth, compute, honesty controls.

    Args:
        suite: Task suite.
        tasks: Tasks, separated by commas.
        episodes: Episodes a task.
        seed: Seed of the first episode; the others follow. The same seeds give the same result.
        split: Variation of scene and words.
        clock: ideal waits for the policy (the upper bound); wall does not.
        bundle: Policy bundle.
        gate: Gate that decides when to act.
        depth: Act at this exit always, instead of the gate.
        execute: Steps of a chunk to execute before the next is planned.
        deadline: Time from observation to action under the wall clock [s].
        controls: Repeat everything with black cameras, and with the instruction swapped.
        workers: Parallel processes (ideal clock only).
        json_file: Also write the result there.
    """
    from magma_ros.sim.eval_tables import evaluation_tables
    from magma_ros.sim.evaluation import EvaluationSpec, evaluate

    require("sim")
    spec = EvaluationSpec(
        tasks=tuple(task.strip() for task in tasks.split(",")),
        suite=suite,
        split=split,
        episodes=episodes,
        seed=seed,
        clock=clock,
        gate=gate if depth is None else "fixed",
        gate_options=() if depth is None else (("depth", depth),),
        execute=execute,
        deadline=deadline,
        controls=controls,
        workers=workers,
    )
    evaluation = evaluate(spec, find_bundle(bundle), console=complaints)
    for table in evaluation_tables(evaluation):
        console.print(table)
    if json_file is not None:
        write_json(evaluation.to_json(), json_file)
    return 0
