# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the terminal console says of a robot; texts only, without colours of their own."""

from __future__ import annotations

import math

from magma_ros.console.robot import Diagnostic, GuardView, RecorderView, RobotView
from magma_ros.types import Mode

STALE = 2.5
"""Age beyond which what the guard or the policy said does not count any more [s]."""

COLOURS = {
    Mode.AUTO: ("#ffffff", "#1b5e20"),
    Mode.TELEOP: ("#ffffff", "#0d47a1"),
    Mode.HOLD: ("#000000", "#ffca28"),
    Mode.STOPPED: ("#ffffff", "#b71c1c"),
    None: ("#ffffff", "#424242"),
}
"""Of the mode, on its ground; each pair has a contrast of 4.5 or more (WCAG 2.2, AA)."""


def mode_words(guard: GuardView) -> tuple[str, tuple[str, str]]:
    """The mode as large as a terminal can write it, and its colours."""
    if guard.mode is None:
        return "N O   G U A R D", COLOURS[None]
    name = " ".join(guard.mode.name)
    if guard.age > STALE:
        return f"{name}   ( {guard.age:.0f} s old )", COLOURS[None]
    return name, COLOURS[guard.mode]


def sentence(view: RobotView) -> str:
    """Why the robot is in its mode, and whether it asks for a person."""
    guard = view.guard
    if guard.mode is None:
        return "Nothing has been heard of a guard; is the robot running?"
    said = [guard.sentence]
    if guard.detail and guard.detail not in guard.sentence:
        said.append(guard.detail)
    if view.policy.help and view.policy.help not in said:
        said.append(view.policy.help)
    return " ".join(filter(None, said))


def figures(view: RobotView) -> list[tuple[str, str]]:
    """Names and values of what an operator watches."""
    policy, guard = view.policy, view.guard
    depth = f"{policy.depth} of {policy.exits}" if policy.exits else str(policy.depth)
    limit = number(guard.speed_limit, "m/s", 2)
    position = view.position
    at = "-" if position is None else ", ".join(f"{part:.3f}" for part in position) + " m"
    return [
        ("depth", f"{depth} {policy.reason}".strip()),
        ("slack", number(1e3 * policy.slack, "ms", 1)),
        ("late plans", f"{policy.late} of {policy.plans}"),
        ("doubt", number(100.0 * policy.doubt, "%", 0)),
        ("plan age", number(policy.plan_age, "s", 2)),
        ("speed", f"{number(guard.speed, 'm/s', 3)} of {limit}"),
        ("let through", number(100.0 * guard.scale, "%", 0)),
        ("clearance", number(view.clearance, "m", 3)),
        ("hand at", f"{at}{aged(view.state_age)}"),
        ("gripper", number(100.0 * view.opening, "% open", 0)),
        ("policy", policy.fault or policy.waiting_for or ("-" if policy.plans == 0 else "well")),
        ("recorder", recorder(view.recorder)),
    ]


def recorder(view: RecorderView) -> str:
    """What the recorder is doing."""
    if math.isinf(view.age):
        return "none"
    label = f", {view.label}" if view.label else ""
    if view.problem:
        return f"{view.problem}{label}"
    state = f"recording, {view.messages} messages" if view.recording else "not recording"
    return f"{state}{label}"


def number(value: float, unit: str, digits: int) -> str:
    """A figure with its unit, or a dash where there is none."""
    return f"{value:.{digits}f} {unit}" if math.isfinite(value) else "-"


def aged(age: float) -> str:
    """How old something is, where that is worth saying."""
    if math.isinf(age):
        return ""
    return f" ({age:.1f} s old)" if age > STALE else ""


def diagnostic_details(entry: Diagnostic) -> str:
    """An entry of /diagnostics at length."""
    lines = [f"{entry.level}  {entry.name}{aged(entry.age)}", entry.message]
    return "\n".join([*lines, *(f"  {name}: {value}" for name, value in entry.values.items())])
