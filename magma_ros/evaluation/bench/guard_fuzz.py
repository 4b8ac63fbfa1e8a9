# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random messages and requests in any order go through the guard; what comes out is checked."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from magma_ros.evaluation.bench.guard_robot import IdealArm, robot_config
from magma_ros.guard import (
    Clearance,
    GripperCommand,
    Guard,
    GuardConfig,
    GuardOutput,
    Latches,
    PolicyHealth,
)
from magma_ros.types import Answer, FloatArray, Mode, Pose, Source, StopReason, TwistCommand

WEIRD = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, -1e300, 1e-300)
"""Numbers that no message should hold, besides those it may."""

MOOD = 1000
"""Messages after which it is drawn anew what works and what does not."""

EXCURSION = 1e-3
"""Distance beyond a face of its box that the arm may be at [m]."""


@dataclass
class FuzzResult:
    """What the fuzz found.

    Attributes:
        messages: Messages and requests sent.
        updates: Commands that came out.
        moving: Of these, those with motion.
        seconds: Time it took in the guard and in the checks [s].
        modes: How often each mode was seen, by its name.
        reasons: How often each reason was seen, by its name.
        beyond_limits: Commands beyond the limits, or that left an arm out of its box.
        without_leave: Motion that no person gave leave for.
        exceptions: What was raised.
        violations: Each of these as a sentence, with its count.
    """

    messages: int = 0
    updates: int = 0
    moving: int = 0
    seconds: float = 0.0
    modes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    beyond_limits: int = 0
    without_leave: int = 0
    exceptions: int = 0
    violations: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Messages a second, updates and checks included."""
        return self.messages / self.seconds if self.seconds > 0.0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        counts = {
            name: dict(value) for name, value in content.items() if isinstance(value, Counter)
        }
        return content | counts | {"messages_per_second": self.rate}


def fuzz_guard(
    messages: int,
    seed: int = 0,
    config: GuardConfig | None = None,
    tell: Callable[[int], object] = lambda _: None,
) -> FuzzResult:
    """Send random messages and requests, and check every command that comes out.

    Three things must never be seen: a command beyond the limits, motion that no person gave leave
    for, an exception.

    Args:
        messages: How many messages and requests.
        seed: Of the random numbers.
        config: Settings of the guard; the simulated robot's by default.
        tell: Called now and then with the number of messages sent so far.
    """
    config = config or robot_config("sim")
    # A driver that stops soon: how far the arm goes while the guard is paused is not its doing.
    config = replace(config, command_hold=2.0 * config.period)
    return run_fuzz(Fuzz(config, np.random.default_rng(seed)), messages, tell)


def run_fuzz(fuzz: Fuzz, messages: int, tell: Callable[[int], object]) -> FuzzResult:
    """Send ``messages`` random messages and requests, telling now and then how many."""
    began = time.perf_counter()
    while fuzz.result.messages < messages:
        fuzz.step()
        if fuzz.result.messages % MOOD == 0:
            tell(fuzz.result.messages)
    fuzz.result.seconds = time.perf_counter() - began
    return fuzz.result


class Fuzz:
    """A guard, an arm, and everybody who may send something.

    Args:
        config: Settings of the guard.
        rng: Where random numbers come from.

    Attributes:
        result: What was found so far.
    """

    def __init__(self, config: GuardConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self.result = FuzzResult()
        self._now = 100.0
        self._begin()
        self._latches = Latches()
        self._guard = Guard(config, self._latches)
        self._leave = False  # whether a person has given leave to move, and nothing ended it
        self._active = False
        self._updated: float | None = None
        self._last: GuardOutput | None = None
        self._sends: tuple[tuple[float, Callable[[], object]], ...] = (
            (20, self._command),
            (8, self._state),
            (8, self._health),
            (4, self._enable),
            (4, self._gripper),
            (4, self._opening),
            (3, self._clearance),
            (0.05, self._request),
            (0.02, self._e_stop),
            (0.02, self._lifecycle),
            (0.02, self._foreign),
            (0.02, self._help),
        )
        weights = np.array([weight for weight, _ in self._sends])
        self._odds = np.cumsum(weights / weights.sum())
        self._mood()

    def step(self) -> None:
        """Send something; now and then let the guard act."""
        rng = self._rng
        if self.result.messages % MOOD == 0:
            self._mood()
        index = int(np.searchsorted(self._odds, rng.random(), side="right"))
        index = min(index, len(self._sends) - 1)
        try:
            if index != self._mute:
                self._sends[index][1]()
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self._raised(error)
        self.result.messages += 1
        if rng.random() < self._ticks:
            self._update()

    def _mood(self) -> None:
        """Draw what works in the time to come."""
        rng = self._rng
        self._ticks = rng.choice([0.05, 0.1, 0.2])
        self._odd = rng.choice([0.0, 0.0, 0.0, 0.001, 0.001, 0.3])
        self._late = rng.choice([0.0, 0.0, 0.05, 0.1, 0.2])
        self._mute = int(rng.integers(4 * len(self._sends)))  # mostly nobody
        self._aim = self._way()
        self._room = float(rng.choice([math.inf, 0.3, 0.1, 0.02]))
        self._obstacle = None if rng.random() < 0.5 else np.array([0.0, 0.0, -1.0])
        self._pressed = bool(rng.random() < 0.8)
        self._pause = bool(rng.random() < 0.1)
        if rng.random() < 0.7:
            self._recover()

    def _recover(self) -> None:
        """Do what a person does to get the arm moving again."""
        if not self._active:
            self._guard.activate(self._now)
            self._active, self._last, self._updated = True, None, None
        self._guard.report_e_stop(self._now, pressed=False)
        self._guard.report_foreign({})
        self._guard.reset(self._now)
        for _ in range(20):  # long enough for the latest poses to come
            for send in (
                self._state,
                self._health,
                self._command,
                self._command,
                self._enable,
                self._clearance,
            ):
                send()
            self._update()
        self._granted(self._guard.hand_back(self._now))
        if self._rng.random() < 0.4:
            self._granted(self._guard.take_over(self._now))

    # The arm

    def _begin(self) -> None:
        """Have an arm at rest."""
        box = self._config.workspace
        middle = 0.5 * (np.asarray(box.lower) + np.asarray(box.upper))
        self._arm = IdealArm(middle, hold=self._config.command_hold)
        self._poses: list[Pose] = []

    def _move(self) -> None:
        """Let the arm move up to now."""
        self._arm.move(self._now)

    def _obey(self, output: GuardOutput) -> None:
        """Send a command to the arm."""
        self._arm.send(self._now, output.twist)

    def _rest(self) -> None:
        """Send what a guard node sends last."""
        self._arm.send(self._now, np.zeros(6))

    # What is sent

    def _number(self, low: float, high: float) -> float:
        rng = self._rng
        if rng.random() < self._odd:
            return float(rng.choice(WEIRD))
        return float(rng.uniform(low, high))

    def _stamp(self, late: float = 0.0) -> float:
        if self._rng.random() < self._odd:
            return self._number(-1e3, 1e3)
        return self._now - late

    def _way(self) -> FloatArray:
        way: FloatArray = self._rng.normal(size=6)
        way *= np.repeat([0.5, 5.0], 3) / np.linalg.norm(way)
        return way

    def _command(self) -> None:
        rng, odd = self._rng, self._odd
        twist = self._aim
        if rng.random() < odd:
            twist = np.array([self._number(-1.0, 1.0) for _ in range(rng.integers(0, 8))])
        frame = self._config.base_frame if rng.random() >= odd else "tool0"
        sources = list(Source) if rng.random() < odd else [Source.POLICY, Source.TELEOP]
        source = sources[rng.integers(len(sources))]
        self._guard.submit(TwistCommand(self._stamp(), frame, twist, source), self._now)

    def _state(self) -> None:
        """A true pose, perhaps late and overtaken, or an impossible one."""
        self._move()
        self._poses = [*self._poses[-40:], self._arm.pose()]
        due = [pose for pose in self._poses if pose.stamp <= self._now - self._late]
        if due:
            self._guard.report_pose(due[-1 - int(self._rng.integers(min(3, len(due))))], self._now)
        if self._rng.random() < self._odd:
            bad = [math.nan, 0.0, 0.0][: self._rng.integers(1, 4)]
            self._guard.report_pose(Pose(self._stamp(), np.array(bad)), self._now)

    def _health(self) -> None:
        fault = "" if self._rng.random() >= 0.1 * self._odd else "broken"
        self._guard.report_health(PolicyHealth(self._number(0.0, 0.4), fault), self._now)

    def _enable(self) -> None:
        self._guard.report_enable(self._now, pressed=self._pressed)

    def _gripper(self) -> None:
        source = (Source.POLICY, Source.TELEOP)[self._rng.integers(2)]
        command = GripperCommand(self._stamp(), self._number(0.0, 1.0), source)
        self._guard.submit_gripper(command, self._now)

    def _opening(self) -> None:
        self._guard.report_opening(self._number(0.0, 1.0), self._stamp(), self._now)

    def _clearance(self) -> None:
        distance = self._room if self._rng.random() >= self._odd else self._number(-0.1, 0.5)
        clearance = Clearance(self._stamp(), distance, direction=self._obstacle)
        self._guard.report_clearance(clearance, self._now)

    def _e_stop(self) -> None:
        self._guard.report_e_stop(self._now, pressed=bool(self._rng.random() < 0.5))

    def _foreign(self) -> None:
        source = list(Source)[self._rng.integers(3)]
        self._guard.report_foreign({source: "/other"} if self._rng.random() < 0.5 else {})

    def _help(self) -> None:
        self._guard.request_help(self._now, "unsure")

    def _lifecycle(self) -> None:
        if self._active:
            self._guard.deactivate()
        else:
            if self._rng.random() < 0.5:
                self._guard = Guard(self._config, self._latches)
            self._guard.activate(self._now)
        self._active, self._leave = not self._active, False
        self._last, self._updated = None, None
        self._rest()

    def _request(self) -> None:
        guard, now = self._guard, self._now
        index = int(self._rng.integers(5))
        act = (guard.take_over, guard.hand_back, guard.hold, guard.stop, guard.reset)[index]
        answer = act(now)
        if not answer.sentence:
            self.result.violations["a request was answered without a sentence"] += 1
        if index < 2:
            self._granted(answer)
        elif answer.accepted:
            self._leave = False

    def _granted(self, answer: Answer) -> None:
        if answer.accepted:
            self._leave = True
            if not self._active:
                self.result.without_leave += 1
                self.result.violations["leave was taken while inactive"] += 1

    # What comes out

    def _update(self) -> None:
        step = self._config.period * self._rng.uniform(0.2, 2.0)
        self._now += 3.0 * self._rng.random() if self._pause and self._rng.random() < 0.01 else step
        self._move()
        if not self._active:
            return
        try:
            output = self._guard.update(self._now)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self._raised(error)
            return
        self._check(output)
        self._obey(output)
        self._last, self._updated = output, self._now

    def _check(self, output: GuardOutput) -> None:
        result = self.result
        result.updates += 1
        result.moving += output.moving
        result.modes[output.mode.name] += 1
        if output.reason is not None:
            result.reasons[output.reason.name] += 1
        beyond, without = self._beyond_limits(output), self._without_leave(output)
        result.beyond_limits += bool(beyond)
        result.without_leave += bool(without)
        result.violations.update([*beyond, *without])

    def _raised(self, error: Exception) -> None:
        self.result.exceptions += 1
        self.result.violations[f"exception: {error!r}"] += 1

    def _beyond_limits(self, output: GuardOutput) -> list[str]:
        limits, wrong = self._config.limits, []
        twist = output.twist
        if twist.shape != (6,) or not np.isfinite(twist).all():
            return ["a twist is not finite"]
        last: FloatArray = np.zeros(6)
        elapsed = 2.0 * self._config.period
        if self._last is not None and self._updated is not None:
            last, elapsed = self._last.twist, min(self._now - self._updated, elapsed)
        for part, speed, braking in (
            (slice(0, 3), limits.linear_speed, limits.linear_braking),
            (slice(3, 6), limits.angular_speed, limits.angular_braking),
        ):
            if np.linalg.norm(twist[part]) > speed * (1 + 1e-6):
                wrong.append("a speed is beyond its limit")
            if np.linalg.norm(twist[part] - last[part]) > braking * elapsed * (1 + 1e-6) + 1e-9:
                wrong.append("a speed has jumped")
        if -float(self._config.workspace.gaps(self._arm.position).min()) > EXCURSION:
            wrong.append("the arm is out of its box")
        if output.gripper is not None and not 0.0 <= output.gripper <= 1.0:
            wrong.append("the gripper is beyond its limits")
        return wrong

    def _without_leave(self, output: GuardOutput) -> list[str]:
        wrong = []
        drives = output.mode in (Mode.AUTO, Mode.TELEOP)
        if drives and not self._leave:
            wrong.append("somebody drives without leave")
        if not drives:
            self._leave = False
            began = output.moving and (self._last is None or not self._last.moving)
            if began:
                wrong.append("the arm began to move although nobody drives")
            if output.reason is None:
                wrong.append("a stop has no reason")
        if not output.publish and output.moving:
            wrong.append("motion was not published")
        if self._last is None:
            return wrong
        stopped = output.mode is Mode.STOPPED and self._last.mode is Mode.STOPPED
        if stopped and self._last.gripper is not None and output.gripper != self._last.gripper:
            wrong.append("the gripper moved while stopped")
        if output.reason is StopReason.GUARD_FAULT:
            wrong.append("the guard called itself broken")
        return wrong
