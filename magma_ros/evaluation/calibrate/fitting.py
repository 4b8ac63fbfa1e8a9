# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fits the models of agreement to recorded episodes, and measures how well they are calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from magma_ros.evaluation.calibrate.episode_readings import Array, EpisodeReadings
from magma_ros.gate.confidence import AgreementModel, ExitModel, Yardstick
from magma_ros.gate.interface import GateError

BINS = 10
"""Bins of a reliability diagram."""

PENALTY = 1.0
"""Weight of the squared coefficients of standardised features against the log-likelihood."""


def fit_agreement(
    episodes: Sequence[EpisodeReadings],
    epsilon: float,
    yardstick: Yardstick,
    prices: Sequence[float],
) -> AgreementModel:
    """Fit one model per exit to P(deviation from full depth <= ``epsilon``).

    Args:
        episodes: Recorded episodes.
        epsilon: Deviation accepted, in shares of the action range.
        yardstick: What it was measured by.
        prices: (E,) of going on from each exit to the next, relative to their mean.

    Raises:
        GateError: There is no decision to learn from.
    """
    features = np.concatenate([episode.features for episode in episodes])
    deviations = np.concatenate([episode.deviations for episode in episodes])
    if not len(features):
        raise GateError("there is no decision in the recorded episodes to learn from")
    exits = [
        replace(fit_exit(features[:, column], deviations[:, column] <= epsilon), price=price)
        for column, price in zip(range(features.shape[1]), prices, strict=True)
    ]
    return AgreementModel(yardstick, tuple(exits))


def fit_exit(features: Array, agrees: npt.NDArray[np.bool_]) -> ExitModel:
    """Logistic regression with a ridge penalty.

    Features are standardised for the fit; one that never varies gets no weight. The targets are
    drawn in a little from 0 and 1 as in J. Platt, Probabilistic outputs for support vector
    machines, 1999, so that the bias stays finite where an exit always agrees.

    Args:
        features: (N, F).
        agrees: (N,) whether the exit agreed with full depth.
    """
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf)
    design = np.column_stack([np.ones(len(features)), (features - centre) / scale])
    positives = int(agrees.sum())
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(agrees) - positives + 2)
    targets = np.where(agrees, high, low)

    def loss(coefficients: Array) -> tuple[float, Array]:
        logits = design @ coefficients
        ridge = coefficients * np.r_[0.0, np.full(len(centre), PENALTY)]
        value = np.sum(np.logaddexp(0.0, logits) - targets * logits) + 0.5 * ridge @ coefficients
        return float(value), design.T @ (expit(logits) - targets) + ridge

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[1:] / scale
    return ExitModel(float(found[0] - weights @ centre), tuple(map(float, weights)))


def probabilities(model: AgreementModel, episode: EpisodeReadings) -> Array:
    """(D, E) probabilities that the exits agree with full depth."""
    weights = np.array([exit_model.weights for exit_model in model.exits])
    bias = np.array([exit_model.bias for exit_model in model.exits])
    return np.asarray(expit(np.sum(episode.features * weights, axis=2) + bias))


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Predicted against observed agreement, in bins of equal width without the empty ones.

    Attributes:
        counts: (B,) decisions.
        predicted: (B,) mean probability given.
        observed: (B,) share that agreed.
    """

    counts: npt.NDArray[np.int64]
    predicted: Array
    observed: Array

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two, weighted by count.

        M. P. Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, 2015.
        """
        distances = np.abs(self.predicted - self.observed)
        return float(np.average(distances, weights=self.counts))


def reliability(predicted: Array, agrees: npt.NDArray[np.bool_]) -> Reliability:
    """Sort (N,) predictions into bins and compare each with (N,) outcomes."""
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    sums = np.bincount(bins, weights=predicted, minlength=BINS)
    hits = np.bincount(bins, weights=agrees, minlength=BINS)
    return Reliability(counts[filled], sums[filled] / counts[filled], hits[filled] / counts[filled])
