# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who guesses the token waits ever longer, and a login ends."""

import pytest

from magma_ros.doorkeeper import (
    ADDRESSES,
    FORGIVEN,
    FREE_TRIES,
    LONGEST_WAIT,
    SESSION,
    SESSIONS,
    Doorkeeper,
)

TOKEN = "correct horse battery"


@pytest.fixture
def keeper(clock) -> Doorkeeper:
    return Doorkeeper(TOKEN, clock)


def fail(keeper, clock, times, address="192.0.2.7"):
    """Guess wrong as soon as it is heard; the waits."""
    waits = []
    for _ in range(times):
        waits.append(keeper.log_in("wrong", address).wait)
        clock.time += waits[-1]
    return waits


def test_the_token_opens_and_nothing_else_does(keeper):
    session = keeper.log_in(TOKEN, "192.0.2.7").session
    assert keeper.admits(session)
    for other in ("", TOKEN, session[:-1], session + "x"):
        assert not keeper.admits(other)
    for token in ("", TOKEN[:-1], TOKEN + " ", "\ud800", TOKEN.upper()):
        assert not keeper.log_in(token, "198.51.100.9").session


def test_waits_double_up_to_a_limit(keeper, clock):
    waits = fail(keeper, clock, FREE_TRIES + 14)
    assert waits[: FREE_TRIES + 4] == [0.0] * FREE_TRIES + [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT


def test_while_an_address_waits_the_right_token_opens_nothing_either(keeper, clock):
    wait = fail(keeper, clock, FREE_TRIES)[-1]
    wait = keeper.log_in("wrong", "192.0.2.7").wait
    clock.time += 0.5 * wait
    assert keeper.log_in(TOKEN, "192.0.2.7") == ("", pytest.approx(0.5 * wait))
    clock.time += 0.5 * wait
    assert keeper.log_in(TOKEN, "192.0.2.7").session


def test_one_address_does_not_lock_out_another(keeper, clock):
    fail(keeper, clock, FREE_TRIES)
    keeper.log_in("wrong", "192.0.2.7")
    assert keeper.log_in(TOKEN, "192.0.2.8").session


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("not an address", "not an address", True),
    ],
)
def test_addresses_that_one_guesser_has_count_together(keeper, clock, first, second, same):
    fail(keeper, clock, FREE_TRIES, first)
    keeper.log_in("wrong", first)
    assert bool(keeper.log_in(TOKEN, second).session) is not same


def test_a_success_or_an_hour_forgives(keeper, clock):
    fail(keeper, clock, FREE_TRIES)
    assert keeper.log_in(TOKEN, "192.0.2.7").session
    assert fail(keeper, clock, FREE_TRIES) == [0.0] * FREE_TRIES
    clock.time += FORGIVEN + 1
    assert fail(keeper, clock, 1) == [0.0]


def test_memory_is_bounded(keeper, clock):
    for number in range(2 * ADDRESSES):
        fail(keeper, clock, 1, f"10.0.{number // 256}.{number % 256}")
    assert len(keeper._failures) == ADDRESSES
    first = keeper.log_in(TOKEN, "192.0.2.7").session
    for _ in range(SESSIONS):
        last = keeper.log_in(TOKEN, "192.0.2.7").session
    assert not keeper.admits(first)
    assert keeper.admits(last)


def test_a_login_ends_by_itself_and_by_logging_out(keeper, clock):
    first, second = (keeper.log_in(TOKEN, "192.0.2.7").session for _ in range(2))
    keeper.log_out(first)
    assert not keeper.admits(first)
    assert keeper.admits(second)
    clock.time += SESSION + 1
    assert not keeper.admits(second)


def test_whatever_ends_a_login_early_is_told_to_what_was_opened_with_it(keeper):
    told = []
    first, second, third = (keeper.log_in(TOKEN, "192.0.2.7").session for _ in range(3))
    with keeper.told_of_end(first, lambda: told.append("logged out")):
        keeper.log_out(first)
    with keeper.told_of_end(second, lambda: told.append("not any more")):
        pass
    keeper.log_out(second)
    with keeper.told_of_end(third, lambda: told.append("too many")):
        for _ in range(SESSIONS):
            keeper.log_in(TOKEN, "192.0.2.7")
    assert told == ["logged out", "too many"]


def test_a_login_says_how_long_it_holds(keeper, clock):
    session = keeper.log_in(TOKEN, "192.0.2.7").session
    clock.time += SESSION - 5.0
    assert keeper.left(session) == pytest.approx(5.0)
    clock.time += 6.0
    assert keeper.left(session) == 0.0


def test_without_a_token_everybody_enters_and_nobody_logs_in(clock):
    keeper = Doorkeeper("", clock)
    assert keeper.admits("")
    assert not keeper.log_in("", "192.0.2.7").session
