# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A domain of one's own is one that nobody on this machine is in."""

import socket

import pytest
import rclpy

from magma_ros.embedded.domains import is_in_use, own_domain


@pytest.fixture
def unused(monkeypatch):
    """A domain whose ports the system does not hand out by chance."""
    with own_domain() as number:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


def test_a_domain_is_in_use_while_somebody_is_in_it(unused):
    assert not is_in_use(unused)
    rclpy.init(args=[])
    assert is_in_use(unused)
    rclpy.shutdown()
    assert not is_in_use(unused)


def test_the_preferred_domain_is_taken_if_nobody_is_in_it(unused):
    with own_domain([unused]) as own:
        assert own == unused
    rclpy.init(args=[])
    with own_domain([unused]) as own:
        assert own != unused
    rclpy.shutdown()


def test_two_who_ask_at_the_same_time_get_different_domains(unused):
    with own_domain([unused]) as first, own_domain([unused]) as second:
        assert first == unused
        assert second != first


def test_what_goes_wrong_inside_is_not_hidden(unused):
    with pytest.raises(OSError, match="mine"), own_domain([unused]):
        raise OSError("mine")


@pytest.mark.parametrize("number", [0, 7, 119])
def test_any_participant_of_a_domain_shows(unused, number):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 7400 + 250 * unused + 10 + 2 * number))
        assert is_in_use(unused)
