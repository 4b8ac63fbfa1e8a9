# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Servo's parameters are read through its own services, from another node."""

import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from magma_ros.guard.servo import misreading
from magma_ros.nodes import controller_check
from magma_ros.nodes.servo_check import servo_check


class Rig:
    def __init__(self):
        rclpy.init(args=[])
        self.guard = rclpy.create_node("guard")
        self.nodes = [self.guard]
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.guard)
        self.check = servo_check(self.guard, lambda s: misreading(s, 0.02, 0.1))

    def start_servo(self, spinning=True, **parameters):
        servo = rclpy.create_node("servo_node")
        for name, value in parameters.items():
            servo.declare_parameter(f"moveit_servo.{name}", value)
        self.nodes.append(servo)
        if spinning:
            self.executor.add_node(servo)
        return servo

    def until(self, words, ahead=0.0):
        """Look until the check says ``words``; everything it said."""
        deadline, said = time.monotonic() + 10.0, []
        while not said or words not in said[-1] or (words == "" and said[-1]):
            assert time.monotonic() < deadline, said[-3:]
            said.append(self.check.look(time.monotonic() + ahead))
            self.executor.spin_once(timeout_sec=0.02)
        return said

    def close(self):
        for node in self.nodes:
            node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.close()


def test_where_no_servo_is_nothing_is_said(rig):
    for _ in range(10):
        assert rig.check.look(time.monotonic()) == ""


def test_a_unitless_servo_is_found_out(rig):
    rig.start_servo(command_in_type="unitless", incoming_command_timeout=0.1)
    said = rig.until("set it to speed_units")
    assert "MoveIt Servo has not yet said" in " ".join(said)  # nor may it be driven before


def test_a_servo_in_speed_units_is_right_and_asked_again_later(rig):
    servo = rig.start_servo(command_in_type="speed_units", incoming_command_timeout=0.1)
    rig.until("has not yet said")
    rig.until("")
    servo.set_parameters(
        [rclpy.parameter.Parameter("moveit_servo.command_in_type", value="unitless")]
    )
    rig.until("set it to speed_units", ahead=controller_check.PATIENCE + 0.1)


def test_another_node_of_servos_name_is_named(rig):
    rig.start_servo()
    rig.until("if another controller has its name, set servo_check to false")


def test_a_servo_that_does_not_answer_is_named_with_the_middleware(rig):
    rig.start_servo(spinning=False, command_in_type="speed_units")
    rig.until("has not yet said")
    rig.until("RMW_IMPLEMENTATION=rmw_cyclonedds_cpp", ahead=controller_check.PATIENCE + 0.1)
