# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds with a guarantee: Learn-then-Test, Angelopoulos et al. 2021, arXiv 2110.01052.

The loss of an episode is the share of its decisions that deviate from full depth by more than
epsilon. Decisions of one episode depend on each other; episodes do not, so they are what is
counted. A threshold is certified if the hypothesis "its expected loss exceeds delta" is refuted by
a p-value of at most alpha, which comes from betting against it (Waudby-Smith & Ramdas 2020, arXiv
2010.09686): with losses that vary little, it needs a fraction of the episodes of bounds of
Hoeffding's kind. Thresholds are tested from conservative to liberal, and the first one that fails
ends the test (fixed-sequence testing), so all that were certified hold together with probability
``1 - alpha``, without correction for their number.

Two conditions make it valid. Each threshold is tested on episodes that *its own gate* drives, so
the observations are those that this gate leads to. The order of the thresholds is chosen on other
episodes (split fixed-sequence testing), so that few suffice.

The promise is about episodes exchangeable with the tested ones: same tasks, same kind of scenes.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from magma_ros.evaluation.calibrate.episode_readings import Array, EpisodeReadings
from magma_ros.evaluation.calibrate.fitting import probabilities
from magma_ros.gate.confidence import LEAST_PROBABILITY, AgreementModel, strictest_passed
from magma_ros.gate.interface import GateError

TARGETS = (0.3, 0.5, 0.65, 0.75, 0.85, 0.95)
"""Predicted losses of the thresholds to test, in units of delta: closer where it gets tight."""

TRIALS = len(TARGETS)
"""Thresholds to test, at most."""

CANDIDATES = 200
"""Thresholds among which those to test are looked for."""


class CalibrationError(GateError):
    """A calibration was asked for that cannot give what it promises."""


def p_value(losses: Array, delta: float, *, alpha: float) -> float:
    """P-value of the hypothesis that the expected loss exceeds ``delta``.

    Whoever bets a share ``nu`` of the capital that the next loss stays below ``delta``, and gets
    ``1 + nu (delta - loss)`` times the stake, cannot expect to win if the hypothesis is true, so
    the capital ever exceeds ``1 / p`` with probability at most ``p`` (Ville's inequality). Shares
    are chosen before each loss is seen, from the variance so far, as in Bates et al., Distribution-
    free risk-controlling prediction sets (arXiv 2101.02703), section 3.1.3.

    Args:
        losses: (n,) of independent episodes, each in [0, 1].
        delta: Expected loss that is to be refuted.
        alpha: Level that the bets are tuned to; the p-value holds for any.
    """
    turn = np.arange(1, len(losses) + 1)
    mean = (0.5 + np.cumsum(losses)) / (1 + turn)
    variance = (0.25 + np.cumsum((losses - mean) ** 2)) / (1 + turn)
    known = np.concatenate([[0.25], variance[:-1]])
    share = np.minimum(1.0, np.sqrt(2.0 * math.log(1.0 / alpha) / (len(losses) * known)))
    with np.errstate(divide="ignore"):  # whoever has lost everything stays at minus infinity
        capital = np.cumsum(np.log1p(share * (delta - losses)))
    return min(1.0, math.exp(-float(capital.max())))


def fewest_episodes(delta: float, alpha: float, losses: npt.ArrayLike = 0.0) -> int:
    """Episodes with which an expected loss below ``delta`` is certified.

    Args:
        delta: Loss accepted.
        alpha: Probability that the certificate is wrong.
        losses: What to expect, over and over; none at all by default. Their mean lies below
            ``delta``.
    """

    def enough(episodes: int) -> bool:
        return p_value(np.resize(losses, episodes), delta, alpha=alpha) <= alpha

    most = next(episodes for episodes in (2**power for power in count()) if enough(episodes))
    return bisect_left(range(most), x=True, lo=max(1, most // 2), key=enough)


def require_possible(*, epsilon: float, delta: float, alpha: float, episodes: int) -> None:
    """Refuse a promise that no outcome could justify.

    Raises:
        CalibrationError: A level does not lie between 0 and 1, or the episodes are too few.
    """
    for name, level in (("epsilon", epsilon), ("delta", delta), ("alpha", alpha)):
        if not 0.0 < level < 1.0:
            raise CalibrationError(f"{name} must lie between 0 and 1, not {level:g}")
    needed = fewest_episodes(delta, alpha)
    if episodes < needed:
        raise CalibrationError(
            f"{episodes} episodes are too few for delta {delta:g} with confidence {1 - alpha:g}; "
            f"at least {needed} are needed, and more unless no decision deviates"
        )


def risk_interval(losses: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the expected loss, by inverting :func:`p_value` on both sides."""
    tail = (1.0 - confidence) / 2.0
    return 1.0 - risk_bound(1.0 - losses, tail), risk_bound(losses, tail)


def choose_sequence(
    model: AgreementModel, episodes: Sequence[EpisodeReadings], epsilon: float, delta: float
) -> tuple[float, ...]:
    """The thresholds to test, the most conservative first.

    They are those at which the loss predicted from ``episodes``, driven by something else and
    used for nothing but this and fitting, is one of :data:`TARGETS`; 1, which no exit but the
    deepest reaches, where no other threshold is predicted to do.
    """
    passed = [_strictest_passed(model, episode) for episode in episodes]
    reached = np.unique(np.concatenate([thresholds.ravel() for thresholds in passed]))
    usable = reached[(reached > 0.0) & (reached < 1.0)]
    spread = np.linspace(0, len(usable) - 1, min(CANDIDATES, len(usable))).astype(int)
    candidates = np.append(usable[spread], 1.0)
    losses = [
        np.mean(
            [
                episode.violations(epsilon, first_exits(thresholds >= threshold))
                for episode, thresholds in zip(episodes, passed, strict=True)
            ]
        )
        for threshold in candidates
    ]
    # At or above a candidate, no threshold is predicted to lose more than this.
    worst = np.maximum.accumulate(losses[::-1])[::-1]
    chosen = [candidates[np.argmax(worst <= target * delta)] for target in TARGETS]
    return tuple(dict.fromkeys(map(float, chosen)))


def _strictest_passed(model: AgreementModel, episode: EpisodeReadings) -> Array:
    """(D, E) highest thresholds that the exits pass; minus infinity where they never do."""
    given = probabilities(model, episode)
    prices = np.array([exit_model.price for exit_model in model.exits])
    return np.where(given >= LEAST_PROBABILITY, strictest_passed(given, prices), -np.inf)


def first_exits(accepted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(D,) first exit of each row of (D, E) that is accepted, or E + 1."""
    last = np.ones((len(accepted), 1), bool)
    return np.asarray(np.argmax(np.concatenate([accepted, last], axis=1), axis=1) + 1, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One threshold and the episodes that its gate drove.

    Attributes:
        threshold: Probability of agreement demanded.
        losses: (n,) of the episodes.
        p_value: Of the hypothesis that the expected loss exceeds delta.
        episodes: What was recorded.
    """

    threshold: float
    losses: Array
    p_value: float
    episodes: Sequence[EpisodeReadings]


def require_certified(
    tested: Sequence[Evidence], *, epsilon: float, delta: float, alpha: float
) -> Evidence:
    """The most liberal threshold that was certified.

    Raises:
        CalibrationError: There is none; the sentence names what would have been needed.
    """
    certified = [trial for trial in tested if trial.p_value <= alpha]
    if certified:
        return certified[-1]
    loss = float(tested[0].losses.mean())
    remedy = (
        f"play {fewest_episodes(delta, alpha, tested[0].losses)} episodes, or ask for a larger "
        "epsilon or delta"
        if loss < delta
        else "ask for a larger epsilon or delta"
    )
    raise CalibrationError(
        f"no threshold could be certified: with the most cautious one {loss:.1%} of the decisions "
        f"deviate by more than {epsilon:g}; {remedy}"
    )


def run_sequence(
    thresholds: Sequence[float],
    drive: Callable[[float], Sequence[EpisodeReadings]],
    *,
    epsilon: float,
    delta: float,
    alpha: float,
) -> tuple[Evidence, ...]:
    """Test thresholds in order until one cannot be certified.

    Args:
        thresholds: Fixed before any of the episodes was seen.
        drive: Lets the gate with a threshold drive fresh episodes.
        epsilon: Deviation accepted, in shares of the action range.
        delta: Loss accepted.
        alpha: Probability that any certified threshold loses more.

    Returns:
        All that were tested; every one but possibly the last is certified, with a p-value of at
        most ``alpha``.
    """
    tested: list[Evidence] = []
    for threshold in thresholds:
        episodes = drive(threshold)
        losses = np.array([episode.violations(epsilon) for episode in episodes])
        p = p_value(losses, delta, alpha=alpha)
        tested.append(Evidence(threshold, losses, p, episodes))
        if p > alpha:
            break
    return tuple(tested)


def risk_bound(losses: Array, tail: float) -> float:
    """The largest expected loss that is not refuted at level ``tail``."""

    def excess(delta: float) -> float:
        return p_value(losses, delta, alpha=tail) - tail

    return float(brentq(excess, 0.0, 1.0)) if excess(1.0) < 0.0 else 1.0
