# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy trained elsewhere, six joints and nothing else, runs in the policy node over DDS."""

import runpy
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from magma_ros.cli import main
from magma_ros.cli.creation import create
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.nodes import convert, names, qos
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import share_file
from magma_ros.types import Source

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
POLICIES = Path(__file__).parents[1] / "models" / "foreign_policies.py"
JOINT_SET = POLICIES.with_name("joint_set.py")
THEIRS = SimpleNamespace(**runpy.run_path(str(POLICIES)))


class Arm:
    """Joints that go where they are told at once; says that the policy drives."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("arm")
        publisher = self.node.create_publisher
        self._states = publisher(JointState, names.JOINT_STATES, qos.STATE)
        self._mode = publisher(DiagnosticStatus, names.GUARD_MODE, qos.LATCHED)
        hear = self.node.create_subscription
        hear(JointTrajectory, names.POLICY_JOINTS, self._on_command, qos.STATE)
        self.plans: list[DiagnosticStatus] = []
        hear(DiagnosticStatus, names.POLICY_STATUS, self.plans.append, qos.EVENTS)
        self.joints = dict.fromkeys(reversed(THEIRS.JOINTS), 0.0)  # in another order than theirs
        self.commands = []

    def publish(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        header, at = Header(stamp=stamp), list(self.joints.values())
        self._states.publish(JointState(header=header, name=list(self.joints), position=at))

    def let(self, mode: str) -> None:
        status = convert.status_message(DiagnosticStatus.OK, "guard", "", {"mode": mode})
        self._mode.publish(status)

    def _on_command(self, message: JointTrajectory) -> None:
        command = convert.joint_command_from_message(message, Source.POLICY)
        self.commands.append(command)
        self.joints |= dict(zip(command.names, command.positions.tolist(), strict=True))


@pytest.fixture
def run(tmp_path):
    """Start a policy node for a robot with these joints; spin until a condition holds."""
    folder = tmp_path / "six"
    graph = THEIRS.mlp(tmp_path / "policy.onnx", steps=8)
    kind, dims = "joint_position", ",".join(THEIRS.JOINTS)
    create(graph, out=folder, name="six", kind=kind, dims=dims, step_period=0.05)
    made = []

    def start(joints, how="joints.without_description:=true"):
        robot_file = share_file("config", "robots", "sim.yaml")
        words = ["-p", f"bundle:={folder}", "-p", f"joints.names:=[{','.join(joints)}]"]
        words += ["-p", how]
        more = ["-p", "self_test:=0.0", "-p", "deadline:=5.0", "-p", "max_age:=5.0"]
        rclpy.init(args=["--ros-args", "--params-file", str(robot_file), *words, *more])
        made.extend((PolicyNode(), Arm(), SingleThreadedExecutor()))
        made[2].add_node(made[1].node)
        return made

    def until(condition):
        deadline = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            made[1].publish()
            for _ in range(5):
                made[2].spin_once(timeout_sec=0.01)

    yield start, until
    if made:
        made[0].destroy_node()
        made[1].node.destroy_node()
        rclpy.shutdown()


def test_joint_targets_lead_an_arm_whose_joints_come_in_another_order(run):
    start, until = run
    policy, arm, executor = start(reversed(THEIRS.JOINTS))
    assert policy.trigger_configure() == policy.trigger_activate() == SUCCESS
    executor.add_node(policy)
    until(lambda: len(arm.plans) > 2)
    assert {plan.level for plan in arm.plans} == {DiagnosticStatus.OK}
    assert not any(command.positions.any() for command in arm.commands)  # nobody lets it drive
    arm.let("AUTO")
    until(lambda: min(arm.joints.values()) > 0.25)
    assert {command.names for command in arm.commands} == {THEIRS.JOINTS}
    places = np.array([command.positions for command in arm.commands])
    assert np.abs(np.diff(places, axis=0)).max() < 0.1
    arm.let("HOLD")
    planned = len(arm.plans)
    until(lambda: len(arm.plans) > planned + 2)
    arm.joints = dict.fromkeys(THEIRS.JOINTS, -0.4)  # as somebody else might move it
    until(lambda: set(arm.commands[-1].positions.tolist()) == {-0.4})
    assert not arm.commands[-1].velocities.any()
    assert policy.trigger_deactivate() == SUCCESS


@pytest.mark.parametrize(
    ("joints", "sentence"),
    [
        (THEIRS.JOINTS[:5], "moves the joint joint_6, which the robot's file does not have"),
        ((*THEIRS.JOINTS, "rail"), "has the joint rail, which the policy does not move"),
    ],
)
def test_a_robot_of_other_joints_is_refused(run, capfd, joints, sentence):
    start, _ = run
    policy, *_ = start(joints)
    assert policy.trigger_configure() == FAILURE
    assert sentence in capfd.readouterr().err


def test_a_robot_whose_joint_has_another_unit_is_refused(run, capfd, tmp_path):
    kinds = {"joint_5": "prismatic", "joint_6": "continuous"}
    joints = "".join(
        f'<joint name="{name}" type="{kinds.get(name, "revolute")}"/>' for name in THEIRS.JOINTS
    )
    urdf = tmp_path / "arm.urdf"
    urdf.write_text(f"<robot name='arm'>{joints}</robot>")
    start, _ = run
    policy, *_ = start(THEIRS.JOINTS, f"body.urdf:={urdf}")
    assert policy.trigger_configure() == FAILURE
    said = capfd.readouterr().err
    assert "joint joint_5 in rad, but by the robot description it slides, which is m" in said


def lead_the_simulated_arm(folder, goal, within, *more):
    """Let the bundle lead the arm through the guard, node by node, until it is at the goal.

    Args:
        folder: The bundle.
        goal: Where the joints are to end [rad].
        within: How near to it [rad].
        more: Nodes that watch.
    """
    from magma_ros.nodes.sim_node import SimNode  # only these tests need PyBullet

    words = [f"bundle:={folder}", "self_test:=0.0", "deadline:=5.0", "max_age:=5.0"]
    words += ["overview_rate:=0.0", "time_limit:=0.0", "max_command_age:=1.0", "command_hold:=2.0"]
    patient = ("policy_timeout", "health_timeout", "plan_timeout", "state_timeout")
    words += [f"{name}:=5.0" for name in patient]
    robot_file = share_file("config", "robots", "sim_joints.yaml")
    given = [word for each in words for word in ("-p", each)]
    rclpy.init(args=["--ros-args", "--params-file", str(robot_file), *given])
    others = [kind() for kind in more]
    sim, guard, policy = SimNode(), GuardNode(), PolicyNode()
    executor = SingleThreadedExecutor()
    for node in (*others, sim, guard, policy):
        assert node.trigger_configure() == node.trigger_activate() == SUCCESS
        executor.add_node(node)
    client = policy.create_client(Trigger, "guard/hand_back")
    deadline, asked = time.monotonic() + 60.0, None
    begin = here = sim._world.joint_positions()[:5]
    while not np.allclose(here, goal, atol=within):
        assert time.monotonic() < deadline, here
        executor.spin_once(timeout_sec=0.02)
        if asked is None or (asked.done() and not asked.result().success):
            assert np.allclose(sim._world.joint_positions()[:5], begin, atol=0.01)
            asked = client.call_async(Trigger.Request())
        here = sim._world.joint_positions()[:5]
    assert asked.result().success
    for node in (policy, guard, *others):
        assert node.trigger_deactivate() == SUCCESS
    sim.end()
    for node in (policy, guard, *others, sim):
        node.destroy_node()
    rclpy.shutdown()


GOAL = (0.1, 0.45, 1.9, 0.79, 0.3)
"""Joints of the simulated arm, within its workspace [rad]."""


ARM = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_pitch", "wrist_roll")


def led_by_a_foreign_policy(tmp_path, *more):
    graph, folder = THEIRS.mlp(tmp_path / "policy.onnx", 8, GOAL), tmp_path / "five"
    kind, dims = "joint_position", ",".join(ARM)
    create(graph, out=folder, name="five", kind=kind, dims=dims, step_period=0.05)
    lead_the_simulated_arm(folder, GOAL, 0.05, *more)


def test_a_foreign_policy_leads_the_simulated_arm_through_the_guard(tmp_path, needs):
    needs("sim")
    led_by_a_foreign_policy(tmp_path)


def test_what_was_recorded_of_joints_trains_a_policy_of_joints(tmp_path, needs, monkeypatch):
    needs("sim", "train", "lerobot")
    monkeypatch.chdir(tmp_path)  # the recorder writes into runs/
    led_by_a_foreign_policy(tmp_path, RecorderNode)
    assert main(["episodes", "export", "runs", "--out", "set", "--trim", "--codec", "h264"]) == 0
    (episode,) = open_dataset(tmp_path / "set")
    assert episode.action_names == (*ARM, "gripper")
    left = np.abs(episode.actions[:, :5] - GOAL).max(axis=1)
    assert left[-1] < 0.5 * left[0]
    parts = SimpleNamespace(**runpy.run_path(str(JOINT_SET)))
    content = parts.recipe("set", optimiser={"steps": 2, "batch": 4}, checkpoint_every=2)
    content["data"] |= {"degrees": False}
    content["network"].pop("action")  # the names in the data set tell it all
    Path("joints.train.yaml").write_text(yaml.safe_dump(content))
    assert main(["train", "--config", "joints.train.yaml", "--out", "run"]) == 0
    assert main(["export", "--checkpoint", "run", "--out", "joints"]) == 0
    action = read_manifest(tmp_path / "joints").action
    assert (action.kind, action.space.names) == ("joint_position", (*ARM, "gripper"))


def test_a_data_set_of_joints_trains_a_policy_that_leads_the_simulated_arm(tmp_path, needs, caplog):
    needs("sim", "train", "lerobot")
    parts = SimpleNamespace(**runpy.run_path(str(JOINT_SET)))
    path = tmp_path / "joints.train.yaml"
    content = parts.recipe(parts.JointSet(tmp_path / "set", version="v3.0").write())
    path.write_text(yaml.safe_dump(content))
    run, folder = tmp_path / "run", tmp_path / "joints"
    words = ["train", "--config", str(path), "--out", str(run)]
    assert main(words) == main([*words, "--resume"]) == 0
    assert "and so held by the policy: shoulder_pan" in caplog.text
    assert main(["export", "--checkpoint", str(run), "--out", str(folder)]) == 0
    action = read_manifest(folder).action
    assert (action.kind, action.step_period) == ("joint_position", 0.1)
    assert action.space.joints == tuple(reversed(parts.JOINTS))
    lead_the_simulated_arm(folder, parts.GOAL, within=max(parts.MOVED))
