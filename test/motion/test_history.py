# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of what was played answers for any moment and stays small."""

from __future__ import annotations

import numpy as np
import pytest

from magma_ros.motion.history import History, Progress


def history_of(*notes):
    history = History()
    for when, played in notes:
        history.record(when, Progress(played, np.full(6, 2.0 * played)))
    return history


def test_progress_is_interpolated_between_notes():
    progress = history_of((1.0, 0.0), (2.0, 1.0)).at(1.25)
    assert progress.played == pytest.approx(0.25)
    np.testing.assert_allclose(progress.travelled, 0.5)


def test_before_the_first_and_after_the_last_note_nothing_happened():
    history = history_of((1.0, 0.5), (2.0, 1.0))
    assert history.at(0.0).played == 0.5
    assert history.at(9.0).played == 1.0


def test_waiting_is_kept_as_its_two_ends():
    waiting = [(2.0 + 0.1 * i, 1.0) for i in range(31)]
    history = history_of((1.0, 0.0), *waiting, (6.0, 2.0))
    assert len(history) == 4
    assert history.at(3.0).played == 1.0  # and not a part of what was played after the wait
    assert history.at(5.5).played == pytest.approx(1.5)


@pytest.mark.parametrize("kept_from", [0.0, 2.0, 2.5, 3.0, 9.0])
def test_forgetting_changes_no_later_answer(kept_from):
    notes = [(1.0, 0.0), (2.0, 1.0), (3.0, 1.5), (4.0, 3.0)]
    whole, pruned = history_of(*notes), history_of(*notes)
    pruned.forget_before(kept_from)
    for when in np.arange(kept_from, 10.0, 0.25):
        assert pruned.at(when).played == whole.at(when).played
    assert len(history_of(*notes)) - len(pruned) == sum(w <= kept_from for w, _ in notes[1:])
