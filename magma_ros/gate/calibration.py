# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds with a guarantee: Learn-then-Test, Angelopoulos et al. 2021, arXiv 2110.01052.

The loss of an episode is the share of its decisions that deviate from full depth by more than
epsilon. Decisions of one episode depend on each other; episodes do not, so they are what is
counted. A threshold is certified if the hypothesis "its expected loss exceeds delta" is refuted
by a Hoeffding-Bentkus p-value of at most alpha. Thresholds are tested from conservative to
liberal, and the first one that fails ends the test (fixed-sequence testing), so all that were
certified hold together with probability ``1 - alpha``, without correction for their number.

Two things make it honest. Each threshold is tested on episodes that *its own gate* drives, so the
observations are those that this gate leads to. And the order of the thresholds is chosen on other
episodes (split fixed-sequence testing), so that few suffice.

The promise is about episodes exchangeable with the tested ones: same tasks, same kind of scenes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import bdtr

from magma_ros.gate.confidence import AgreementModel
from magma_ros.gate.fitting import probabilities
from magma_ros.gate.interface import GateError
from magma_ros.gate.readings import Array, EpisodeReadings

TRIALS = 6
"""Thresholds to test, at most."""

LEAST_PROBABILITY = 0.5
"""No threshold lies below: an exit that more probably deviates is never acted on."""

CANDIDATES = 200
"""Thresholds among which those to test are looked for."""


class CalibrationError(GateError):
    """A calibration was asked for that cannot give what it promises."""


def p_value(mean_loss: float, episodes: int, delta: float) -> float:
    """Hoeffding-Bentkus p-value of the hypothesis that the expected loss exceeds ``delta``.

    For independent losses in [0, 1] with mean ``r`` over ``n`` episodes it is the smaller of
    ``exp(-n h(min(r, delta), delta))``, where ``h(a, b) = a log(a / b) + (1 - a) log((1 - a) /
    (1 - b))``, and ``e P(Binomial(n, delta) <= ceil(n r))``; Bates et al., arXiv 2101.02703.
    """
    hoeffding = math.exp(-episodes * _divergence(min(mean_loss, delta), delta))
    # A sum of losses may end a little above a whole number by rounding alone.
    worst = math.ceil(episodes * mean_loss - 1e-9)
    bentkus = math.e * float(bdtr(worst, episodes, delta)) if worst < episodes else 1.0
    return min(1.0, hoeffding, bentkus)


def fewest_episodes(delta: float, alpha: float, mean_loss: float = 0.0) -> int:
    """Episodes with which a mean loss below ``delta`` is certified.

    By Hoeffding's part of :func:`p_value`, ``n >= log(alpha) / -h(mean_loss, delta)``; without
    any loss that is ``log(alpha) / log(1 - delta)``, and fewer could not do.
    """
    return math.ceil(math.log(alpha) / -_divergence(mean_loss, delta) - 1e-9)


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


def risk_interval(mean_loss: float, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the expected loss, by inverting :func:`p_value` on both sides."""
    tail = (1.0 - confidence) / 2.0
    return 1.0 - _upper(1.0 - mean_loss, episodes, tail), _upper(mean_loss, episodes, tail)


def choose_sequence(
    model: AgreementModel, episodes: Sequence[EpisodeReadings], epsilon: float, delta: float
) -> tuple[float, ...]:
    """The thresholds to test, the most conservative first.

    They are those at which the loss predicted from ``episodes``, driven by something else and
    used for nothing but this and fitting, is 1/6, 2/6, ... of ``delta``; 1, which no exit but the
    deepest reaches, where no other threshold is predicted to do.
    """
    given = [probabilities(model, episode) for episode in episodes]
    reached = np.unique(np.concatenate([p.ravel() for p in given]))
    usable = reached[(reached >= LEAST_PROBABILITY) & (reached < 1.0)]
    spread = np.linspace(0, len(usable) - 1, min(CANDIDATES, len(usable))).astype(int)
    candidates = np.append(usable[spread], 1.0)
    losses = [
        np.mean(
            [
                episode.violations(epsilon, first_exits(p >= threshold))
                for episode, p in zip(episodes, given, strict=True)
            ]
        )
        for threshold in candidates
    ]
    # At or above a candidate, no threshold is predicted to lose more than this.
    worst = np.maximum.accumulate(losses[::-1])[::-1]
    targets = delta * np.arange(1, TRIALS + 1) / TRIALS
    chosen = [candidates[np.argmax(worst <= target)] for target in targets]
    return tuple(dict.fromkeys(map(float, chosen)))


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
        CalibrationError: There is none; the sentence says what it would have taken.
    """
    certified = [trial for trial in tested if trial.p_value <= alpha]
    if certified:
        return certified[-1]
    loss = float(tested[0].losses.mean())
    remedy = (
        f"play {fewest_episodes(delta, alpha, loss)} episodes, or ask for a larger epsilon or delta"
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
        p = p_value(float(losses.mean()), len(losses), delta)
        tested.append(Evidence(threshold, losses, p, episodes))
        if p > alpha:
            break
    return tuple(tested)


def _divergence(share: float, reference: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli distributions."""
    return _term(share, reference) + _term(1.0 - share, 1.0 - reference)


def _term(share: float, reference: float) -> float:
    return share * math.log(share / reference) if share > 0.0 else 0.0


def _upper(mean_loss: float, episodes: int, tail: float) -> float:
    """The largest expected loss that is not refuted at level ``tail``."""

    def excess(delta: float) -> float:
        return p_value(mean_loss, episodes, delta) - tail

    almost = 1.0 - 1e-9
    if mean_loss >= almost or excess(almost) > 0.0:
        return 1.0
    return float(brentq(excess, max(mean_loss, 1e-9), almost))
