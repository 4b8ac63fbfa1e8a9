# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person at the console takes the moving arm and gives it back, at random moments."""

from __future__ import annotations

import math
import time

import numpy as np

from magma_ros.console.operator import Operator
from magma_ros.console.robot import Verb
from magma_ros.evaluation.bench.handovers import TO_PERSON, TO_POLICY, HandOver, largest_jump
from magma_ros.nodes.fault_wire import FaultWire

PATIENCE = 20.0
"""Longest wait for the other to drive [s]."""

AFTER = 0.3
"""Time after the new driver's first motion that still counts as the hand-over [s]."""


class HandOvers:
    """Hands the arm to and fro.

    Args:
        wire: Hears the commands.
        operator: The person.
        seed: Of the random moments and motions.
    """

    def __init__(self, wire: FaultWire, operator: Operator, seed: int) -> None:
        self._wire, self._operator = wire, operator
        self._rng = np.random.default_rng(seed)

    def both_ways(self) -> list[HandOver]:
        """Take the arm from the policy, lead it somewhere, and give it back.

        Raises:
            TimeoutError: The other does not drive in time.
        """
        self._wait(float(self._rng.uniform(0.1, 0.8)))
        direction = self._rng.normal(size=3) * [1.0, 1.0, 0.3]
        share = self._rng.uniform(0.3, 1.0) * direction / np.linalg.norm(direction)
        taken = self._hand_over(TO_PERSON, [*share, 0.0, 0.0, 0.0])
        self._wait(float(self._rng.uniform(0.1, 0.4)))
        given = self._hand_over(TO_POLICY, None)
        return [taken, given]

    def _hand_over(self, way: str, twist: list[float] | None) -> HandOver:
        before = self._wire.take_twists()[-3:]
        asked = time.monotonic()
        verb, mode = (Verb.TAKE_OVER, "TELEOP") if way == TO_PERSON else (Verb.HAND_BACK, "AUTO")
        while not (answer := self._operator.request(verb)).accepted:
            if time.monotonic() - asked > PATIENCE:
                raise TimeoutError(answer.sentence)
            time.sleep(0.05)
        if twist is not None:
            self._operator.hold(twist)
        while self._wire.mode != mode or not self._wire.moving():
            if time.monotonic() - asked > PATIENCE:
                raise TimeoutError(f"nothing moves in mode {self._wire.mode}")
            time.sleep(0.01)
        duration = time.monotonic() - asked
        time.sleep(AFTER)
        twists = before + self._wire.take_twists()
        speed = float(np.linalg.norm(twists[0][1][:3])) if before else math.nan
        return HandOver(way, speed, largest_jump(twists), duration)

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
