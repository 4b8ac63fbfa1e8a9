# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds suites by name, so that no module of an evaluation imports a simulator.

The suites of this package are known by short names. One from another package is named by where it
is, ``package.module:attribute``, on the command line too; the attribute is a
:class:`~magma_ros.evaluation.world.Suite`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.world import Benchmark, NeedsExtra, Suite

BUILT_IN = ("magma_ros.sim.benchmark:suites", "magma_ros.metaworld.benchmark:suites")
"""Where the suites of this package are: functions that return them by name."""

TRIALS = 50
"""Episodes a task, where no suite lays down another number."""


def suite_names() -> tuple[str, ...]:
    """Names of the suites of this package, sorted."""
    return tuple(sorted(_built_in()))


@cache
def find_suite(name: str) -> Suite:
    """The suite of that name.

    Args:
        name: One of :func:`suite_names`, or ``package.module:attribute``.

    Raises:
        EvaluationError: There is none, or it cannot be imported.
    """
    if ":" in name:
        return cast("Suite", _imported(name))
    suites = _built_in()
    if name not in suites:
        raise EvaluationError(
            f"there is no suite {name!r}; known: {', '.join(sorted(suites))}; one of another "
            "package is named package.module:attribute"
        )
    return suites[name]


def extras_of(names: Iterable[str]) -> tuple[str, ...]:
    """The extras that suites of this package need, without repetition.

    Raises:
        EvaluationError: There is no such suite.
    """
    found = [suite.extra for suite in map(find_suite, names) if isinstance(suite, NeedsExtra)]
    return tuple(dict.fromkeys(found))


def steps_executed(name: str, step_period: float) -> int:
    """Steps of a policy's chunk that are executed before the next observation in a suite, or 1.

    Args:
        name: Of the suite, which says so in steps of its own.
        step_period: Duration of the policy's steps [s].

    Raises:
        EvaluationError: There is no such suite.
    """
    suite = find_suite(name)
    return max(1, round(suite.execute * suite.step_period / step_period))


def trials_of(names: Iterable[str]) -> int:
    """Episodes a task: the fewest that one of the suites lays down, or :data:`TRIALS`.

    Raises:
        EvaluationError: There is no such suite.
    """
    laid = [suite.trials for suite in map(find_suite, names) if isinstance(suite, Benchmark)]
    return min(laid, default=TRIALS)


@cache
def _built_in() -> dict[str, Suite]:
    return {name: suite for place in BUILT_IN for name, suite in _imported(place)().items()}


def _imported(place: str) -> Any:
    """The attribute at ``package.module:attribute``.

    Raises:
        EvaluationError: It cannot be imported.
    """
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise EvaluationError(f"cannot import the suite {place}: {error}") from error
