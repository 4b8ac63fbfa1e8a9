# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the guard says about its own work: rate, punctuality, how much it holds back or refuses."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from magma_ros.agent.meter import Meter
from magma_ros.guard import GuardOutput
from magma_ros.nodes.diagnosis import Diagnosis
from magma_ros.nodes.managed_node import ManagedNode
from magma_ros.nodes.settings import Setting
from magma_ros.types import Source

REPORT_SETTINGS = (
    Setting(
        "diagnostics.clamp_ratio",
        0.5,
        "Share of a driver's commands of the last seconds that may be scaled down without a "
        "warning.",
        0.0,
        1.0,
        live=True,
    ),
    Setting(
        "diagnostics.late_update",
        2.0,
        "Time between two updates that one in twenty may exceed without a warning, in periods.",
        1.0,
        100.0,
        live=True,
    ),
    Setting(
        "diagnostics.rejected_rate",
        5.0,
        "Refused messages without a warning [Hz].",
        0.0,
        1e4,
        live=True,
    ),
)
"""From where on diagnostics warn."""


class GuardReport:
    """Measures the guard's updates.

    Args:
        node: The guard node, whose thresholds count.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._settings = node.settings
        self._diagnosis = Diagnosis(node)
        self._updates, self._clamped, self._refusals = Meter(), Meter(), Meter()
        self._rejected = 0

    def note(self, now: float, output: GuardOutput, rejected: int) -> None:
        """Note an update at ``now`` [s], and how many messages have been refused so far."""
        self._updates.note(now)
        if output.source is not Source.GUARD:
            self._clamped.note(now, float(output.scale < 1.0))
        for _ in range(min(rejected - self._rejected, 1000)):
            self._refusals.note(now)
        self._rejected = rejected

    def publish(self, now: float, mode: DiagnosticStatus) -> None:
        """Publish the mode and the figures of the last seconds."""
        late, clamp, refused = (
            self._settings[f"diagnostics.{name}"]
            for name in ("late_update", "clamp_ratio", "rejected_rate")
        )
        period = 1.0 / self._settings["command_rate"]
        interval, ratio = self._updates.p95(now), self._clamped.mean(now)
        refusals = self._refusals.rate(now)
        commands = self._diagnosis.check(
            "guard: commands",
            "The guard keeps its rate.",
            {
                f"Updates come up to {1e3 * interval:.0f} ms apart, at a period of "
                f"{1e3 * period:.0f} ms; the machine is too busy.": interval > late * period,
                f"{ratio:.0%} of the driver's commands are scaled down; see guard/mode for why.": (
                    ratio > clamp
                ),
                f"{refusals:.0f} messages a second are refused; see the log for why.": (
                    refusals > refused
                ),
            },
            {
                "rate_hz": self._updates.rate(now),
                "period_p95_ms": 1e3 * interval,
                "clamp_ratio": ratio,
                "rejected_hz": refusals,
                "rejected": self._rejected,
            },
        )
        self._diagnosis.publish(mode, commands)
