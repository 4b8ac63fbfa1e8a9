# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The statistics that evaluations report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magma_ros.types import FloatArray


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a success rate (E. B. Wilson, JASA 22, 1927).

    Unlike the textbook interval it stays sensible at 0 % and 100 % and with few trials.
    """
    # Importing scipy.stats takes a second, which the workers that play episodes need not pay.
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(
    weights: Sequence[float], successes: Sequence[int], trials: Sequence[int]
) -> tuple[float, float]:
    """95 % interval of a weighted sum of independent success rates.

    Square-and-add from the Wilson interval of each, as in G. Y. Zou, W. Huang and X. Zhang,
    Computational Statistics and Data Analysis 53, 1080-1085, 2009: unlike the usual standard error
    it is not zero where every rate is 0 % or 100 %.

    Args:
        weights: Of the rates, none negative.
        successes: Of each.
        trials: Of each.
    """
    share, counts = np.array(weights), np.array(successes) / np.array(trials)
    low, high = np.array(
        [wilson_interval(done, of) for done, of in zip(successes, trials, strict=True)]
    ).T
    mean = float(share @ counts)
    below = float(np.linalg.norm(share * (counts - low)))
    above = float(np.linalg.norm(share * (high - counts)))
    return mean - below, mean + above


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """How two policies fared in the same episodes.

    Attributes:
        both: Episodes in which both succeeded.
        only_first: In which the first one alone did.
        only_second: In which the second one alone did.
        neither: In which none did.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def pairs(self) -> int:
        """All episodes."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Success rate of the second less that of the first."""
        return (self.only_second - self.only_first) / self.pairs

    def difference_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Interval of the difference between two paired success rates.

        Newcombe's square-and-add method with continuity-corrected correlation, number 10 in
        R. G. Newcombe, Statistics in Medicine 17, 2635-2650, 1998: from the Wilson interval of
        each rate, so it stays within -1 to 1 and sensible where both policies always succeed.
        """
        a, b, c, d = self.both, self.only_second, self.only_first, self.neither
        n = self.pairs
        p1, p2 = (a + b) / n, (a + c) / n
        low1, high1 = wilson_interval(a + b, n, confidence)
        low2, high2 = wilson_interval(a + c, n, confidence)
        spread = (a + b) * (c + d) * (a + c) * (b + d)
        surplus = a * d - b * c
        corrected = max(surplus - n / 2, 0.0) if surplus > 0 else surplus
        phi = corrected / np.sqrt(spread) if spread else 0.0
        below, above = p1 - low1, high2 - p2
        down = np.sqrt(below**2 - 2.0 * phi * below * above + above**2)
        below, above = p2 - low2, high1 - p1
        up = np.sqrt(below**2 - 2.0 * phi * below * above + above**2)
        return float(self.difference - down), float(self.difference + up)

    def p_value(self) -> float:
        """McNemar's exact test: how often chance alone would split the discordant pairs so.

        Two-sided binomial test of the pairs in which just one succeeded (Q. McNemar,
        Psychometrika 12, 1947); 1 where there are none.
        """
        from scipy.stats import binomtest

        discordant = self.only_first + self.only_second
        return float(binomtest(self.only_first, discordant).pvalue) if discordant else 1.0


def rms_jerk(path: FloatArray, period: float) -> float:
    """Root mean square norm of the third derivative of a path, by differences [m/s^3].

    Args:
        path: (N, 3) positions [m].
        period: Time between two of them [s].

    Returns:
        The jerk; 0 for fewer than four positions.
    """
    if len(path) < 4:
        return 0.0
    jerk = np.diff(path, n=3, axis=0) / period**3
    return float(np.sqrt(np.mean(np.sum(jerk**2, axis=1))))


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, or None where there is nothing to divide by."""
    return part / whole if whole else None
