# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user must be able to rely on when all processes run: tried on all processes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped
from rosbags.highlevel import AnyReader

from magma_ros.episodes.lerobot.export import export
from magma_ros.episodes.lerobot.read import open_dataset
from magma_ros.episodes.messages import Bag
from magma_ros.episodes.read import read_episode
from magma_ros.nodes import names, qos
from magma_ros.nodes.managed_node import UNUSABLE

pytestmark = [pytest.mark.graph, pytest.mark.timeout(180)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start_moving(launched, watcher, **arguments):
    launch = launched("demo.launch.yaml", task="reach", seed="3", run_dir="run", **arguments)
    watcher.spin_until(watcher.moving, 60.0, "the arm to move")
    return launch


def test_dead_policy_stops_the_arm_and_only_a_person_starts_it_again(launched, watcher):
    launch = start_moving(launched, watcher)
    before = launch.pids()
    watcher.spin_for(0.3)  # in full motion, not at its very first command
    os.kill(before["policy_node"], signal.SIGKILL)
    watcher.spin_until(lambda: watcher.mode == "HOLD", 20.0, "HOLD")
    watcher.spin_for(0.5)

    assert watcher.modes[-1]["reason"] == "POLICY_SILENT"
    assert "policy has sent no command" in watcher.modes[-1]["sentence"]
    last_word = watcher.twists[names.POLICY_TWIST][-1][0]
    zero = next(t for t, size in watcher.twists[names.ROBOT_TWIST] if t > last_word and size == 0.0)
    assert zero - last_word <= 0.2
    others = {name: pid for name, pid in before.items() if name != "policy_node"}
    assert all(alive(pid) for pid in others.values())

    heard = len(watcher.twists[names.POLICY_TWIST])
    watcher.spin_until(
        lambda: len(watcher.twists[names.POLICY_TWIST]) > heard + 50, 60.0, "the policy to return"
    )
    assert launch.pids()["policy_node"] != before["policy_node"]
    assert watcher.mode == "HOLD"
    since = [size for t, size in watcher.twists[names.ROBOT_TWIST] if t >= zero]
    assert max(since) == 0.0, "a policy that comes back must not move the arm by itself"

    assert watcher.call("guard/reset").success
    watcher.spin_for(0.5)
    assert (watcher.mode, watcher.modes[-1]["reason"]) == ("HOLD", "READY")
    # The dead policy's publishers stay listed until its lease on the network has run out.
    watcher.spin_until(lambda: watcher.call("guard/hand_back").success, 30.0, "leave to drive")
    watcher.spin_until(lambda: watcher.mode == "AUTO", 20.0, "AUTO")
    watcher.spin_until(watcher.moving, 10.0, "the arm to move again")


def test_dead_guard_stops_the_arm_and_comes_back_into_hold(launched, watcher):
    poses = []
    watcher.node.create_subscription(
        PoseStamped, names.EE_POSE, lambda m: poses.append(m.pose.position), qos.EVENTS
    )
    launch = start_moving(launched, watcher)
    before = launch.pids()["guard_node"]
    os.kill(before, signal.SIGKILL)
    heard = len(watcher.twists[names.ROBOT_TWIST])
    watcher.spin_for(0.4)  # the robot's own time-out for commands is 0.1 s
    poses.clear()
    modes = len(watcher.modes)
    watcher.spin_until(lambda: len(watcher.modes) > modes, 20.0, "the guard to return")
    watcher.spin_for(1.5)  # whoever started the demo gave leave once
    assert launch.pids()["guard_node"] != before
    assert (watcher.mode, watcher.modes[-1]["reason"]) == ("HOLD", "STARTUP")
    sizes = [size for _, size in watcher.twists[names.ROBOT_TWIST][heard + 5 :]]
    assert sizes
    assert max(sizes) == 0.0
    last, first = poses[-1], poses[0]
    assert max(abs(last.x - first.x), abs(last.y - first.y), abs(last.z - first.z)) < 0.002


def test_stop_latches_until_reset_and_hand_back(launched, watcher):
    start_moving(launched, watcher)
    assert watcher.call("guard/stop").success
    watcher.spin_until(lambda: watcher.mode == "STOPPED", 20.0, "STOPPED")
    refused = watcher.call("guard/hand_back")
    assert not refused.success
    assert "reset" in refused.message
    watcher.spin_for(0.5)
    assert not watcher.moving()
    assert watcher.call("guard/reset").success
    watcher.spin_until(lambda: watcher.mode == "HOLD", 20.0, "HOLD")
    assert watcher.call("guard/hand_back").success
    watcher.spin_until(lambda: watcher.mode == "AUTO", 20.0, "AUTO")


def test_demo_does_the_task_and_leaves_a_report_and_a_readable_recording(tmp_path):
    command = [sys.executable, "-m", "magma_ros.cli", "demo", "--task", "reach", "--seed", "1"]
    command += ["--run-dir", "run", "--json", "summary.json"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["success"] is True
    assert summary["plans"] > 0
    run = tmp_path / "run"
    for name in ("report.md", "summary.json", "plot.png", "clip.gif"):
        assert (run / name).stat().st_size > 0, name
    with AnyReader([run / "episode_0"]) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
        twist = next(c for c in bag.connections if c.topic == "/servo_node/delta_twist_cmds")
        _, _, data = next(bag.messages([twist]))
        assert bag.deserialize(data, twist.msgtype).header.frame_id == "base_link"
    for topic in (
        "/camera/front/image_raw",
        "/policy/twist",
        "/policy/trace",
        "/guard/mode",
        "/ee_pose",
    ):
        assert counts[topic] > 0, topic
    assert_episode_can_be_learnt_from(run / "episode_0", tmp_path / "set")
    assert_foxglove_finds_its_keys(run / "episode_0")


def assert_episode_can_be_learnt_from(folder, out):
    episode = read_episode(folder)
    assert not episode.warnings
    assert episode.share("policy") > 0.1
    assert episode.outcome.verdict == "good"
    assert export([episode], out).episodes == 1
    (again,) = open_dataset(out)
    assert set(again.cameras) == {"front", "wrist"}
    assert set(again.instructions) == {episode.instruction}


def assert_foxglove_finds_its_keys(folder):
    text = (Path(__file__).parents[2] / "config" / "foxglove" / "magma_ros.json").read_text()
    wanted = set(re.findall(r'"(/[\w/]+)\.values\[:\]\{key==\\"(\w+)\\"\}\.value"', text))
    assert len(wanted) > 10
    found = {
        (message.topic, pair.key)
        for message in Bag(folder).messages({topic for topic, _ in wanted})
        for pair in message.decode().values
    }
    assert wanted - found == set()


def test_unusable_network_interface_is_named_in_one_sentence(tmp_path):
    config = "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='nosuch0'/>"
    config += "</Interfaces></General></Domain></CycloneDDS>"
    done = subprocess.run(
        [sys.executable, "-c", "from magma_ros.nodes.guard_node import main; exit(main())"],
        env=os.environ | {"CYCLONEDDS_URI": config},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == UNUSABLE
    assert "Traceback" not in done.stderr
    assert "interface" in done.stderr
