# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stream of gripper positions becomes few goals for a gripper's action.

An action is asked for a goal and answers when it is reached; a stream says 50 times a second where
the fingers should be by now. While the stream moves, a goal is asked for when it has come far from
the last one; where the stream settles, exactly that position is asked for. The newest wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from magma_ros.types import Answer


@dataclass(frozen=True, slots=True)
class GripperGoal:
    """Where the gripper joint shall go.

    Attributes:
        position: Joint position [m or rad].
        effort: Greatest effort [N or N m].
    """

    position: float
    effort: float


@dataclass(frozen=True, slots=True)
class GoalRules:
    """When a position of the stream becomes a goal.

    Attributes:
        tolerance: Distance from the last goal at which a moving stream leads to a new one
            [m or rad].
        interval: Least time between two goals [s].
        settling: Time for which a position must stay the same to count as settled [s].
        timeout: Age at which a command is no longer followed, and silence of the stream after which
            a goal under way is cancelled [s].
    """

    tolerance: float
    interval: float = 0.2
    settling: float = 0.1
    timeout: float = 0.5


class GripperGoals:
    """Decides which goals to ask for; knows nothing of ROS and is given the time [s]."""

    def __init__(self, rules: GoalRules) -> None:
        """Follow nothing yet."""
        self._rules = rules
        self._wanted: GripperGoal | None = None
        self._heard = -math.inf  # when the newest command came
        self._changed = -math.inf  # when the position last changed
        self._asked: GripperGoal | None = None
        self._asked_at = -math.inf
        self._awaiting = False
        self._halted = False

    @property
    def under_way(self) -> bool:
        """Whether the newest goal was asked for and has not ended."""
        return self._awaiting

    def offer(self, goal: GripperGoal, stamp: float, now: float) -> Answer:
        """Take the newest command of the stream, stamped ``stamp``."""
        if not (math.isfinite(goal.position) and math.isfinite(goal.effort)):
            return Answer(
                accepted=False,
                sentence=f"a gripper command must be finite, not {goal.position} ({goal.effort})",
            )
        if abs(age := now - stamp) > self._rules.timeout:
            when = f"{age:.2f} s old" if age > 0.0 else f"stamped {-age:.2f} s in the future"
            return Answer(accepted=False, sentence=f"a gripper command was {when}")
        if self._wanted is None or goal.position != self._wanted.position:
            self._changed = now
        self._wanted, self._heard = goal, now
        return Answer(accepted=True, sentence="the gripper follows")

    def next_goal(self, now: float) -> GripperGoal | None:
        """The goal to ask for now, which replaces an earlier one, or None."""
        wanted, rules = self._wanted, self._rules
        if wanted is None or self._halted or self.silent(now):
            return None
        if now - self._asked_at < rules.interval:
            return None
        if self._asked is not None:
            distance = abs(wanted.position - self._asked.position)
            settled = now - self._changed >= rules.settling
            if distance == 0.0 or (distance < rules.tolerance and not settled):
                return None
        self._asked, self._asked_at, self._awaiting = wanted, now, True
        return wanted

    def is_newest(self, goal: GripperGoal) -> bool:
        """Whether ``goal`` was neither replaced nor cancelled."""
        return goal is self._asked

    def ended(self, goal: GripperGoal, *, succeeded: bool) -> None:
        """Receive how ``goal`` ended; one that was refused or aborted is sent again."""
        if not self.is_newest(goal):
            return
        self._awaiting = False
        if not succeeded:
            self._asked = None

    def silent(self, now: float) -> bool:
        """Whether commands have ceased to come."""
        return now - self._heard > self._rules.timeout

    def must_cancel(self, now: float) -> bool:
        """Whether the goal under way must be cancelled; true once for each."""
        if not self._awaiting or not (self._halted or self.silent(now)):
            return False
        self._awaiting, self._asked = False, None
        return True

    def halt(self, *, halted: bool) -> None:
        """Ask for nothing while ``halted``, and afterwards only for what is commanded anew."""
        if halted != self._halted:
            self._wanted = None
        self._halted = halted
