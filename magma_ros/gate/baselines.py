# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gates to compare with: one depth for all, a coin, entropy, agreement of exits, and foresight."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from typing import ClassVar

from magma_ros.gate.confidence import AgreementModel
from magma_ros.gate.interface import GateError, Memoryless, require_share, tightened
from magma_ros.types import ActionChunk, Budget, ExitReading


def uniform(seed: int, chunk: ActionChunk) -> float:
    """A number from 0 up to 1 that looks random, the same for the same chunk and seed."""
    content = struct.pack("<qd", seed, chunk.stamp) + chunk.actions.tobytes()
    return int.from_bytes(blake2b(content, digest_size=6).digest(), "little") / 2**48


@dataclass(frozen=True, slots=True)
class FixedDepth(Memoryless):
    """Confident at one depth, whatever is read there.

    Attributes:
        depth: Exit to act on, 1 for the shallowest.
    """

    name: ClassVar[str] = "fixed"
    depth: int

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise GateError(f"the depth of a fixed gate must be 1 or more, not {self.depth}")

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the depth is reached."""
        del budget  # a baseline that the budget could move would be none
        return reading.depth >= self.depth


@dataclass(slots=True)
class CoinGate(Memoryless):
    """Acts on one of two exits, drawn anew for every observation whatever is read there.

    What any gate must beat at equal operations. A draw is a hash of the first exit's chunk, so an
    episode repeats to the last byte, whatever was played before it.

    Attributes:
        depths: The shallower and the deeper exit, 1 for the shallowest of all; may be the same.
        share: Probability of the deeper one.
        seed: Of the draws.
    """

    name: ClassVar[str] = "coin"
    depths: tuple[int, int]
    share: float
    seed: int = 0
    _drawn: int = field(default=1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shallow, deep = self.depths
        if not 1 <= shallow <= deep:
            raise GateError(
                "the depths of a coin must be 1 or more, the shallower first, not "
                f"{shallow} and {deep}"
            )
        if not 0.0 <= self.share <= 1.0:
            raise GateError(f"the share of a coin must lie between 0 and 1, not {self.share:g}")

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit drawn for this observation is reached."""
        del budget  # a baseline that the budget could move would be none
        if reading.depth == 1:
            self._drawn = self.depths[uniform(self.seed, reading.chunk) < self.share]
        return reading.depth >= self._drawn


@dataclass(slots=True)
class DrawnGate(Memoryless):
    """Acts on an exit drawn anew for every observation, each as often as its share says.

    What a policy does that is stopped by something other than what it sees, such as the load of a
    server. Draws repeat like those of :class:`CoinGate`.

    Attributes:
        shares: Of each exit, the shallowest first; they add up to 1. Exits without one are never
            acted on.
        seed: Of the draws.
    """

    name: ClassVar[str] = "drawn"
    shares: tuple[float, ...]
    seed: int = 0
    _drawn: int = field(default=1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.shares, default=-1.0) < 0.0 or abs(sum(self.shares) - 1.0) > 1e-6:
            raise GateError(f"the shares of exits must be 0 or more and add up to 1: {self.shares}")

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit drawn for this observation is reached."""
        del budget  # a baseline that the budget could move would be none
        if reading.depth == 1:
            at = uniform(self.seed, reading.chunk)
            self._drawn = 1 + bisect_right(list(accumulate(self.shares[:-1])), at)
        return reading.depth >= self._drawn


@dataclass(frozen=True, slots=True)
class EntropyGate(Memoryless):
    """Confident once the bin distributions are sharp (BranchyNet's criterion, arXiv 1709.01686).

    Attributes:
        threshold: Largest mean entropy accepted without risk, as a share of the uniform
            distribution's; risk lowers it to ``threshold * (1 - 0.75 * risk)``.
    """

    name: ClassVar[str] = "entropy"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        require_share("threshold", self.threshold)

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit's distributions are sharp enough."""
        return reading.confidence.entropy <= tightened(self.threshold, budget.risk)


@dataclass(frozen=True, slots=True)
class ConsistencyGate(Memoryless):
    """Confident once two exits in a row agree (DeeR-VLA's criterion, arXiv 2411.02359).

    Attributes:
        thresholds: For each exit, the largest disagreement with the one before it that is
            accepted, in units of the normalised action range [-1, 1]; exits beyond go on. The
            first exit has nothing to agree with and is never accepted.
    """

    name: ClassVar[str] = "consistency"
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(threshold >= 0.0 for threshold in self.thresholds):
            raise GateError(
                "the thresholds of a consistency gate must be 0 or more, not "
                + ", ".join(f"{threshold:g}" for threshold in self.thresholds)
            )

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit agrees closely enough with the one before it."""
        del budget
        if reading.depth > len(self.thresholds):
            return False
        return reading.confidence.disagreement <= self.thresholds[reading.depth - 1]


@dataclass(slots=True)
class OracleGate(Memoryless):
    """Takes the cheapest exit within epsilon of full depth, because it knows full depth.

    No gate can spend less and deviate no more. It works only where every exit has been read
    beforehand, as :func:`magma_ros.evaluation.play.shadow.read_all` does.

    Attributes:
        epsilon: Deviation accepted, in shares of the action range.
        model: Its yardstick measures the deviation.
    """

    name: ClassVar[str] = "oracle"
    epsilon: float
    model: AgreementModel
    _full: ActionChunk | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_share("epsilon", self.epsilon)

    def reset(self) -> None:
        """Forget what was foreseen."""
        self._full = None

    def foresee(self, readings: Sequence[ExitReading]) -> None:
        """Receive the readings of every exit on the next observation."""
        self._full = readings[-1].chunk

    def confident(self, reading: ExitReading, budget: Budget) -> bool:
        """Whether the exit deviates from full depth by no more than epsilon."""
        del budget
        if self._full is None or self._full.stamp != reading.chunk.stamp:
            raise GateError("the oracle must be shown every exit's reading before it is asked")
        yardstick = self.model.yardstick
        return yardstick.deviation(reading.chunk.actions, self._full.actions) <= self.epsilon
