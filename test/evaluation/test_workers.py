# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A worker that crashes costs its episode's time; one that crashes again ends the run with reason.

What the workers apply is ``eval``: they are processes of their own, which know no test.
"""

import pytest

from magma_ros.evaluation.play.workers import WorkerError, spread

CRASH = "__import__('os').kill(__import__('os').getpid(), 11)"


def squares(*others):
    """Forty items, of which some are others."""
    items = [f"{number} ** 2" for number in range(40)]
    for place, other in others:
        items[place] = other
    return items


def played(items):
    return spread(eval, items, workers=2, console=None, description="")


def test_outcomes_come_in_order():
    assert played(squares()) == tuple(number**2 for number in range(40))


def test_what_a_crash_left_open_is_begun_again(tmp_path, caplog):
    def once(name):
        mark = f"__import__('pathlib').Path({str(tmp_path / name)!r})"
        return f"{mark}.exists() or ({mark}.touch(), {CRASH})"

    found = played(squares((7, once("one")), (30, once("two"))))
    assert found[7] is True
    assert found[30] is True
    others = [number for number in range(40) if number not in (7, 30)]
    assert [found[number] for number in others] == [number**2 for number in others]
    assert "a worker process crashed" in caplog.text


def test_what_crashes_again_is_given_up():
    with pytest.raises(WorkerError, match="ended unexpectedly"):
        played(squares((7, CRASH)))
