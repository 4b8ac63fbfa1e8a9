# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics are few, and say what is so now, not what once was."""

import math

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor

from magma_ros.agent.health import Health
from magma_ros.gate.latency import LatencyModel
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.gripper import GRIPPER_SETTINGS
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.plan_report import Outlook, Tally
from magma_ros.nodes.policy_outputs import LATE_WINDOW, PolicyOutputs
from magma_ros.nodes.policy_settings import DIAGNOSTIC_SETTINGS


class Teller(ManagedNode):
    """A node with a policy's outputs and nothing else."""

    SETTINGS = (*GRIPPER_SETTINGS, *DIAGNOSTIC_SETTINGS)


@pytest.fixture
def diagnose():
    """Publish diagnostics for a tally; gives the statuses that arrive, by name."""
    rclpy.init(args=[])
    node = Teller("policy")
    outputs = PolicyOutputs(node, "base_link", "tiny")
    arrays = []
    node.create_subscription(DiagnosticArray, names.DIAGNOSTICS, arrays.append, qos.EVENTS)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    inputs = convert.status_message(DiagnosticStatus.OK, "policy: inputs", "All alive.", {})

    def diagnose(tally, *, driving=False):
        before = len(arrays)
        health = Health(math.inf, "", "")
        outlook = Outlook.of(LatencyModel(), ())
        outputs.diagnostics(health, inputs, tally, outlook, driving=driving)
        for _ in range(100):
            executor.spin_once(timeout_sec=0.1)
            if len(arrays) > before:
                break
        (array,) = arrays[before:]
        return {status.name: status for status in array.status}

    yield diagnose
    node.destroy_node()
    rclpy.shutdown()


def test_one_late_plan_is_a_warning_for_a_while_and_not_for_ever(diagnose):
    tally = Tally(plans=100)
    assert diagnose(tally)["policy: latency"].level == DiagnosticStatus.OK
    tally.late = 1
    levels = [diagnose(tally)["policy: latency"].level for _ in range(LATE_WINDOW + 2)]
    assert levels[:LATE_WINDOW] == [DiagnosticStatus.WARN] * LATE_WINDOW
    assert levels[LATE_WINDOW:] == [DiagnosticStatus.OK] * 2


def test_all_that_is_diagnosed_comes_in_one_message(diagnose):
    checks = ["policy: health", "policy: inputs", "policy: latency", "policy: guard"]
    assert list(diagnose(Tally())) == checks


def test_a_guard_that_lets_the_policy_drive_and_falls_silent_is_named(diagnose):
    assert diagnose(Tally())["policy: guard"].level == DiagnosticStatus.OK
    silent = diagnose(Tally(), driving=True)["policy: guard"]
    assert silent.level == DiagnosticStatus.WARN
    assert "is it running?" in silent.message
