# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds suites by name, so that no module of an evaluation imports a simulator.

The suites of this package are known by short names. One from another package is named by where it
is, ``package.module:attribute``, on the command line too; the attribute is a
:class:`~magma_ros.evaluation.world.Suite`.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, cast

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.world import Suite

BUILT_IN = "magma_ros.sim.benchmark:suites"
"""Where the suites of this package are: a function that returns them by name."""


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


@cache
def _built_in() -> dict[str, Suite]:
    return dict(_imported(BUILT_IN)())


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
