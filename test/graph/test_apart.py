# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots and demonstrations on one machine, even in one DDS domain, hear nothing of each other."""

import json
import re
import subprocess
import sys
import time

import pytest

from magma_ros.nodes import names
from magma_ros.share import share_file

pytestmark = [pytest.mark.graph, pytest.mark.timeout(120)]

SHARED = {"/diagnostics", "/tf", "/tf_static", "/clock", "/rosout", "/parameter_events"}
"""What robots in one domain share on purpose."""

STARVED = "HOLD: The policy has sent no command"
"""What a guard says when a policy was not heard in time."""

OURS = {"policy", "guard", "recorder", "sim", "report"}


def users(node, topic):
    """The namespaces whose nodes publish or hear a topic."""
    infos = [
        *node.get_publishers_info_by_topic(topic),
        *node.get_subscriptions_info_by_topic(topic),
    ]
    return {info.node_namespace for info in infos if info.node_name in OURS}


def robot(launched, namespace):
    file = str(share_file("config", "robots", "sim.yaml"))
    return launched(
        "robot.launch.yaml",
        robot_file=file,
        namespace=namespace,
        record="false",
        cameras="front=rgb",
    )


def succeed(demo, watcher):
    """Wait for the demo's success; hand back whenever it holds, as three robots crowd a machine."""
    end = time.monotonic() + 90.0
    while "SUCCEEDED in" not in demo.text:
        assert time.monotonic() < end, demo.text
        modes = re.findall(r"\.guard\]: (AUTO|HOLD):", demo.text)
        if "AUTO" in modes and modes[-1] == "HOLD":
            watcher.call("/demo/guard/hand_back")
        watcher.spin_for(0.2)


def test_two_robots_and_a_demo_in_one_domain_share_nothing_that_moves(launched, watcher):
    robot(launched, "")
    robot(launched, "left")
    demo = launched("demo.launch.yaml", namespace="demo", task="reach", seed="1", run_dir="run")
    succeed(demo, watcher)
    node = watcher.node
    topics = {topic: users(node, topic) for topic, _ in node.get_topic_names_and_types()}

    assert {"/"} == topics[f"/{names.POLICY_TWIST}"]
    assert {"/left"} == topics[f"/left/{names.ROBOT_TWIST}"]
    assert {"/left"} == topics["/left/rgb/image_raw/compressed"]
    mixed = {t: spaces for t, spaces in topics.items() if len(spaces) > 1 and t not in SHARED}
    assert mixed == {}
    assert not [t for t in ("/tf", "/tf_static", "/clock") if "/demo" in topics.get(t, ())]
    # Its zeros end a second after its start, so its latched mode tells that it was heard.
    assert watcher.mode == "HOLD", "the robot's own guard must be heard"
    assert not any(size for _, size in watcher.twists[names.ROBOT_TWIST])


def play_together(folder, seeds):
    """Play demos of these seeds at the same time; by seed, what each summed up and printed."""
    demos = {}
    for seed in seeds:
        words = ["demo", "--task", "reach", "--seed", str(seed), "--run-dir", f"run{seed}"]
        demos[seed] = subprocess.Popen(
            [sys.executable, "-m", "magma_ros.cli", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        printed = {seed: demo.communicate(timeout=90)[0] for seed, demo in demos.items()}
    finally:
        for demo in demos.values():
            demo.kill()
            demo.wait()
    return {
        seed: (json.loads((folder / f"run{seed}" / "summary.json").read_text()), text)
        for seed, text in printed.items()
    }


@pytest.mark.timeout(300)
def test_two_demos_at_the_same_time_each_report_their_own_task(tmp_path, watcher):
    for attempt in range(3):  # a guard holds where ten processes that start leave a policy no time
        folder = tmp_path / str(attempt)
        folder.mkdir()
        found = play_together(folder, (1, 3))
        assert [summary["seed"] for summary, _ in found.values()] == [*found]
        if not any(STARVED in text for _, text in found.values()):
            break
    for summary, text in found.values():
        assert summary["success"], text
    watcher.spin_for(0.1)
    assert not watcher.twists[names.ROBOT_TWIST], "whoever is in the domain hears none of them"
