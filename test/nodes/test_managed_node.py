# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Managed nodes can go up and down their lifecycle again and again."""

import pytest
import rclpy
from rclpy.lifecycle import TransitionCallbackReturn

from magma_ros.nodes import convert
from magma_ros.nodes.guard_node import GuardNode
from magma_ros.nodes.policy_node import PolicyNode
from magma_ros.nodes.recorder_node import RecorderNode
from magma_ros.nodes.report_node import ReportNode
from magma_ros.nodes.sim_node import SimNode
from magma_ros.share import share_file

NODES = [GuardNode, PolicyNode, RecorderNode, ReportNode, SimNode]
ROBOT = ["--ros-args", "--params-file", str(share_file("config", "robots", "sim.yaml"))]
DONE = TransitionCallbackReturn.SUCCESS
TASK = {"state": "SUCCEEDED", "task": "reach", "suite": "tabletop", "seed": 0, "elapsed": 1.0}


@pytest.fixture
def ros(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rclpy.init(args=ROBOT)
    yield
    rclpy.shutdown()


def open_ends(node):
    endpoints = (*node.publishers, *node.subscriptions, *node.services, *node.clients)
    return sorted(f"{type(end).__name__} {getattr(end, 'topic_name', '')}" for end in endpoints)


@pytest.mark.parametrize("node_class", NODES, ids=lambda n: n.__name__)
def test_node_leaves_nothing_open_when_cleaned_up_and_comes_back_the_same(ros, needs, node_class):
    if node_class is SimNode:
        needs("sim")
    node = node_class()
    bare = open_ends(node)
    active = []
    for _ in range(2):
        assert node.trigger_configure() == DONE
        assert node.trigger_activate() == DONE
        active.append(open_ends(node))
        assert node.trigger_deactivate() == DONE
        assert node.trigger_cleanup() == DONE
        assert open_ends(node) == bare
    assert active[0] == active[1]
    assert len(active[0]) > len(bare)
    node.destroy_node()


def test_failed_setup_leaves_nothing_open(ros):
    rclpy.shutdown()
    rclpy.init(args=["--ros-args", "-p", "bundle:=nope", *ROBOT[1:]])
    node = PolicyNode()
    bare = open_ends(node)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert open_ends(node) == bare
    node.destroy_node()


def test_report_that_cannot_be_written_is_no_success(ros, tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    node = ReportNode()
    assert node.trigger_configure() == DONE
    assert node.trigger_activate() == DONE
    node._on_task(convert.status_message(b"\0", "task", "Done.", TASK))
    node.trigger_shutdown()
    assert node.exit_status == 1
    node.destroy_node()


def test_a_run_that_is_broken_off_ends_at_once_and_without_a_report(ros, tmp_path):
    node = ReportNode()
    assert node.trigger_configure() == DONE
    assert node.trigger_activate() == DONE
    node.trigger_shutdown()
    assert node.exit_status == 1
    assert list(tmp_path.iterdir()) == []
    node.destroy_node()
