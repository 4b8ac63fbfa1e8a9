# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The line to a policy elsewhere is cut midway, and the robot goes on within the same tick."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from magma_ros.nodes import convert, names, qos

pytestmark = [pytest.mark.graph, pytest.mark.timeout(180)]

STRANGER = runpy.run_path(str(Path(__file__).parents[1] / "remote" / "stranger.py"))
STEPS = {"actions": np.full((8, 7), 0.001, np.float32)}


@pytest.fixture
def server(needs):
    needs("remote")
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


def test_when_the_line_is_cut_the_next_plan_is_made_here_and_none_is_late(
    launched, watcher, server
):
    plans = Plans(watcher)
    launch = launched(
        "demo.launch.yaml", task="reach", seed="3", run_dir="run", remote=server.address
    )
    watcher.spin_until(lambda: plans.from_elsewhere(5), 60.0, "plans from elsewhere")
    watcher.spin_until(lambda: plans.line.get("state") == "OPEN", 5.0, "the line's report")
    assert float(plans.line["round_trip_p50_ms"]) < 1000.0

    server.kill()
    before = len(plans.heard)
    watcher.spin_until(lambda: len(plans.heard) >= before + 15, 20.0, "more plans")
    after = plans.heard[before:]
    assert {plan["reason"] for plan in after} <= {"CONFIDENT", "DEEPEST", "DEADLINE", "OVERRUN"}
    assert all(float(plan["slack_ms"]) >= 0.0 for plan in after)
    assert [plan["from_elsewhere"] for plan in after[5:]] == ["0"] * len(after[5:])
    stamps = [int(plan["observation_ns"]) for plan in after]
    assert max(np.diff(stamps)) < 0.25e9, "a tick or two at most is left out"
    watcher.spin_until(lambda: plans.line.get("state") == "CUT", 5.0, "the cut to be told")
    assert server.address in plans.line["sentence"]
    assert float(plans.line["cut_share"]) > 0.0

    server.start()
    watcher.spin_until(lambda: plans.from_elsewhere(3), 20.0, "plans from elsewhere again")
    assert "cannot be reached" in launch.text
