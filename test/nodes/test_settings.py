# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter is declared once, described, and spelt the same in the files."""

from pathlib import Path

import pytest
import yaml

from magma_ros.guard import Limits, Workspace
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.limits import ROBOT_SETTINGS
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.nodes.report_node import ReportNode
from magma_ros.nodes.sim_node import SimNode

ROOT = Path(__file__).resolve().parents[2]
NODES = {
    "policy": PolicyNode,
    "guard": GuardNode,
    "recorder": RecorderNode,
    "report": ReportNode,
    "sim": SimNode,
}
ROBOTS = sorted((ROOT / "config/robots").glob("*.yaml"))


def flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def parameters(path: Path) -> dict:
    return flat(yaml.safe_load(path.read_text())["/**"]["ros__parameters"])


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_every_parameter_is_described_and_its_default_in_range(node):
    for setting in node.SETTINGS:
        assert setting.description.endswith("."), setting.name
        if not setting.required:
            assert setting.checked(setting.default) == setting.default


@pytest.mark.parametrize("name", ["policy", "guard", "recorder", "sim"])
def test_tuning_files_name_only_declared_parameters_of_the_right_type(name):
    declared = {s.name: s for s in NODES[name].SETTINGS}
    for key, value in parameters(ROOT / "config" / f"{name}.yaml").items():
        checked = declared[key].checked(value)
        assert type(value) is type(checked), key


@pytest.mark.parametrize("path", ROBOTS, ids=lambda p: p.stem)
def test_robot_files_name_only_declared_parameters(path):
    declared = {s.name: s for s in ROBOT_SETTINGS}
    for key, value in parameters(path).items():
        declared[key].checked(value)
    required = {name for name, setting in declared.items() if setting.required}
    assert required <= set(parameters(path))


@pytest.mark.parametrize("path", ROBOTS, ids=lambda p: p.stem)
def test_robot_files_hold_limits_that_the_guard_accepts(path):
    values = parameters(path)
    group = lambda g: {k.split(".")[1]: v for k, v in values.items() if k.startswith(g)}  # noqa: E731
    Limits(**group("limits."))
    Workspace(**group("workspace."))


def test_simulated_robot_file_fits_the_simulated_gripper():
    arm = yaml.safe_load((ROOT / "sim/robots/nano_arm.yaml").read_text())
    values = parameters(ROOT / "config/robots/sim.yaml")
    assert values["gripper.joint"] in arm["finger_joints"]
    assert values["gripper.open_position"] == arm["finger_travel"]


def test_simulated_robot_file_ends_where_the_simulated_arm_does():
    """Further out the guard would let a person drive against a stop that nobody told of."""
    arm = yaml.safe_load((ROOT / "sim/robots/nano_arm.yaml").read_text())["limits"]["workspace"]
    values = parameters(ROOT / "config/robots/sim.yaml")
    slack = 0.005  # [m] less than the arm may lag behind anyway
    for guards, arms in zip(values["workspace.lower"], arm["low"], strict=True):
        assert guards >= arms - slack
    for guards, arms in zip(values["workspace.upper"], arm["high"], strict=True):
        assert guards <= arms
