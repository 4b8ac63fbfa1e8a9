# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starting a demonstration is leave to move once; nothing after that moves the arm by itself."""

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from magma_ros.nodes import names
from magma_ros.nodes.hand_over import HandOver


class Desk:
    """A guard that answers as it is told, and a node that asks it to hand over."""

    def __init__(self):
        self.node = rclpy.create_node("desk")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.node.create_service(Trigger, names.GUARD_HAND_BACK, self._on_request)
        self.grants, self.requests, self.told = False, 0, []
        self.hand_over = HandOver(self.node, self.told.append)

    def _on_request(self, _, response):
        self.requests += 1
        response.success = self.grants
        response.message = "granted" if self.grants else "the policy has no plan yet"
        return response

    def ask_until(self, condition, attempts=200):
        for _ in range(attempts):
            self.hand_over.ask()
            self.executor.spin_once(timeout_sec=0.02)
            if condition():
                return True
        return False


@pytest.fixture
def desk():
    rclpy.init(args=[])
    desk = Desk()
    yield desk
    desk.node.destroy_node()
    rclpy.shutdown()


def test_a_refusal_is_told_once_and_asking_goes_on_until_it_is_granted_and_no_further(desk):
    desk.hand_over.on_mode("HOLD", "STARTUP")
    assert desk.ask_until(lambda: desk.requests >= 3)
    desk.grants = True
    assert desk.ask_until(lambda: desk.hand_over.over)
    granted = desk.requests
    assert desk.told == ["the policy has no plan yet", "granted"]
    desk.hand_over.on_mode("HOLD", "POLICY_SILENT")
    assert not desk.ask_until(lambda: desk.requests > granted, attempts=30)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("STOPPED", "OPERATOR_STOP"), ("HOLD", "OPERATOR_HOLD"), ("TELEOP", ""), ("AUTO", "")],
)
def test_what_a_person_or_a_watchdog_did_first_is_never_undone(desk, mode, reason):
    desk.grants = True
    desk.hand_over.on_mode(mode, reason)
    desk.hand_over.on_mode("HOLD", "STARTUP")  # as after a reset, or a guard that came back
    assert not desk.ask_until(lambda: desk.requests > 0, attempts=30)
