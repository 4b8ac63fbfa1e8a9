# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried on."""

from typing import Any

from hypothesis import settings

USUAL = settings.get_profile("repeatable").max_examples  # of a test that names no number


def examples(number: int, **others: Any) -> settings:
    """Settings of a test with its own number of examples, which the profile multiplies.

    Args:
        number: Examples in the profile ``repeatable``.
        others: Further settings of Hypothesis, such as ``stateful_step_count``.
    """
    return settings(max_examples=number * settings().max_examples // USUAL, **others)
