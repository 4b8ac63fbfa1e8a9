# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A program in a person's place moves the robot over real sockets, also after its motion ended."""

import time

import numpy as np
import pytest

from magma_ros.console.config import ConsoleConfig
from magma_ros.console.operator import Operator
from magma_ros.console.server import ConsoleServer


@pytest.fixture
def operator(robot):
    robot.now = time.monotonic
    server = ConsoleServer(robot, ConsoleConfig(port=0), lambda app, robot: None)
    server.start()
    operator = Operator(server.url, "bench")
    yield operator
    operator.close()
    server.stop()


def until(condition):
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_operator_whose_frames_were_late_moves_again_when_it_holds_again(robot, operator):
    assert operator.take_lease().accepted
    assert operator.top_speeds == (0.25, 0.6)
    share = [0.4, 0.0, 0.0, 0.0, 0.0, -0.5]
    operator.hold(share, 0.3)
    until(lambda: robot.jogs)
    np.testing.assert_allclose(robot.jogs[-1][1].twist, [0.1, 0.0, 0.0, 0.0, 0.0, -0.3])
    assert robot.jogs[-1][1].gripper == 0.3
    with operator._lock:  # its thread sends nothing in the meantime
        until(lambda: not robot.moves)
    until(lambda: operator._jog is None)  # it was told
    before = len(robot.jogs)
    operator.hold(share)
    until(lambda: len(robot.jogs) > before)
