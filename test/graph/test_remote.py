# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The line to a policy elsewhere is cut midway, and the robot goes on within the same tick."""

import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from magma_ros.nodes import convert, names, qos
from magma_ros.share import find_bundle, share_file

pytestmark = [pytest.mark.graph, pytest.mark.timeout(180)]

STRANGER = runpy.run_path(str(Path(__file__).parents[1] / "remote" / "stranger.py"))
STEPS = {"actions": np.full((8, 7), 0.001, np.float32)}


@pytest.fixture
def server(needs):
    needs("remote", "console")
    made = STRANGER["StrangerServer"](lambda _: STEPS)
    yield made
    made.kill()


class Plans:
    """What the policy tells of every plan, and of its line."""

    def __init__(self, watcher) -> None:
        self.heard, self.line = [], {}
        node = watcher.node
        node.create_subscription(DiagnosticStatus, names.POLICY_STATUS, self._on_plan, qos.EVENTS)
        node.create_subscription(
            DiagnosticArray, names.DIAGNOSTICS, self._on_diagnostics, qos.EVENTS
        )

    def _on_plan(self, message) -> None:
        self.heard.append(convert.status_values(message))

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == "policy: remote":
                self.line = convert.status_values(status) | {"sentence": status.message}

    def from_elsewhere(self, count: int) -> bool:
        return [plan["from_elsewhere"] for plan in self.heard[-count:]] == ["1"] * count


@pytest.fixture
def demo(launched, tmp_path):
    """Start a demo that goes on until it is told to end; the policy drives once it is asked to.

    One without a console ends with its task's success, which may come before the line is back. Its
    deadline is one that a busy test machine keeps, so that the line is judged.
    """
    folder = shutil.copytree(share_file("config"), tmp_path / "config")
    file = folder / "policy.yaml"
    file.write_text(file.read_text().replace("deadline: 0.08", "deadline: 0.18"))

    def start(**arguments):
        words = {"task": "reach", "seed": "3", "run_dir": "run", "config": str(folder)}
        words |= {"console": "true", "console_port": "0"}
        return launched("demo.launch.yaml", **words | arguments)

    return start


def hand_over(watcher) -> None:
    """Give leave to drive, once the policy sends commands."""
    watcher.spin_until(lambda: watcher.call("guard/hand_back").success, 20.0, "leave to drive")
    watcher.spin_until(lambda: watcher.mode == "AUTO", 10.0, "AUTO")


def test_when_the_line_is_cut_the_next_plan_is_made_here_and_none_is_late(demo, watcher, server):
    plans = Plans(watcher)
    launch = demo(remote=server.address)
    watcher.spin_until(lambda: plans.from_elsewhere(5), 60.0, "plans from elsewhere")
    hand_over(watcher)
    watcher.spin_until(lambda: plans.line.get("state") == "OPEN", 5.0, "the line's report")
    assert float(plans.line["round_trip_p50_ms"]) < 1000.0

    server.kill()
    before = len(plans.heard)
    watcher.spin_until(lambda: len(plans.heard) >= before + 15, 20.0, "more plans")
    after = plans.heard[before:]
    decided = [plan for plan in after if plan["reason"] != "NO_TIME"]  # its picture came too late
    assert len(decided) >= len(after) - 3
    assert {plan["reason"] for plan in decided} <= {"CONFIDENT", "DEEPEST", "DEADLINE", "OVERRUN"}
    assert all(float(plan["slack_ms"]) >= 0.0 for plan in decided), decided
    assert [plan["from_elsewhere"] for plan in after[5:]] == ["0"] * len(after[5:])
    watcher.spin_until(lambda: plans.line.get("state") == "CUT", 5.0, "the cut to be told")
    assert server.address in plans.line["sentence"]
    assert float(plans.line["cut_share"]) > 0.0

    server.start()
    watcher.spin_until(lambda: plans.from_elsewhere(3), 20.0, "plans from elsewhere again")
    assert "The line to the policy elsewhere is cut" in launch.text


def test_a_robot_without_a_policy_of_its_own_holds_when_the_line_is_gone(
    demo, watcher, server, tmp_path
):
    bundle = yaml.safe_load((find_bundle("magma-nano") / "bundle.yaml").read_text())
    contract = {part: bundle[part] for part in ("observation", "action")}
    (tmp_path / "remote.yaml").write_text(
        yaml.safe_dump({"schema_version": 1, "address": server.address, **contract})
    )
    plans = Plans(watcher)
    demo(
        bundle="there-is-none",
        remote_only="true",
        remote_contract=str(tmp_path / "remote.yaml"),
    )
    watcher.spin_until(lambda: plans.from_elsewhere(3), 60.0, "plans from elsewhere")
    assert plans.heard[-1]["exits"] == "0"
    hand_over(watcher)
    server.kill()
    watcher.spin_until(
        lambda: [plan["reason"] for plan in plans.heard[-5:]] == ["UNANSWERED"] * 5,
        20.0,
        "plans to end",
    )
    watcher.spin_until(lambda: watcher.mode == "HOLD", 10.0, "HOLD")
