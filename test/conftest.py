# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""For all tests: the names of ROS 2 can be imported, and each test has a DDS domain of its own."""

import itertools
import random

import pytest

from magma_ros import embedded

embedded.install()

# Shuffled, so that test runs side by side on one machine hardly ever meet.
DOMAINS = itertools.cycle(random.SystemRandom().sample(range(20, 230), 210))


@pytest.fixture(autouse=True)
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain that no other test uses at the same time."""
    number = next(DOMAINS)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number
